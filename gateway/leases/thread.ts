/**
 * The lease thread: owns the lease store and renews with a timer of its own, so that neither a busy
 * main thread nor a slow disk of anything else delays a renewal. Started by LeaseAgent.
 */
import { writeSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import { bootClock } from "../clock.ts";
import { Deadlines } from "./deadlines.ts";
import { openLeaseStore } from "./open.ts";
import { Renewer } from "./renewer.ts";
import { type AcquireRequest, StoreUnavailable } from "./store.ts";
import type { FromThread, LeaseThreadData, ToThread } from "./thread-protocol.ts";

const port = parentPort;
if (!port) throw new Error("leases/thread.ts runs only as the lease thread");
const data = workerData as LeaseThreadData;
const post = (message: FromThread) => port.postMessage(message);
const clock = bootClock;
const store = openLeaseStore(data.store, {
  warn: (message) => post({ type: "log", level: "warn", message }),
  error: (message) => post({ type: "log", level: "error", message }),
});
const { extendFd, timings } = data;
const renewer = new Renewer({
  store,
  clock,
  deadlines: new Deadlines(data.deadlines),
  timings,
  extend: extendFd === null ? null : (line) => writeWhole(extendFd, line),
  post,
});

/** News of a shard are not worth more renewals than this, ms apart. */
const NEWS_EVERY_MS = 100;

let stopped = false;
let renewTimer: NodeJS.Timeout | undefined;
let renewing = false;
let news = false;

async function renewLoop(): Promise<void> {
  clearTimeout(renewTimer);
  renewing = true;
  news = false;
  const pauseMs = await renewer.renew();
  renewing = false;
  if (!stopped) renewTimer = setTimeout(renewLoop, news ? NEWS_EVERY_MS : pauseMs);
}

/** Brings the next renewal forward: peers route by what it carries. */
function renewSoon(): void {
  news = true;
  if (renewing || stopped) return;
  clearTimeout(renewTimer);
  renewTimer = setTimeout(renewLoop, NEWS_EVERY_MS);
}

let looking = false;
const lookTimer = setInterval(async () => {
  if (looking) return;
  looking = true;
  await renewer.look();
  looking = false;
}, timings.viewEveryMs);

port.on("message", async (message: ToThread) => {
  switch (message.type) {
    case "held":
      return renewer.setHeld(message.held);
    case "report":
      // The first renewal makes the node known; it must not wait for a period.
      if (renewTimer === undefined && !renewing) {
        renewer.setReport(message.report);
        await renewLoop();
      } else if (renewer.setReport(message.report)) renewSoon();
      return;
    case "stop":
      stopped = true;
      clearTimeout(renewTimer);
      clearInterval(lookTimer);
      await store.close();
      port.close();
      return;
    case "call":
      try {
        post({ type: "answer", id: message.id, value: await call(message) });
      } catch (error) {
        const unavailable = error instanceof StoreUnavailable;
        post({ type: "fault", id: message.id, unavailable, message: (error as Error).message });
      }
  }
});

async function call(message: ToThread & { type: "call" }): Promise<unknown> {
  const run = store[message.call] as (...args: unknown[]) => Promise<unknown>;
  if (message.call !== "acquire") return run.apply(store, message.args);
  const sentAt = clock.now();
  return { lease: await store.acquire(message.args[0] as AcquireRequest), sentAt };
}

/** A line shorter than PIPE_BUF goes out whole or not at all; a longer one in as many writes as needed. */
function writeWhole(fd: number, line: string): void {
  const bytes = Buffer.from(line);
  let done = 0;
  while (done < bytes.length) done += writeSync(fd, bytes, done);
}
