import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { AgentConfig, FleetConfig, NodeConfig, Release } from "../../gateway/config.ts";
import type { FleetStatus } from "../../gateway/contract.ts";
import { nodeRunning, startNode, stopNode } from "../../gateway/keeper/launch.ts";
import { createPristine } from "../../gateway/leases/sqlite.ts";
import type { NodeRecord } from "../../gateway/leases/store.ts";
import { fleetFile, leaseFile, nodeDir, nodeFile, writePrivate } from "../../plugin/files.ts";
import { fleetText } from "../../plugin/fleet-inputs.ts";
import { freePort } from "../support/free-ports.ts";
import type { Target } from "./clients/types.ts";
import type { LeaseSight } from "./world.ts";

/** A private fleet of the drill's own: other data, other ports, other tokens than any stack's. */
export interface DrillFleet {
  readonly target: Target;
  readonly dataDir: string;
  readonly nodes: string[];
  readonly shards: string[];
  /** As a router answers it. @throws when none answers */
  status(): Promise<FleetStatus>;
  /** POST to an admin route. @throws with the router's own words */
  admin(path: string, body: object): Promise<void>;
  startNode(node: string): Promise<void>;
  keeperPid(node: string): number | null;
  supervisorPid(node: string): number | null;
  /** Leases as they stand in the store's file now, without a word from the fleet; null: not readable. */
  leases(): LeaseSight[] | null;
  /** Changes a shard's memory limit; the returned function puts the old one back. */
  setRecycleMiB(shard: string, mib: number): Promise<() => Promise<void>>;
  /** Replaces the fleet's configuration, as a deployment would. */
  configure(change: (config: FleetConfig) => FleetConfig): void;
  /** Runs every node with this release from its next start on. */
  setRelease(node: string, release: Release): void;
  /** Deletes the lease store's files; returns their names. */
  deleteLeases(): Promise<string[]>;
  /** Shard whose state directory this is; null: of no shard of this fleet. */
  shardOf(stateDir: string): string | null;
  /** Planned stop of one node: it drains and hands its shards over first. */
  stopNode(node: string): Promise<void>;
  /** Ends every process of the fleet at once. */
  stop(): Promise<void>;
  /** Removes the data directory. Only after stop. */
  remove(): void;
}

export interface FleetOptions {
  nodes: number;
  shards: number;
  release: Release;
  /** Base URL of the model that records; ends in `/v1`. `null`: the built-in demo model. */
  modelUrl: string | null;
  /** The default agent's channels and cron. */
  agent?: Partial<Pick<AgentConfig, "channels" | "cron">>;
  /** More agents, all on every shard. */
  moreAgents?: string[];
  cores: number;
  /** Parent of the data directory. @default the system's temporary directory */
  under?: string;
  recycleMiB?: number;
}

/** First port for gateways: above a stack's own default span, so that both can run. */
const GATEWAY_PORTS = 27_000;
/** Room for 20 spans a node. */
const PORTS_PER_NODE = 2_400;
const RECYCLE_MIB = 2_560;
const STATUS_MS = 5_000;

/** Creates the fleet's files as a deployment does; nothing is started. */
export async function createFleet(options: FleetOptions): Promise<DrillFleet> {
  const dataDir = mkdtempSync(join(options.under ?? tmpdir(), "openclaw-fleet-drill-"));
  const nodes = Array.from({ length: options.nodes }, (_, i) => `n${i + 1}`);
  const shards = Array.from({ length: options.shards }, (_, i) => `s${i + 1}`);
  let config = fleetConfigOf(options, shards, await freePort());
  const saveConfig = () => writePrivate(fleetFile(dataDir), fleetText(config));
  const nodeConfigs = new Map<string, NodeConfig>();
  const saveNode = (id: string, release: Release) => {
    const port = GATEWAY_PORTS + nodes.indexOf(id) * PORTS_PER_NODE;
    const node: NodeConfig = {
      version: 1,
      id,
      dataDir,
      peerHost: "127.0.0.1",
      release,
      gatewayPortBase: port,
      cores: options.cores,
    };
    nodeConfigs.set(id, node);
    writePrivate(nodeFile(dataDir, id), `${JSON.stringify(node, null, 2)}\n`);
  };
  saveConfig();
  createPristine(leaseFile(dataDir));
  for (const id of nodes) {
    mkdirSync(nodeDir(dataDir, id), { recursive: true, mode: 0o700 });
    saveNode(id, options.release);
  }
  const [token = ""] = config.tokens.client;
  const target: Target = {
    endpoint: `http://127.0.0.1:${config.port}`,
    token,
    adminToken: config.tokens.admin,
  };
  const start = async (id: string): Promise<void> => {
    const release = nodeConfigs.get(id)?.release ?? options.release;
    await startNode({
      nodeDir: nodeDir(dataDir, id),
      keeper: join(release.runtime, "keeper.js"),
      supervisor: join(release.runtime, "node.js"),
      node: release.node,
    });
  };
  const configure: DrillFleet["configure"] = (change) => {
    config = change(config);
    saveConfig();
  };

  return {
    target,
    dataDir,
    nodes,
    shards,
    status: async () => (await call(target, "/api/v1/fleet")) as FleetStatus,
    admin: async (path, body) => {
      await call(target, path, body);
    },
    startNode: start,
    keeperPid: (id) => nodeRunning(nodeDir(dataDir, id))?.pid ?? null,
    supervisorPid: (id) => nodeRunning(nodeDir(dataDir, id))?.supervisor?.pid ?? null,
    leases: () => readLeases(leaseFile(dataDir)),
    configure,
    setRelease: saveNode,
    setRecycleMiB: async (shard, mib) => {
      const before = config.shards.find(({ id }) => id === shard)?.recycleMiB ?? RECYCLE_MIB;
      const set = (recycleMiB: number) =>
        configure((old) => ({
          ...old,
          shards: old.shards.map((one) => (one.id === shard ? { ...one, recycleMiB } : one)),
        }));
      set(mib);
      return async () => set(before);
    },
    deleteLeases: async () => {
      const names = ["", "-journal", "-wal", "-shm"].map((end) => `${leaseFile(dataDir)}${end}`);
      const gone = names.filter((path) => removed(path));
      return gone.map((path) => basename(path));
    },
    shardOf: (stateDir) => shards.find((id) => isStateDir(stateDir, dataDir, id)) ?? null,
    stopNode: (id) => stopNode({ nodeDir: nodeDir(dataDir, id) }),
    stop: async () => {
      await Promise.all(
        nodes.map((id) => stopNode({ nodeDir: nodeDir(dataDir, id), force: true })),
      );
    },
    remove: () => rmSync(dataDir, { recursive: true, force: true, maxRetries: 5 }),
  };
}

/** A shard's own directory or the state directory in it, not a scratch directory deeper down. */
function isStateDir(stateDir: string, dataDir: string, shard: string): boolean {
  const own = join(dataDir, "shards", shard);
  return stateDir === own || stateDir === join(own, "state");
}

function fleetConfigOf(options: FleetOptions, shards: string[], port: number): FleetConfig {
  const [homeShard = "s1"] = shards;
  const names = ["main", ...(options.moreAgents ?? [])];
  const secret = () => randomBytes(24).toString("hex");
  return {
    version: 1,
    fleet: "drill",
    target: "local",
    preset: "small",
    host: "127.0.0.1",
    port,
    shards: shards.map((id) => ({
      id,
      agents: names,
      recycleMiB: options.recycleMiB ?? RECYCLE_MIB,
    })),
    agents: names.map((name) => ({
      name,
      shards,
      homeShard,
      channels: {},
      cron: [],
      env: {},
      ...(name === "main" ? options.agent : {}),
    })),
    models:
      options.modelUrl === null
        ? "demo"
        : {
            primary: "drill/echo",
            fallbacks: [],
            providers: { drill: provider(options.modelUrl) },
          },
    openclaw: {},
    channelBinding: {},
    tokens: { client: [secret()], admin: secret(), peer: secret() },
    trustedProxies: [],
    scrapers: [],
    turnBudgetMs: 600_000,
  };
}

/** OpenClaw's own fields of an OpenAI-compatible provider. */
export function provider(baseUrl: string): Record<string, unknown> {
  const model = {
    id: "echo",
    name: "Echo",
    reasoning: false,
    input: ["text"],
    cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
    contextWindow: 200_000,
    maxTokens: 8_192,
  };
  return { baseUrl, apiKey: "not-a-secret", api: "openai-completions", models: [model] };
}

async function call(target: Target, path: string, body?: object): Promise<unknown> {
  const response = await fetch(target.endpoint + path, {
    method: body ? "POST" : "GET",
    headers: {
      authorization: `Bearer ${target.adminToken}`,
      ...(body ? { "content-type": "application/json" } : {}),
    },
    body: body ? JSON.stringify(body) : null,
    signal: AbortSignal.timeout(body ? 60_000 : STATUS_MS),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${path} answered ${response.status}: ${text.slice(0, 300)}`);
  return JSON.parse(text);
}

/** Reads the file itself, in one look, and never makes one that is not there. */
function readLeases(path: string): LeaseSight[] | null {
  let db: DatabaseSync | null = null;
  try {
    db = new DatabaseSync(path, { readOnly: true, timeout: 200 });
    const leases = db.prepare("SELECT shard, owner, epoch FROM leases").all() as unknown as {
      shard: string;
      owner: string | null;
      epoch: number;
    }[];
    const records = new Map(
      db
        .prepare("SELECT id, record FROM nodes")
        .all()
        .map((row) => [String(row.id), JSON.parse(String(row.record)) as NodeRecord]),
    );
    return leases.map(({ shard, owner, epoch }) => {
      const report = owner === null ? undefined : records.get(owner)?.shards[shard];
      return { shard, owner, epoch, state: report?.state ?? "idle", pid: report?.pid ?? null };
    });
  } catch {
    return null;
  } finally {
    db?.close();
  }
}

function removed(path: string): boolean {
  try {
    rmSync(path);
    return true;
  } catch {
    return false;
  }
}
