import type { Clock } from "../clock.ts";

/** How much a bucket holds, as time to drain, ms: a minute's worth at once is let through. */
export const RATE_WINDOW_MS = 60_000;

/**
 * Buckets that drain by time alone. What is poured in is measured in the time it takes to drain: at 120 a
 * minute one costs 500 ms. Contract suite: test/contracts/rate-store.ts.
 */
export interface RateStore {
  /**
   * Pours `costMs` into a bucket that would not hold more than {@link RATE_WINDOW_MS} then, and returns
   * 0; otherwise changes nothing and returns in how many ms it would fit. `force` pours in any case:
   * what was used was used. A negative cost takes out what was poured in for nothing.
   */
  charge(bucket: string, costMs: number, force: boolean): Promise<number>;
}

/** Buckets that drained are forgotten when so many are known. */
const SWEEP_AT = 10_000;

/** Buckets of this process: for one machine, and while the shared ones cannot be had. */
export class MemoryRates implements RateStore {
  readonly #clock: Clock;
  /** When each bucket will be empty. */
  readonly #until = new Map<string, number>();
  #sweepAt = SWEEP_AT;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async charge(bucket: string, costMs: number, force: boolean): Promise<number> {
    const now = this.#clock.now();
    const left = Math.max(0, (this.#until.get(bucket) ?? 0) - now);
    const after = left + costMs;
    if (!force && after > RATE_WINDOW_MS) return Math.ceil(after - RATE_WINDOW_MS);
    if (after > 0) this.#until.set(bucket, now + after);
    else this.#until.delete(bucket);
    if (this.#until.size >= this.#sweepAt) this.#sweep(now);
    return 0;
  }

  #sweep(now: number): void {
    for (const [bucket, until] of this.#until) if (until <= now) this.#until.delete(bucket);
    this.#sweepAt = Math.max(SWEEP_AT, 2 * this.#until.size);
  }
}
