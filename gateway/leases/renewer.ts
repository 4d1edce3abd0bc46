import type { Clock } from "../clock.ts";
import type { Extend } from "../keeper/protocol.ts";
import type { Deadlines } from "./deadlines.ts";
import { type LeaseStore, StoreUnavailable } from "./store.ts";
import type { FromThread, HeldSlot, LeaseTimings, NodeReport } from "./thread-protocol.ts";

export interface RenewerParts {
  store: LeaseStore;
  clock: Clock;
  deadlines: Deadlines;
  timings: LeaseTimings;
  /** Writes one line to the keeper, at once and whole; throws when it cannot. Null: no keeper. */
  extend: ((line: string) => void) | null;
  post(message: FromThread): void;
}

/**
 * Keeps the leases of a node alive. Belongs to the lease thread; knows of no threads itself.
 *
 * A renewal counts from the moment it was *sent*. What it confirmed is first written to the keeper and
 * only then to the router's deadlines: without a keeper that can kill, nothing may go on serving.
 */
export class Renewer {
  readonly #parts: RenewerParts;
  #held: HeldSlot[] = [];
  #report: NodeReport | null = null;
  /** Store that last confirmed each grant. */
  #confirmed = new Map<number, string>();
  #lastView = Number.NEGATIVE_INFINITY;
  #silent = false;

  constructor(parts: RenewerParts) {
    this.#parts = parts;
  }

  setHeld(held: HeldSlot[]): void {
    this.#held = held;
    const grants = new Set(held.map((one) => one.grant));
    for (const grant of this.#confirmed.keys()) {
      if (!grants.has(grant)) this.#confirmed.delete(grant);
    }
  }

  /** True when others wait for this news: a shard opened, closed or changed its state. */
  setReport(report: NodeReport): boolean {
    const news = shardStates(this.#report) !== shardStates(report);
    this.#report = report;
    return news;
  }

  /** True while the main thread has given no sign of life for too long. */
  mainSilent(): boolean {
    const { clock, deadlines, timings, post } = this.#parts;
    const silent = clock.now() - deadlines.lastSignOfLife() > timings.mainSilenceMs;
    if (silent && !this.#silent) {
      post({
        type: "log",
        level: "error",
        message: `the main thread gave no sign of life for ${timings.mainSilenceMs} ms; its leases are left to run out`,
      });
    }
    this.#silent = silent;
    return silent;
  }

  /** One renewal of everything held. Returns the pause until the next, ms. */
  async renew(): Promise<number> {
    const { store, clock, deadlines, timings, post } = this.#parts;
    const report = this.#report;
    if (!report || this.mainSilent()) return timings.retryEveryMs;
    const held = this.#held.filter((one) => deadlines.granted(one.slot, one.grant));
    const sentAt = clock.now();
    try {
      const { kept, lost, view } = await withTimeout(
        store.renew({
          node: { ...report, beat: 0 },
          held: held.map(({ shard, epoch, position, release, slot, grant, storeId }) => ({
            shard,
            epoch,
            position,
            ...(release === undefined ? {} : { release }),
            until: deadlines.deadline(slot),
            storeId: this.#confirmed.get(grant) ?? storeId,
          })),
        }),
        timings.renewTimeoutMs,
        "the renewal",
      );
      const keptSlots = held.filter((one) => kept.includes(one.shard));
      for (const one of keptSlots) this.#confirmed.set(one.grant, view.storeId);
      this.#grantTime(
        sentAt + timings.holdMs,
        keptSlots,
        held.filter((one) => lost.includes(one.shard)),
      );
      this.#lastView = clock.now();
      const sent = held.map(({ shard, epoch, position }) => ({ shard, epoch, position }));
      post({ type: "renewed", sentAt, held: sent, kept, lost, view });
      return Math.max(0, sentAt + timings.renewEveryMs - clock.now());
    } catch (error) {
      post({ type: "unavailable", message: (error as Error).message });
      return timings.retryEveryMs;
    }
  }

  /** Looks at the store, unless that was done lately. */
  async look(): Promise<void> {
    const { store, clock, timings, post } = this.#parts;
    if (clock.now() - this.#lastView < timings.viewEveryMs || this.mainSilent()) return;
    try {
      const view = await withTimeout(store.read(), timings.renewTimeoutMs, "reading");
      this.#lastView = clock.now();
      post({ type: "view", view });
    } catch (error) {
      post({ type: "unavailable", message: (error as Error).message });
    }
  }

  #grantTime(deadline: number, kept: HeldSlot[], lost: HeldSlot[]): void {
    const { deadlines, extend, post } = this.#parts;
    deadlines.locked(() => {
      for (const one of lost) deadlines.setDeadline(one.slot, one.grant, 0);
      const now = kept.filter((one) => deadlines.granted(one.slot, one.grant));
      try {
        if (extend && now.length > 0) {
          const shards = Object.fromEntries(now.map((one) => [one.shard, one.epoch]));
          extend(`${JSON.stringify({ deadline, shards } satisfies Extend)}\n`);
        }
      } catch (error) {
        post({ type: "keeper-lost", message: (error as Error).message });
        return;
      }
      for (const one of now) deadlines.setDeadline(one.slot, one.grant, deadline);
      deadlines.setStore(deadline);
    });
  }
}

function shardStates(report: NodeReport | null): string {
  return Object.entries(report?.shards ?? {})
    .map(([shard, { state, open, epoch }]) => `${shard} ${state} ${open} ${epoch}`)
    .sort()
    .join();
}

async function withTimeout<T>(work: Promise<T>, timeoutMs: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new StoreUnavailable(`${what} took longer than ${timeoutMs} ms`));
    }, timeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
