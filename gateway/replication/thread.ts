/**
 * The replication thread: hashing, packing and sending never delay a request or a renewal. Started by
 * ReplicationAgent; everything in it is made elsewhere.
 */
import { rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import { parentPort, workerData } from "node:worker_threads";
import { bootClock } from "../clock.ts";
import type { ShardId } from "../contract.ts";
import { storedSessions } from "../openclaw/stored-sessions.ts";
import { systemTimers } from "../shard/timers.ts";
import { LocalStateStore } from "../state/local.ts";
import { drillRestore, isPointInTime, pointsInTime } from "./history.ts";
import { openSites } from "./open.ts";
import { keepOf } from "./retention.ts";
import { ReplicatedState } from "./state.ts";
import type {
  FromThread,
  ReplicationCalls,
  ReplicationThreadData,
  ToThread,
} from "./thread-protocol.ts";

const port = parentPort;
if (!port) throw new Error("replication/thread.ts runs only as the replication thread");
const { fleet, node, dataDir, bootId, replication } = workerData as ReplicationThreadData;
const post = (message: FromThread) => port.postMessage(message);
const log = (
  level: "info" | "warn" | "error",
  message: string,
  fields: Record<string, unknown> = {},
) => post({ type: "log", level, message, fields });

const sites = openSites(replication, { fleet, node, clock: bootClock, timers: systemTimers });
const stagingDir = join(dataDir, "nodes", node, "staging");
/** Restores that are tried. What a drill left that was killed goes with the next start. */
const drillDir = join(dataDir, "nodes", node, "drill");
let drills: Promise<unknown> = rm(drillDir, { recursive: true, force: true });
const told = new Map<ShardId, string>();
const keep = replication.keep && keepOf(replication.keep);
const state = new ReplicatedState({
  fleet,
  local: new LocalStateStore({ dataDir, fleet, log: { warn: (text) => log("warn", text) } }),
  stateDir: (shard) => join(dataDir, "shards", shard, "state"),
  sites,
  stagingDir,
  bootId,
  ...(keep ? { keep } : {}),
  log,
  onStep: (shard, step) => {
    tell(shard);
    if (step.bytes > 0) post({ type: "sent", shard, bytes: step.bytes, chunks: step.chunks });
  },
  onFenced: (shard, epoch, reason) => post({ type: "fenced", shard, epoch, reason }),
});

/** Only news: a look ten times a second is none. */
function tell(shard: ShardId): void {
  const condition = state.condition(shard);
  const text = JSON.stringify(condition);
  if (told.get(shard) === text) return;
  told.set(shard, text);
  post({ type: "condition", shard, condition });
}

const calls: {
  [K in keyof ReplicationCalls]: (
    ...args: ReplicationCalls[K]["args"]
  ) => Promise<ReplicationCalls[K]["result"]>;
} = {
  highestEpoch: (shard) => state.highestEpoch(shard),
  marker: (shard) => state.marker(shard),
  claim: (marker) => state.claim(marker),
  restore: (shard, epoch, known) => state.restore(shard, epoch, known),
  replicate: async (shard) => {
    state.replicate(shard);
    return undefined;
  },
  setCage: async (shard, epoch, cage) => {
    await state.setCage(shard, epoch, cage);
    return undefined;
  },
  finish: (shard, epoch) => state.finish(shard, epoch),
  abandon: async (shard) => {
    await state.abandon(shard);
    return undefined;
  },
  discardAside: (shard) => state.discardAside(shard),
  remove: async (shard, options) => {
    await state.remove(shard, options);
    return undefined;
  },
  points: (shard) => pointsInTime(sites.all(shard), fleet, shard, keep),
  isPoint: (shard, where) => isPointInTime(sites.all(shard), fleet, shard, where),
  // One at a time: each takes room on the disk.
  drill: (shard) => {
    const drill = drills.then(() => {
      const more = { countSessions: storedSessions, freeBytes: freeHere };
      return drillRestore(sites.all(shard), { fleet, shard, scratch: drillDir, ...more });
    });
    drills = drill.catch(() => {});
    return drill;
  },
  adopt: async (shard, epoch, directory) => {
    await state.adopt(shard, epoch, directory);
    return undefined;
  },
  hold: async (shard, epoch, release) => {
    await state.hold(shard, epoch, release);
    return undefined;
  },
  goBack: async (shard, epoch, where) => {
    await state.goBack(shard, epoch, where);
    return undefined;
  },
};

async function freeHere(): Promise<number> {
  const { bavail, bsize } = await statfs(dataDir);
  return bavail * bsize;
}

/** A call's first argument is a shard, or the marker of one. */
function tellOf(first: unknown): void {
  tell(typeof first === "string" ? first : (first as { shard: ShardId }).shard);
}

async function answer(id: number, call: keyof ReplicationCalls, args: unknown[]): Promise<void> {
  try {
    const work = calls[call] as (...given: unknown[]) => Promise<unknown>;
    const value = await work(...args);
    // Before the answer: who asked looks at the condition next.
    tellOf(args[0]);
    post({ type: "answer", id, value });
  } catch (error) {
    tellOf(args[0]);
    post({ type: "fault", id, message: (error as Error).message });
  }
}

port.on("message", (message: ToThread) => {
  if (message.type === "call") void answer(message.id, message.call, message.args);
  else if (message.type === "preferences") sites.prefer(message.preferred);
  else void stop();
});

async function stop(): Promise<void> {
  await state.close();
  await sites.close();
  port?.close();
}
