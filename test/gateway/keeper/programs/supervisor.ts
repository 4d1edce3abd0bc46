// A supervisor with one shard and no store: it holds its own lease, extends it, and notes what it sees.
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { bootClock } from "../../../../gateway/clock.ts";
import { KeeperClient, writeExtend } from "../../../../gateway/keeper/client.ts";
import type { GatewayPort } from "../../../../gateway/openclaw/port.ts";
import { BootSlots } from "../../../../gateway/shard/boot-slots.ts";
import { probeStartup } from "../../../../gateway/shard/probe.ts";
import { ShardRunner } from "../../../../gateway/shard/runner.ts";
import { systemTimers } from "../../../../gateway/shard/timers.ts";
import type { RunnerEvent } from "../../../../gateway/shard/types.ts";
import { freePort } from "../../../support/free-ports.ts";
import type { Noted, Plan } from "./plan.ts";

const { values } = parseArgs({ options: { "node-dir": { type: "string" } } });
const nodeDir = values["node-dir"] as string;
const file = (name: string) => join(nodeDir, name);
const plan = JSON.parse(readFileSync(file("plan.json"), "utf8")) as Plan;

const epoch = nextEpoch();
const note = (noted: Noted) => appendFileSync(file("events.jsonl"), `${JSON.stringify(noted)}\n`);
note({ what: "up", supervisor: process.pid, epoch });

const deadline = () => bootClock.now() + plan.holdMs;
const keeper = new KeeperClient({ onStop: () => runner.stop("the node stops") });
const runner = new ShardRunner({
  shard: { id: "s1", agents: ["main"], recycleMiB: 1_000 },
  keeper,
  launch: async () => {
    const port = await freePort();
    const env = {
      PATH: process.env.PATH ?? "",
      PLAN: JSON.stringify(plan.gateway),
      GATEWAY_PORT: String(port),
      GATEWAY_TOKEN: "very-secret-gateway-token",
    };
    const args = [join(import.meta.dirname, "gateway.ts")];
    return { command: process.execPath, args, cwd: nodeDir, env, port, token: env.GATEWAY_TOKEN };
  },
  gateway: quietGateway,
  probe: (port) => probeStartup(port),
  holdDeadline: deadline,
  bootSlots: new BootSlots(2),
  recycleTurn: async () => () => {},
  clock: bootClock,
  timers: systemTimers,
  random: Math.random,
  log: (level, msg, fields) => console.log(JSON.stringify({ level, msg, ...fields })),
  onEvent,
});

setInterval(() => writeExtend({ deadline: deadline(), shards: { s1: epoch } }), 200);
runner.start(epoch, `supervisor-${process.pid}`);

function onEvent(event: RunnerEvent): void {
  const plain =
    event.type === "changed" ? { ...event, report: { ...event.report, endpoint: null } } : event;
  note({ what: "runner", supervisor: process.pid, epoch, event: plain });
  if (event.type === "emptied" && !event.fenced) void keeper.quit().then(() => process.exit(0));
}

function nextEpoch(): number {
  let last = 0;
  try {
    last = Number(readFileSync(file("epoch"), "utf8"));
  } catch {
    // The first start.
  }
  writeFileSync(file("epoch"), String(last + 1));
  return last + 1;
}

function quietGateway(): GatewayPort {
  return {
    connected: true,
    ready: async () => {},
    runTurn: () => Promise.reject(new Error("no turns here")),
    presentSession: async (key) => key,
    turns: async () => ({ active: 0, queued: 0 }),
    lastInbound: async () => null,
    suspend: async () => {},
    suspended: async () => true,
    resume: async () => {},
    sessions: async () => [],
    syncCron: async () => {},
    ensureChannels: async () => [],
    reopenBots: async () => ({ opened: [], refused: [] }),
    channels: async () => ({ bots: 0, down: [] }),
    onUsage: () => () => {},
    close: () => {},
  };
}
