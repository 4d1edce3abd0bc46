import { z } from "zod";
import { replicationConfig } from "./replication/settings.ts";

/**
 * `fleet.json`: everything a node must know about its fleet, written by the deployment and watched by
 * every node. It holds secrets, so its mode is 0600. The deployment decides (which shards, which
 * agents on them); nodes only carry out.
 */
const shard = z.strictObject({
  id: z.string().regex(/^[a-z0-9][a-z0-9-]{0,40}$/),
  /** Names of the agents this shard hosts, in a fixed order. */
  agents: z.array(z.string()),
  /** Memory above which the gateway is drained and restarted, MiB. */
  recycleMiB: z.number().int().positive(),
});

const cronJob = z.strictObject({
  name: z.string(),
  /** Five-field cron expression, or `every: "10m"`. */
  schedule: z.string(),
  timezone: z.string().optional(),
  message: z.string(),
  enabled: z.boolean().default(true),
  /** Where each answer is sent, in OpenClaw's own words; it stays in the job's session when missing. */
  deliver: z.strictObject({ channel: z.string(), to: z.string() }).optional(),
});

const agent = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9_-]{0,63}$/),
  /** Shards that host it; sessions are spread over them. */
  shards: z.array(z.string()).min(1),
  /** Channels, configured cron and hooks live on this shard only, and it never moves by resizing. */
  homeShard: z.string(),
  /** `provider/model`; the fleet's default when missing. */
  model: z.string().optional(),
  systemPrompt: z.string().optional(),
  /** OpenClaw's own channel fields, by channel name. Secrets included. */
  channels: z.record(z.string(), z.record(z.string(), z.unknown())).default({}),
  cron: z.array(cronJob).default([]),
  env: z.record(z.string(), z.string()).default({}),
});

const models = z.strictObject({
  /** `provider/model`. */
  primary: z.string(),
  fallbacks: z.array(z.string()).default([]),
  /** OpenClaw's own provider fields, keys resolved. */
  providers: z.record(z.string(), z.record(z.string(), z.unknown())),
});

/** Of whoever or whatever they are for; what is missing is not limited. */
const rates = z.strictObject({
  requestsPerMinute: z.number().int().positive().optional(),
  /** Model tokens, of question and answer. */
  tokensPerMinute: z.number().int().positive().optional(),
});

export const fleetConfig = z.strictObject({
  version: z.literal(1),
  fleet: z.string(),
  target: z.enum(["local", "hosts", "ec2", "eks"]),
  preset: z.string(),
  /**
   * Nodes that run shards, where a deployment sets them up one after the other: the first start of a new fleet waits
   * for them, a few minutes at most, and what the store has of others that are gone is taken away.
   */
  members: z.array(z.string()).min(1).optional(),
  /** Address and port people talk to. */
  host: z.string().default("127.0.0.1"),
  port: z.number().int(),
  shards: z.array(shard),
  agents: z.array(agent).min(1),
  /** `demo`: the built-in echo model, served by each node to its own gateways. */
  models: z.union([z.literal("demo"), models]),
  /** Raw settings merged last into every shard's openclaw.json. */
  openclaw: z.record(z.string(), z.unknown()).default({}),
  /** Node id to channel names: those channels' home shards prefer that node. */
  channelBinding: z.record(z.string(), z.array(z.string())).default({}),
  tokens: z.strictObject({
    /** Any of these is a client. */
    client: z.array(z.string().min(24)).min(1),
    admin: z.string().min(24),
    /** Proves a node to its peers. */
    peer: z.string().min(24),
  }),
  /** Addresses whose X-Forwarded-For is believed. */
  trustedProxies: z.array(z.string()).default([]),
  /** Addresses that may read metrics without a token, besides loopback. */
  scrapers: z.array(z.string()).default([]),
  /** Each token, and each agent by whomever it is asked. @default no limits */
  limits: z.strictObject({ perToken: rates.optional(), perAgent: rates.optional() }).optional(),
  /** How long a turn may take, from request to answer, ms. */
  turnBudgetMs: z.number().int().positive().default(600_000),
});

export type FleetConfig = z.infer<typeof fleetConfig>;
export type ShardConfig = FleetConfig["shards"][number];
export type AgentConfig = FleetConfig["agents"][number];

/** PEM files of a node: the authority of both sides, its certificate and key. Read again when they change. */
const tlsFiles = z.strictObject({ ca: z.string(), cert: z.string(), key: z.string() });
export type TlsFiles = z.infer<typeof tlsFiles>;

/** Where ownership is decided; the same for all nodes of a fleet. */
const leases = z.discriminatedUnion("kind", [
  /** `leases.sqlite` in the data directory, which all nodes of the fleet then share: one machine. */
  z.strictObject({ kind: z.literal("sqlite") }),
  /** Fields as in `EtcdLeaseStoreOptions`: nodes on several machines, which share no file. Its members: stores.json. */
  z.strictObject({
    kind: z.literal("etcd"),
    tls: tlsFiles.nullable(),
    prefix: z.string(),
  }),
]);

/** `nodes/<id>/stores.json`: members of the stores, which may be others while a node runs. Followed by it. */
export const storesConfig = z.strictObject({
  version: z.literal(1),
  /** Client URLs of etcd's members, `https://address:2379`; the nearest first. */
  etcd: z.array(z.string()).min(1).optional(),
  /** `address:port` of the Sentinels, or of the cluster's servers: what `{redis}` in `redisUrl` stands for. */
  redis: z.array(z.string()).min(1).optional(),
});
export type StoresConfig = z.infer<typeof storesConfig>;

/** `nodes/<id>/node.json`: what one node is. Written by the deployment, read once at start. */
export const nodeConfig = z.strictObject({
  version: z.literal(1),
  id: z.string().regex(/^[a-z0-9][a-z0-9-]{0,40}$/),
  /** Directory of the fleet: fleet.json, leases.sqlite, sessions.sqlite, nodes/, shards/. */
  dataDir: z.string(),
  /** Address this node's router listens on for its peers. */
  peerHost: z.string().default("127.0.0.1"),
  /** Port of that listener; the kernel chooses when it is missing. */
  peerPort: z.number().int().positive().optional(),
  /** Address or name under which the others dial that listener; `peerHost` when missing. */
  address: z.string().optional(),
  /** Certificates for whatever leaves this machine. Without them nodes talk plainly: one machine only. */
  tls: tlsFiles.optional(),
  /** Where the fronts of all hosts reach this router, with certificates both ways. Needs `tls`. */
  front: z.strictObject({ host: z.string(), port: z.number().int().positive() }).optional(),
  /** A balancer calls the port of fleet.json, and holds its connections for long. @default false */
  balanced: z.boolean().optional(),
  /** @default the SQLite file in the data directory */
  leases: leases.optional(),
  /**
   * Where the other nodes are dialled: as they published in the lease store, or as DNS says for
   * `<node>.<name>` or `_openclaw-fleet._tcp.<name>`. @default as published
   */
  discovery: z.strictObject({ kind: z.literal("dns"), name: z.string() }).optional(),
  /** Release this node starts shards with. */
  release: z.strictObject({
    /** Shown as version: `<openclaw version>` or `<openclaw version>+<build>`. */
    id: z.string(),
    /** The Node binary. */
    node: z.string(),
    /** OpenClaw's entry file (openclaw.mjs). */
    openclaw: z.string(),
    /** Directory of the runtime (the bundled gateway). */
    runtime: z.string(),
  }),
  /** Lowest port for OpenClaw gateways; the node takes free spans from here on. */
  gatewayPortBase: z.number().int().default(19_000),
  cores: z.number().positive(),
  /**
   * Address of the Redis for sessions and stored answers (sessions/redis-url.ts), a secret; the node's
   * `OPENCLAW_REDIS_URL` goes before it. Without either, a file serves the nodes of one machine. `{redis}` stands for
   * addresses that stores.json has.
   */
  redisUrl: z.string().optional(),
  /** Where the state of shards is replicated to. @default it stays on this machine alone */
  replication: replicationConfig.optional(),
});
export type NodeConfig = z.infer<typeof nodeConfig>;
export type Release = NodeConfig["release"];
