import { join } from "node:path";
import { backup, DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import type { BenchContext } from "./part.ts";
import { type Checkpoint, State, type Turn } from "./replication-state.ts";
import { usageOf } from "./usage.ts";

const MIB = 2 ** 20;
/** Between two turns: at random, so that no turn keeps step with what looks at intervals, ms. */
const PAUSE_MS = { least: 250, most: 550 };
/** Between two turns with nothing beside them, and between those before a kill, ms. */
const BARE_PAUSE_MS = 50;
const KILL_PAUSE_MS = 60;
/** A kill comes so long after the first turn, at random, ms. */
const KILL_AFTER_MS = { least: 1_500, most: 2_500 };
const CHECKPOINTS = 3;
/** How long anything may take on a machine that does other things too. */
export const PATIENCE_MS = 300_000;

/** What brings a state to another place, in a process of its own. */
export interface Follower {
  readonly pid: number;
  /** Waits until all that was there before it started is at the target. */
  settled(signal: AbortSignal): Promise<void>;
  /** Waits until all turns since then are there: when each was, ms of `performance.now()`. */
  arrivals(turns: readonly Turn[], signal: AbortSignal): Promise<number[]>;
  /** Bytes that it has written to the target. */
  sent(): number;
  /** SIGKILL, and gone. */
  kill(): Promise<void>;
  /** Brings the first database back from the target, after a kill; its path. */
  restore(): Promise<string>;
}

export type Start = (state: State) => Follower;

/** What some turns cost. */
export interface Measured {
  /** CPU of the follower's process, a turn. */
  cpuMs: number;
  sentKiB: number;
  /** From the last commit of a turn until it was at the target. */
  lagMs: number;
  worstLagMs: number;
  commitMs: number;
  worstCommitMs: number;
  /** Emptying the log while it is followed, the median of some tries; null where that was not tried. */
  checkpoint: Checkpoint | null;
}

/** What the same costs with nothing beside it. */
export interface Bare {
  commitMs: number;
  checkpoint: Checkpoint;
  /** SQLite's own copy of all databases. */
  copyMs: number;
  copyMiB: number;
}

export interface Size {
  count: number;
  mib: number;
}

const turnsOf = ({ quick }: BenchContext): number => (quick ? 3 : 20);

export async function bare(bench: BenchContext, size: Size): Promise<Bare> {
  const state = new State(size.count, size.mib);
  try {
    const commits: number[] = [];
    for (let turn = 0; turn < turnsOf(bench); turn++) {
      commits.push(...state.turn().commits);
      await sleep(BARE_PAUSE_MS);
    }
    const begun = performance.now();
    for (const [n, database] of state.databases.entries()) {
      await backup(database, join(state.base, `copy-${n}`));
    }
    const copyMs = performance.now() - begun;
    const copyMiB = state.bytes / MIB;
    return { commitMs: median(commits), checkpoint: state.checkpoint(), copyMs, copyMiB };
  } finally {
    state.remove();
  }
}

/** @param checkpoints whether the log is emptied at the end, some times */
export async function measure(
  bench: BenchContext,
  size: Size,
  start: Start,
  checkpoints = false,
): Promise<Measured> {
  const state = new State(size.count, size.mib);
  let follower: Follower | null = null;
  try {
    follower = start(state);
    await follower.settled(bench.signal);
    const { pid } = follower;
    const before = { sent: follower.sent(), cpu: usageOf(pid).cpuSeconds };
    const turns: Turn[] = [];
    for (let turn = 0; turn < turnsOf(bench); turn++) {
      turns.push(state.turn());
      await sleep(between(PAUSE_MS));
      bench.signal.throwIfAborted();
    }
    const arrivals = await follower.arrivals(turns, bench.signal);
    const cpu = usageOf(pid).cpuSeconds - before.cpu;
    const lags = turns.map(({ doneAt }, n) => (arrivals[n] ?? Number.NaN) - doneAt);
    const commits = turns.flatMap((turn) => turn.commits);
    return {
      cpuMs: (cpu * 1_000) / turns.length,
      sentKiB: (follower.sent() - before.sent) / 1_024 / turns.length,
      lagMs: median(lags),
      worstLagMs: Math.max(...lags),
      commitMs: median(commits),
      worstCommitMs: Math.max(...commits),
      checkpoint: checkpoints ? await checkpointed(state, bench.quick ? 1 : CHECKPOINTS) : null,
    };
  } finally {
    await follower?.kill();
    state.remove();
  }
}

async function checkpointed(state: State, times: number): Promise<Checkpoint> {
  const all: Checkpoint[] = [];
  for (let n = 0; n < times; n++) {
    state.turn();
    await sleep(BARE_PAUSE_MS);
    all.push(state.checkpoint());
  }
  return { ms: median(all.map(({ ms }) => ms)), emptied: all.every(({ emptied }) => emptied) };
}

/** What a host took with it that was lost in the middle of turns. */
export interface Loss {
  /** Of the oldest commit that is gone; 0: none is. */
  ageMs: number;
  /** What is wrong with what was restored; null: it is whole, and a prefix of what was written. */
  fault: string | null;
}

/** Ends writing and what follows it at a random moment, and restores what is there. */
export async function loseOnce(signal: AbortSignal, start: Start): Promise<Loss> {
  const state = new State(1, 4);
  const follower = start(state);
  try {
    await follower.settled(signal);
    const turns: Turn[] = [];
    const end = performance.now() + between(KILL_AFTER_MS);
    while (performance.now() < end) {
      turns.push(state.turn());
      await sleep(KILL_PAUSE_MS);
    }
    const killedAt = performance.now();
    await follower.kill();
    const there = look(await follower.restore());
    const gone = turns.find(({ last }) => last > there.last);
    return { ageMs: gone ? killedAt - gone.doneAt : 0, fault: there.fault };
  } finally {
    await follower.kill();
    state.remove();
  }
}

function look(file: string): { last: number; fault: string | null } {
  const database = new DatabaseSync(file);
  try {
    const found = database
      .prepare("SELECT max(n) AS last, count(*) AS count FROM rows WHERE n > 0")
      .get();
    const last = Number(found?.last ?? 0);
    const count = Number(found?.count);
    if (count !== last) return { last, fault: `${count} rows of ${last}: not a prefix` };
    const words = String(database.prepare("PRAGMA integrity_check").get()?.integrity_check);
    return { last, fault: words === "ok" ? null : words };
  } finally {
    database.close();
  }
}

const between = ({ least, most }: { least: number; most: number }): number =>
  least + Math.random() * (most - least);

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
