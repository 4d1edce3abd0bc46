/**
 * What the runtime, the stacks and the command line must agree on: names on the wire, timings of
 * ownership, and the shapes that people and programs read. Plain data, imports nothing.
 */

/** Port of the router when the stack sets none. */
export const DEFAULT_PORT = 18789;

/** Ports that one OpenClaw gateway may touch above its base port (it uses base+2 to base+110). */
export const GATEWAY_PORT_SPAN = 120;

/** Headers of this project. Clients send the first two; every response carries the `fleet*` ones. */
export const HEADER = {
  /** Request: the agent to talk to. */
  agent: "x-openclaw-agent",
  /** Request and response: the conversation. */
  session: "x-openclaw-session",
  /** Response: the shard that answered. */
  shard: "x-openclaw-shard",
  /** Response, and on forwarded requests: the epoch under which it answered. */
  epoch: "x-openclaw-epoch",
  /** Response: the node that answered (instance id). */
  instance: "x-openclaw-instance",
  /** Request and response: one id through all logs. */
  requestId: "x-request-id",
  /** Forwarded requests only: the owner's incarnation that the sender believes in. */
  incarnation: "x-openclaw-fleet-incarnation",
  /** Forwarded requests only: proof that the sender is a node of this fleet. */
  peerToken: "x-openclaw-fleet-peer",
  /** Forwarded requests only: hops taken so far. */
  hop: "x-openclaw-fleet-hop",
  idempotencyKey: "idempotency-key",
} as const;

/** Timings of ownership, milliseconds. The laws that tie them together are tested in ownership/. */
export const LEASE = {
  /** A lease whose beat has not moved for this long, watched on the taker's own clock, is dead. */
  ttlMs: 9_000,
  /** Pause between two renewals. */
  renewEveryMs: 2_000,
  /** A renewal that took longer is a failure. */
  renewTimeoutMs: 1_000,
  /** An owner stops this long after it *sent* its last good renewal. */
  holdMs: 7_000,
  /** A woken process may go on for this long before its keeper has killed it. */
  wakeGraceMs: 1_000,
  /** Rank k of an unowned shard waits (k-1) times this long before it takes it. */
  rankDelayMs: 1_000,
  /** A node that came back gets its shards again after this much stability. */
  homecomingMs: 600_000,
} as const;

/** Limits of held and stored requests. */
export const HOLD = {
  requestMs: 60_000,
  webhookMs: 2_000,
  maxRequests: 256,
  maxBytes: 64 * 2 ** 20,
  /** A body up to this size is kept for a retry until the first byte of the answer. */
  maxBodyBytes: 4 * 2 ** 20,
  /** Requests released at once when a shard becomes ready; doubles from there. */
  firstBatch: 8,
} as const;

export const IDEMPOTENCY = { keepMs: 24 * 3_600_000, maxAnswerBytes: 2 ** 20 } as const;

export const DRAIN = {
  /** After admission closed, a gateway that is not empty by then is resumed and tried again. */
  closeMs: 15_000,
  /** Past this the remaining turns get `owner_lost`. */
  giveUpMs: 600_000,
  /** The same for gateways whose disk was full: OpenClaw never ends some of the turns that this cut off. */
  fullDiskMs: 60_000,
  /** Turns after SIGTERM. */
  termTurnsMs: 290_000,
  /** Sync and release after SIGTERM. */
  termReleaseMs: 30_000,
} as const;

/**
 * What routers and every front before them (balancer, Nginx) agree on. A front must close an idle
 * connection first: one that its router closes at the same moment answers a client with 502.
 */
export const FRONT = {
  /** A front closes a connection on which nothing moved for this long. ALB allows 1 to 4000 s. */
  idleMs: 3_600_000,
  /** A router keeps an idle connection longer than any front does, and waits as long for a head on one. */
  keepAliveMs: 3_660_000,
  /** On event streams and WebSockets something moves at least this often. */
  pingMs: 25_000,
  /** How a front asks a router whether it takes requests. */
  probe: {
    path: "/readyz",
    status: 200,
    intervalMs: 5_000,
    timeoutMs: 2_000,
    /** Good answers in a row that bring a router in. */
    healthyAfter: 2,
    /** Bad or missing ones in a row that take it out. */
    unhealthyAfter: 2,
  },
  /** Requests on a router that left service may end within this; at least all of {@link DRAIN} after SIGTERM. */
  drainMs: 330_000,
  /** Paths that no load balancer lets through; a router behind one answers them inside only. */
  closedPaths: ["/metrics", "/api/v1/metrics", "/internal/*"],
} as const;

/** The web page of a fleet. It brings a content policy of its own, which fronts let pass. */
export const STATUS_PAGE = "/status";

export type NodeId = string;
export type ShardId = string;

/** States of a shard on the node that looks after it. */
export const SHARD_STATES = [
  "idle",
  "acquiring",
  "restoring",
  "starting",
  "serving",
  "draining",
  "stopping",
  "failed",
] as const;
export type ShardState = (typeof SHARD_STATES)[number];

export const NODE_STATES = ["active", "maintenance", "lost"] as const;
export type NodeState = (typeof NODE_STATES)[number];

/** Begins a shard's `reason` while it runs with older settings than it was given. */
export const SETTINGS_REFUSED = "settings refused: ";

export interface ChannelsReport {
  /** How many bots its settings want. */
  bots: number;
  /** Those that reach nobody, as `channel/account`, and why in OpenClaw's own words where it has any. */
  down: { bot: string; why: string }[];
}

/** `status --json` and `GET /api/v1/fleet`. */
export interface FleetStatus {
  fleet: string;
  nodes: {
    id: NodeId;
    address: string;
    pid: number | null;
    state: NodeState;
    shards: ShardId[];
    version: string;
    /** Memory of all gateways on the node, bytes; null when the node does not say. */
    memoryBytes: number | null;
    /** Milliseconds since its last sign of life, as this router saw it. */
    seenMsAgo: number | null;
  }[];
  shards: {
    id: ShardId;
    agents: string[];
    owner: NodeId | null;
    epoch: number;
    state: ShardState;
    pid: number | null;
    /** ISO 8601, null while nothing runs. */
    startedAt: string | null;
    restarts: number;
    /** Sessions the router has mapped to the shard. */
    sessions: number;
    memoryBytes: number | null;
    /** Why the last restart or move happened, for people; null when nothing did. */
    reason: string | null;
    /** How far its replica is behind; missing where shards are not replicated. */
    replica?: { lagMs: number; unreplicated: boolean };
    /** Its channels' bots, as last looked at; missing where it has none, and while nothing serves. */
    channels?: ChannelsReport;
  }[];
  store: {
    kind: string;
    ok: boolean;
    /**
     * Where a majority decides: how many members there are, and how many of them lie on lost nodes.
     * Missing elsewhere.
     */
    voters?: { total: number; lost: number };
  };
  heldRequests: number;
  /** While shards run an older OpenClaw than a node brings; missing when none does. */
  update?: {
    /** OpenClaw's newest version on any node. */
    to: string;
    /** Shards that do not run it yet. */
    waiting: ShardId[];
    /** Where it failed, which stops it everywhere; null: it goes on. */
    refused: { shard: ShardId; why: string } | null;
  };
}

/** Every code an error answer can carry, with its HTTP status and whether a retry can help. */
export const ERRORS = {
  bad_request: { status: 400, retryable: false },
  unauthorized: { status: 401, retryable: false },
  forbidden: { status: 403, retryable: false },
  not_found: { status: 404, retryable: false },
  method_not_allowed: { status: 405, retryable: false },
  unknown_agent: { status: 404, retryable: false },
  unknown_node: { status: 404, retryable: false },
  unknown_shard: { status: 404, retryable: false },
  conflict: { status: 409, retryable: false },
  body_too_large: { status: 413, retryable: false },
  not_owner: { status: 421, retryable: true },
  key_reused: { status: 422, retryable: false },
  client_timeout: { status: 408, retryable: true },
  rate_limited: { status: 429, retryable: true },
  internal: { status: 500, retryable: false },
  owner_lost: { status: 502, retryable: false },
  model_error: { status: 502, retryable: false },
  shard_failed: { status: 503, retryable: true },
  no_fleet: { status: 503, retryable: true },
  no_owner: { status: 503, retryable: true },
  overloaded: { status: 503, retryable: true },
  in_progress: { status: 504, retryable: true },
} as const;
export type ErrorCode = keyof typeof ERRORS;

export interface ErrorBody {
  error: { code: ErrorCode; message: string; retryable: boolean; requestId: string };
}
