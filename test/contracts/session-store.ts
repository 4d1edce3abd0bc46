/**
 * The contract of a session store. Every back end must pass it.
 *
 * 1. A session's shard is set once: the first `assign` or `rebuild` wins, for every client, until
 *    `dropShard`. No stored entry ever changes its shard.
 * 2. A key is claimed by one caller at a time. A repeat sees `running`, then `done` with the same
 *    answer; another body is a `mismatch` for as long as the key is known.
 * 3. A claim lapses after its time unless refreshed or finished. Who takes it over gets the earlier run
 *    id; an abandoned key is new. Only the holder of the run id refreshes, finishes or abandons, and
 *    nothing changes a finished answer.
 * 4. Answers are kept for their time, on a clock that nobody steps.
 * 5. After a loss the map is empty, `generation` is another one for every client, and all works on.
 */
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { IDEMPOTENCY } from "../../gateway/contract.ts";
import type { SessionStore } from "../../gateway/sessions/store.ts";

export interface SessionWorld {
  /** A further client, as another process would be. */
  open(): SessionStore;
  clock: { advance(ms: number): void | Promise<void> };
  /**
   * The suite's times are multiples of this, ms: a store on a clock that runs by itself needs room
   * between a moment and the next. @default 1
   */
  unitMs?: number;
  /** Everything stored is gone. */
  lose?(): Promise<void>;
  /** Remembers the content; `swapOld` puts it in place of the store. */
  save?(): Promise<void>;
  swapOld?(): Promise<void>;
  close(): Promise<void>;
}

const ANSWER = { status: 200, headers: { "content-type": "text/plain" }, body: "forty-two" };

export function sessionStoreContract(name: string, makeWorld: () => Promise<SessionWorld>): void {
  describe(`${name} keeps the session store's contract`, () => {
    let world: SessionWorld;
    let a: SessionStore;
    let b: SessionStore;
    let unit: number;
    let leaseMs: number;
    beforeEach(async () => {
      world = await makeWorld();
      unit = world.unitMs ?? 1;
      leaseMs = 1_000 * unit;
      a = world.open();
      b = world.open();
    });
    afterEach(() => world.close());

    it("gives a session to the first shard, for everybody", async () => {
      expect(await a.lookup("main", "x")).toBeNull();
      expect(await a.assign("main", "x", "s1")).toBe("s1");
      expect(await b.assign("main", "x", "s2")).toBe("s1");
      expect(await b.lookup("main", "x")).toBe("s1");
      expect(await b.assign("other", "x", "s2")).toBe("s2");
      expect(await a.counts()).toEqual({
        byShard: { s1: 1, s2: 1 },
        byAgent: { main: 1, other: 1 },
      });
    });

    it("rebuilds without touching what is stored, and counts what was new", async () => {
      await a.assign("main", "x", "s1");
      const entries = ["x", "y", "y"].map((session) => ({ agent: "main", session, shard: "s2" }));
      expect(await b.rebuild(entries)).toBe(1);
      expect(await a.lookup("main", "x")).toBe("s1");
      expect(await a.lookup("main", "y")).toBe("s2");
    });

    it("forgets the sessions of a dropped shard, for every client at once", async () => {
      for (const session of ["x", "y"]) await a.assign("main", session, "s1");
      await a.assign("main", "z", "s2");
      expect(await b.lookup("main", "x")).toBe("s1");
      expect(await a.dropShard("s1")).toBe(2);
      expect(await b.lookup("main", "x")).toBeNull();
      expect(await b.assign("main", "x", "s3")).toBe("s3");
      expect(await a.lookup("main", "z")).toBe("s2");
    });

    it("lets one caller work on a key and gives its answer to the others", async () => {
      const claims = await Promise.all([
        a.claim("k", "h", "run-a", leaseMs),
        b.claim("k", "h", "run-b", leaseMs),
      ]);
      const outcomes = claims.map((claim) => claim.outcome).sort();
      expect(outcomes).toEqual(["claimed", "running"]);
      const runId = (claims[0].outcome === "claimed" ? "run-a" : "run-b") as string;
      expect(claims.map((claim) => "runId" in claim && claim.runId)).toEqual([runId, runId]);
      expect(await b.claim("k", "other body", "run-c", leaseMs)).toEqual({ outcome: "mismatch" });
      expect(await b.finish("k", "somebody else", ANSWER, 10 * leaseMs)).toBe(false);
      expect(await b.finish("k", runId, ANSWER, 10 * leaseMs)).toBe(true);
      expect(await a.claim("k", "h", "run-d", leaseMs)).toEqual({
        outcome: "done",
        runId,
        answer: ANSWER,
      });
      expect(await a.claim("k", "other body", "x", leaseMs)).toEqual({ outcome: "mismatch" });
      expect(await a.finish("k", runId, { ...ANSWER, body: "no" }, 1)).toBe(false);
      expect(await a.refresh("k", runId, 1)).toBe(false);
      await a.abandon("k", runId);
      expect((await b.claim("k", "h", "run-e", leaseMs)).outcome).toBe("done");
    });

    it("lets a claim lapse that nobody refreshes, and hands its run id on", async () => {
      await a.claim("k", "h", "run-a", leaseMs);
      await world.clock.advance(leaseMs - unit);
      expect((await b.claim("k", "h", "run-b", leaseMs)).outcome).toBe("running");
      expect(await a.refresh("k", "run-a", leaseMs)).toBe(true);
      await world.clock.advance(leaseMs - unit);
      expect((await b.claim("k", "h", "run-b", leaseMs)).outcome).toBe("running");
      await world.clock.advance(unit);
      expect(await b.claim("k", "other", "run-b", leaseMs)).toEqual({ outcome: "mismatch" });
      expect(await b.claim("k", "h", "run-b", leaseMs)).toEqual({
        outcome: "claimed",
        runId: "run-a",
      });
      expect((await a.claim("k", "h", "run-c", leaseMs)).outcome).toBe("running");
    });

    it("treats an abandoned key as new, for its holder alone", async () => {
      await a.claim("k", "h", "run-a", leaseMs);
      await b.abandon("k", "run-b");
      expect((await b.claim("k", "h", "run-b", leaseMs)).outcome).toBe("running");
      await a.abandon("k", "run-a");
      expect(await b.claim("k", "another body", "run-b", leaseMs)).toEqual({
        outcome: "claimed",
        runId: "run-b",
      });
      expect(await a.refresh("k", "run-a", leaseMs)).toBe(false);
    });

    it("keeps an answer of the largest size for its time, and no longer", async () => {
      await a.claim("k", "h", "run-a", leaseMs);
      const answer = { ...ANSWER, body: "ä".repeat(IDEMPOTENCY.maxAnswerBytes / 2) };
      await expect(
        a.finish("k", "run-a", { ...answer, body: `${answer.body}x` }, 1),
      ).rejects.toBeInstanceOf(RangeError);
      expect(await a.finish("k", "run-a", answer, IDEMPOTENCY.keepMs)).toBe(true);
      await world.clock.advance(IDEMPOTENCY.keepMs - unit);
      expect(await b.claim("k", "h", "x", leaseMs)).toMatchObject({ outcome: "done", answer });
      await world.clock.advance(unit);
      expect(await b.claim("k", "h2", "run-b", leaseMs)).toEqual({
        outcome: "claimed",
        runId: "run-b",
      });
    });

    it("starts empty after a loss, under another generation", async (context) => {
      if (!world.lose) return context.skip();
      const before = await a.generation();
      expect(await b.generation()).toBe(before);
      await a.assign("main", "x", "s1");
      await world.lose();
      expect(await b.lookup("main", "x")).toBeNull();
      expect(await b.generation()).not.toBe(before);
      expect(await a.assign("main", "x", "s2")).toBe("s2");
      expect(await a.generation()).toBe(await b.generation());
      expect(await b.lookup("main", "x")).toBe("s2");
    });

    it("believes nothing that an old copy says", async (context) => {
      if (!world.save || !world.swapOld) return context.skip();
      await a.assign("main", "x", "s1");
      await world.save();
      const before = await a.generation();
      await a.dropShard("s1");
      await b.assign("main", "x", "s2");
      await world.swapOld();
      expect(await a.generation()).not.toBe(before);
      expect(await a.lookup("main", "x")).toBeNull();
      expect(await b.generation()).toBe(await a.generation());
      expect(await b.assign("main", "x", "s3")).toBe("s3");
      expect(await a.lookup("main", "x")).toBe("s3");
    });

    it("never gives one key to two, and never two shards to one session", async () => {
      const action = fc.record({
        client: fc.nat({ max: 2 }),
        what: fc.constantFrom("claim", "refresh", "finish", "abandon", "assign", "wait"),
        run: fc.constantFrom("r1", "r2", "r3"),
        key: fc.constantFrom("k1", "k2"),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(action, { maxLength: 40 }), async (actions) => {
          const fresh = await makeWorld();
          try {
            const clients = [fresh.open(), fresh.open(), fresh.open()];
            const model = new Map<string, { run: string; until: number; done: boolean }>();
            const shards = new Map<string, string>();
            let now = 0;
            for (const { client, what, run, key } of actions) {
              const store = clients[client] as SessionStore;
              const row = model.get(key);
              const mine = row?.run === run && !row.done;
              if (what === "wait") {
                now += 400;
                await fresh.clock.advance(400 * unit);
              } else if (what === "claim") {
                const claim = await store.claim(key, "h", run, leaseMs);
                if (row?.done) {
                  expect(claim).toMatchObject({ outcome: "done", answer: { body: row.run } });
                } else if (row && now < row.until) {
                  expect(claim).toEqual({ outcome: "running", runId: row.run });
                } else {
                  const runId = row?.run ?? run;
                  expect(claim).toEqual({ outcome: "claimed", runId });
                  model.set(key, { run: runId, until: now + 1_000, done: false });
                }
              } else if (what === "refresh") {
                expect(await store.refresh(key, run, leaseMs)).toBe(mine);
                if (mine && row) row.until = now + 1_000;
              } else if (what === "finish") {
                const answer = { ...ANSWER, body: run };
                expect(await store.finish(key, run, answer, IDEMPOTENCY.keepMs * 1_000)).toBe(mine);
                if (mine && row) row.done = true;
              } else if (what === "abandon") {
                await store.abandon(key, run);
                if (mine) model.delete(key);
              } else {
                const stored = await store.assign("main", key, run);
                expect(stored).toBe(shards.get(key) ?? run);
                shards.set(key, stored);
              }
            }
          } finally {
            await fresh.close();
          }
        }),
        { numRuns: 30 },
      );
    });
  });
}
