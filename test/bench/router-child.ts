import { bootClock } from "../../gateway/clock.ts";
import type { FleetConfig } from "../../gateway/config.ts";
import { createMetrics } from "../../gateway/observe/metrics.ts";
import type { GatewayPort } from "../../gateway/openclaw/port.ts";
import { startRouter } from "../../gateway/router/router.ts";
import type { FleetControl, FleetView } from "../../gateway/router/view.ts";
import type { SessionStore } from "../../gateway/sessions/store.ts";

/**
 * The fleet's own router in a process of its own, with one shard whose gateway is a stand-in:
 * `node router-child.ts UPSTREAM_PORT TOKEN`. Prints the port it took.
 */
const [, , upstreamPort = "", token = ""] = process.argv;

const config: FleetConfig = {
  version: 1,
  fleet: "bench",
  target: "local",
  preset: "solo",
  host: "127.0.0.1",
  port: 0,
  shards: [{ id: "s1", agents: ["main"], recycleMiB: 1_024 }],
  agents: [{ name: "main", shards: ["s1"], homeShard: "s1", channels: {}, cron: [], env: {} }],
  models: "demo",
  openclaw: {},
  channelBinding: {},
  tokens: { client: [token], admin: `${token}-admin`, peer: `${token}-peer` },
  trustedProxies: [],
  scrapers: [],
  turnBudgetMs: 600_000,
};

const absent = (): never => {
  throw new Error("this measurement has no gateway protocol");
};
const present: Partial<GatewayPort> = {
  connected: true,
  onUsage: () => () => {},
  // One question to OpenClaw, which is not what is measured (docs/decisions/259-sessions-that-openclaw-closed.md).
  presentSession: async (key) => key,
};
/** HTTP is passed through; nothing else of the WebSocket side is asked for. */
const gateway = new Proxy({} as GatewayPort, {
  get: (_, name) => present[name as keyof GatewayPort] ?? absent,
});

const view: FleetView = {
  node: "n1",
  incarnation: "bench",
  config: () => config,
  agent: (name) => config.agents.find((agent) => agent.name === name),
  route: () => ({
    at: "here",
    epoch: 1,
    incarnation: "bench",
    host: "127.0.0.1",
    port: Number(upstreamPort),
    token: "upstream",
    gateway,
    live: () => true,
  }),
  leased: () => true,
  onRoute: () => () => {},
  doubt: () => {},
  peers: () => [],
  status: absent,
  storeOk: () => true,
  stopping: () => false,
  startedAt: Date.now(),
};

const assigned = new Map<string, string>();
const sessions: SessionStore = {
  kind: "memory",
  assign: async (agent, session, shard) => {
    const key = `${agent}/${session}`;
    const stored = assigned.get(key);
    if (stored !== undefined) return stored;
    assigned.set(key, shard);
    return shard;
  },
  lookup: async (agent, session) => assigned.get(`${agent}/${session}`) ?? null,
  rebuild: async () => 0,
  dropShard: async () => 0,
  counts: async () => ({ byShard: {}, byAgent: {} }),
  generation: async () => "one",
  claim: async (_key, _hash, runId) => ({ outcome: "claimed", runId }),
  refresh: async () => true,
  finish: async () => true,
  abandon: async () => {},
  ok: async () => true,
  close: async () => {},
};
const control = new Proxy({} as FleetControl, { get: () => absent });
const silent = { debug() {}, info() {}, warn() {}, error() {} };

const router = await startRouter({
  view,
  control,
  sessions,
  clock: bootClock,
  log: silent,
  metrics: createMetrics(),
  listen: { host: "127.0.0.1", port: 0 },
  peer: { host: "127.0.0.1", port: 0 },
});
await router.holdsPort;
process.stdout.write(`${router.port}\n`);
