/**
 * The contract of a store of rate limits. Every back end must pass it.
 *
 * 1. A bucket takes what fits into a minute's drain, and answers how long to wait for what does not;
 *    a refusal changes nothing.
 * 2. It drains by time, and an empty one is like one that never was.
 * 3. What is forced goes in whatever is in it; what is taken out makes room.
 * 4. All clients pour into the same buckets, and each drop is counted.
 */
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RATE_WINDOW_MS, type RateStore } from "../../gateway/limits/rates.ts";

export interface RateWorld {
  /** A further client, as another router would be; the same one where buckets are a process's own. */
  open(): RateStore;
  advance(ms: number): void | Promise<void>;
  /** Time may pass between two calls, at most so much, ms. @default 0 */
  slackMs?: number;
  close(): Promise<void>;
}

export function rateStoreContract(name: string, makeWorld: () => Promise<RateWorld>): void {
  describe(`${name} keeps the rate store's contract`, () => {
    let world: RateWorld;
    let a: RateStore;
    let b: RateStore;
    let slack: number;
    beforeEach(async () => {
      world = await makeWorld();
      a = world.open();
      b = world.open();
      slack = world.slackMs ?? 0;
    });
    afterEach(() => world.close());
    const about = (wait: number, expected: number) => {
      expect(wait).toBeLessThanOrEqual(expected + 1);
      expect(wait).toBeGreaterThan(expected - slack - 1);
    };

    it("takes a minute's worth at once, for all clients together, and then says how long to wait", async () => {
      for (let n = 0; n < 4; n++) expect(await (n % 2 ? a : b).charge("x", 15_000, false)).toBe(0);
      about(await a.charge("x", 15_000, false), 15_000);
      expect(await b.charge("y", 15_000, false)).toBe(0);
    });

    it("drains by time, and a refusal costs nothing", async () => {
      expect(await a.charge("x", RATE_WINDOW_MS, false)).toBe(0);
      for (let n = 0; n < 5; n++) about(await a.charge("x", 20_000, false), 20_000);
      await world.advance(20_000);
      expect(await b.charge("x", 20_000, false)).toBe(0);
      await world.advance(10 * RATE_WINDOW_MS);
      expect(await a.charge("x", RATE_WINDOW_MS, false)).toBe(0);
    });

    it("forces in what was used, so that the next one waits for all of it", async () => {
      expect(await a.charge("x", 3 * RATE_WINDOW_MS, true)).toBe(0);
      about(await b.charge("x", 0, false), 2 * RATE_WINDOW_MS);
      await world.advance(2 * RATE_WINDOW_MS);
      expect(await b.charge("x", 0, false)).toBe(0);
    });

    it("gives back what was poured in for nothing, and never less than nothing", async () => {
      expect(await a.charge("x", 50_000, false)).toBe(0);
      expect(await a.charge("x", -50_000, true)).toBe(0);
      expect(await b.charge("x", -50_000, true)).toBe(0);
      expect(await b.charge("x", RATE_WINDOW_MS, false)).toBe(0);
      expect(await b.charge("x", 10_000, false)).toBeGreaterThan(0);
    });

    it("loses no drop between clients that pour at the same time", async () => {
      await fc.assert(
        fc.asyncProperty(fc.uuid(), fc.integer({ min: 1, max: 30 }), async (bucket, callers) => {
          const cost = RATE_WINDOW_MS / 10;
          const waits = await Promise.all(
            Array.from({ length: callers }, (_, n) => (n % 2 ? a : b).charge(bucket, cost, false)),
          );
          const admitted = waits.filter((wait) => wait === 0).length;
          expect(admitted).toBe(Math.min(callers, 10));
        }),
        { numRuns: 20 },
      );
    });
  });
}
