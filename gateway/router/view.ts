import type { AgentConfig, FleetConfig } from "../config.ts";
import type { FleetStatus, NodeId, ShardId } from "../contract.ts";
import type { GatewayPort } from "../openclaw/port.ts";
import type { DrillResult, PointInTime } from "../replication/thread-protocol.ts";
import type { Replacement } from "../supervisor/replacements.ts";

/** Where a shard is, as this node knows it now. */
export type Route =
  /** This node owns it and it serves. */
  | {
      at: "here";
      epoch: number;
      incarnation: string;
      /** The gateway on loopback. */
      host: string;
      port: number;
      /** OpenClaw's own token; never leaves the node. */
      token: string;
      gateway: GatewayPort;
      /** False once the deadline has passed *now*; asked right before the first byte goes out. */
      live(): boolean;
    }
  /** A peer owns it and says that it serves. */
  | { at: "peer"; node: NodeId; address: string; epoch: number; incarnation: string }
  /** Nobody serves it at the moment; wait for `onChange`. */
  | { at: "none"; epoch: number; state: string }
  /** It is given up for now: answer 503 shard_failed at once. */
  | { at: "failed"; epoch: number; reason: string };

/** What the router asks the rest of the node. All answers are immediate, from memory. */
export interface FleetView {
  readonly node: NodeId;
  readonly incarnation: string;
  config(): FleetConfig;
  agent(name: string): AgentConfig | undefined;
  route(shard: ShardId): Route;
  /** Whether somebody has the shard's lease, also of one these settings do not name; null: not known now. */
  leased(shard: ShardId): boolean | null;
  /** Called after any route changed; the argument is that shard. */
  onRoute(listener: (shard: ShardId) => void): () => void;
  /** A peer answered 421 or could not be reached: look again soon. */
  doubt(shard: ShardId): void;
  /** `address` (host:port) of every other live node, for relaying. */
  peers(): { node: NodeId; address: string }[];
  status(): FleetStatus;
  storeOk(): boolean;
  /** This node was asked to stop: readiness must fail. */
  stopping(): boolean;
  startedAt: number;
}

/** What the admin routes can ask for. Errors are FleetCommandError. */
export interface FleetControl {
  drain(node: NodeId): Promise<void>;
  resume(node: NodeId): Promise<void>;
  move(shard: ShardId, to: NodeId | "auto"): Promise<void>;
  /** Missing: this router looks after no shards. */
  readonly state?: StateControl;
  /** Drains the shards here (of one agent, or all); resolves when empty. */
  drainHere(agent?: string): Promise<{ shards: ShardId[] }>;
  /** Counters for status and metrics live with the router; it tells the supervisor nothing else. */
  history(
    limit: number,
  ): Promise<
    { at: string; shard: string | null; node: string | null; event: string; detail: string }[]
  >;
}

/** What the admin routes can ask of the state of shards. Errors are FleetCommandError. */
export interface StateControl {
  /** The moments that a shard can go back to, newest first. */
  points(shard: ShardId): Promise<PointInTime[]>;
  /** Restores the newest moment beside everything, checks it, and throws it away. */
  drill(shard: ShardId): Promise<DrillResult>;
  /** Begins to replace the state of a shard that serves on this node. */
  replace(shard: ShardId, replacement: Replacement): Promise<void>;
}

export class FleetCommandError extends Error {
  readonly code: "unknown_node" | "unknown_shard" | "unknown_agent" | "conflict" | "bad_request";
  constructor(code: FleetCommandError["code"], message: string) {
    super(message);
    this.name = "FleetCommandError";
    this.code = code;
  }
}
