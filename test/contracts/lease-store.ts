/**
 * The contract of a lease store. Every back end must pass it.
 *
 * 1. Each operation is atomic and seen by every other client as soon as it returned.
 * 2. `acquire` takes a lease only if its row is exactly as expected (epoch, beat and owner; or no row)
 *    and the new epoch is higher; of two clients with the same expectation one wins. The beat grows.
 *    With a `storeId`, any other store answers null.
 * 3. `renew` moves the beat of what is the caller's, node and incarnation, and publishes its position;
 *    a higher epoch, or the same under another name, is `lost` and stays as it is. An absent or older
 *    row is written anew while the caller's deadline has not passed, and is `lost` afterwards.
 * 4. `release` gives up exactly the named lease; epoch and position stay, the beat moves. A second call
 *    is false and changes nothing.
 * 5. Pins, maintenance and node records are what was last written; a forgotten node leaves nothing.
 * 6. History keeps the newest 1,000 entries, oldest first.
 * 7. A store that was lost, or replaced by an older one, has another `storeId` for every client, and is
 *    not `pristine`; it works on.
 * 8. A store that cannot be reached throws StoreUnavailable, and works again once it can be.
 */
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { HISTORY_LIMIT } from "../../gateway/leases/sqlite-rows.ts";
import { type LeaseStore, StoreUnavailable } from "../../gateway/leases/store.ts";
import { acquireRequest, heldBy, nodeRecord } from "./lease-fixtures.ts";
import { commands, LeaseModel } from "./lease-model.ts";

/** One store with its faults, fresh for each test. Faults that a back end cannot have are missing. */
export interface LeaseWorld {
  /** A further client, as another process would be. Closed by `close`. */
  open(): LeaseStore;
  /** The clock of deadlines, moved by the test. */
  clock: { now(): number; advance(ms: number): void };
  /** Everything stored is gone. */
  lose?(): Promise<void>;
  /** Remembers the content; {@link swapOld} brings it back as another store. */
  save?(): Promise<void>;
  swapOld?(): Promise<void>;
  /** Puts the saved content back without replacing the store. */
  restoreInPlace?(): Promise<void>;
  /** Makes the store unreachable, or reachable again. */
  block?(on: boolean): Promise<void>;
  close(): Promise<void>;
}

export function leaseStoreContract(name: string, makeWorld: () => Promise<LeaseWorld>): void {
  describe(`${name} keeps the lease store's contract`, () => {
    let world: LeaseWorld;
    let a: LeaseStore;
    let b: LeaseStore;
    beforeEach(async () => {
      world = await makeWorld();
      a = world.open();
      b = world.open();
    });
    afterEach(() => world.close());

    it("starts empty and pristine, the same store for every client", async () => {
      const view = await a.read();
      expect(view).toMatchObject({ pristine: true, leases: {}, nodes: {}, pins: {} });
      expect((await b.read()).storeId).toBe(view.storeId);
    });

    it("gives an unowned shard to exactly one of two takers", async () => {
      const taken = await Promise.all([
        a.acquire(acquireRequest("n1", 1, null)),
        b.acquire(acquireRequest("n2", 1, null)),
      ]);
      expect(taken.filter(Boolean)).toHaveLength(1);
      const winner = taken.find(Boolean);
      expect((await b.read()).leases.s1).toEqual(winner);
      expect(winner).toMatchObject({ epoch: 1, release: "r1", bootId: "boot-1", handTo: null });
    });

    it("refuses an acquire whose expectation is old, or whose epoch does not exceed", async () => {
      const first = await a.acquire(acquireRequest("n1", 4, null));
      expect(await b.acquire(acquireRequest("n2", 5, null))).toBeNull();
      for (const wrong of [{ epoch: 3 }, { beat: 99 }, { owner: "n3" }]) {
        const expected = { epoch: 4, beat: first?.beat ?? 0, owner: "n1", ...wrong };
        expect(await b.acquire(acquireRequest("n2", 5, expected))).toBeNull();
      }
      const exact = { epoch: 4, beat: first?.beat ?? 0, owner: "n1" };
      expect(await b.acquire(acquireRequest("n2", 4, exact))).toBeNull();
      expect(await b.acquire({ ...acquireRequest("n2", 5, exact), storeId: "other" })).toBeNull();
      const { storeId } = await b.read();
      expect(await b.acquire({ ...acquireRequest("n2", 9, exact), storeId })).toMatchObject({
        owner: "n2",
        epoch: 9,
        beat: exact.beat + 1,
      });
    });

    it("renews what is the caller's, with its position, and moves beats each time", async () => {
      await a.acquire(acquireRequest("n1", 1, null));
      const before = (await b.read()).leases.s1?.beat ?? 0;
      const first = await a.renew({ node: nodeRecord("n1"), held: [heldBy(1, "at-7")] });
      expect(first).toMatchObject({ kept: ["s1"], lost: [] });
      expect(first.view.leases.s1).toMatchObject({ beat: before + 1, position: "at-7" });
      const second = await a.renew({ node: nodeRecord("n1"), held: [heldBy(1, "at-8")] });
      expect(second.view.nodes.n1?.beat).toBeGreaterThan(first.view.nodes.n1?.beat ?? 0);
      expect((await b.read()).leases.s1).toEqual(second.view.leases.s1);
    });

    it("keeps the release of a lease until its owner says another, and after it was given up", async () => {
      await a.acquire({ ...acquireRequest("n1", 1, null), release: "r0" });
      const renew = async (release?: string) => {
        const held = [{ ...heldBy(1), ...(release ? { release } : {}) }];
        return (await a.renew({ node: nodeRecord("n1"), held })).view.leases.s1?.release;
      };
      expect(await renew()).toBe("r0");
      expect(await renew("r2")).toBe("r2");
      expect(await renew()).toBe("r2");
      const end = { position: null, handTo: null, reason: "" };
      await a.release({ shard: "s1", node: "n1", incarnation: "inc-n1", epoch: 1, ...end });
      expect((await b.read()).leases.s1).toMatchObject({ owner: null, release: "r2" });
    });

    it("reports a lease that another node or incarnation has as lost and leaves it alone", async () => {
      await a.acquire(acquireRequest("n1", 5, null));
      const row = (await a.read()).leases.s1;
      for (const [node, incarnation, epoch] of [
        ["n2", "inc-n2", 5],
        ["n1", "inc-older", 5],
        ["n1", "inc-n1", 4],
      ] as const) {
        const record = { ...nodeRecord(node), incarnation };
        const result = await b.renew({ node: record, held: [heldBy(epoch)] });
        expect(result).toMatchObject({ kept: [], lost: ["s1"] });
        expect(result.view.leases.s1).toEqual(row);
      }
    });

    it("writes a held lease anew where it is absent or older, but only before its deadline", async () => {
      const now = world.clock.now();
      const late = await a.renew({
        node: nodeRecord("n1"),
        held: [{ ...heldBy(7), until: now }],
      });
      expect(late).toMatchObject({ kept: [], lost: ["s1"] });
      expect(late.view.leases).toEqual({});
      await b.acquire(acquireRequest("n2", 3, null));
      const beat = (await b.read()).leases.s1?.beat ?? 0;
      const good = await a.renew({
        node: nodeRecord("n1"),
        held: [{ ...heldBy(7), until: now + 1 }],
      });
      expect(good).toMatchObject({ kept: ["s1"], lost: [] });
      expect(good.view.leases.s1).toMatchObject({ owner: "n1", epoch: 7, release: "r1" });
      expect(good.view.leases.s1?.beat).toBeGreaterThan(beat);
    });

    it("past the deadline goes on only in the store that confirmed the lease last", async () => {
      await a.acquire(acquireRequest("n1", 2, null));
      const { storeId } = await a.read();
      const until = world.clock.now();
      const node = nodeRecord("n1");
      const other = { ...heldBy(2), until, storeId: "another" };
      expect((await a.renew({ node, held: [other] })).lost).toEqual(["s1"]);
      const same = { ...heldBy(2), until, storeId };
      expect((await a.renew({ node, held: [same] })).kept).toEqual(["s1"]);
    });

    it("releases exactly the named lease, once", async () => {
      await a.acquire(acquireRequest("n1", 3, null));
      const release = {
        shard: "s1",
        node: "n1",
        incarnation: "inc-n1",
        epoch: 3,
        position: "end",
        handTo: "n2",
        reason: "drained",
      };
      expect(await b.release({ ...release, epoch: 2 })).toBe(false);
      expect(await b.release({ ...release, incarnation: "x" })).toBe(false);
      const { beat } = (await a.read()).leases.s1 ?? { beat: 0 };
      expect(await a.release(release)).toBe(true);
      const row = (await b.read()).leases.s1;
      expect(row).toMatchObject({ owner: null, epoch: 3, position: "end", handTo: "n2" });
      expect(row?.beat).toBeGreaterThan(beat);
      expect(await a.release(release)).toBe(false);
      expect((await b.read()).leases.s1).toEqual(row);
      expect((await a.renew({ node: nodeRecord("n1"), held: [heldBy(3)] })).lost).toEqual(["s1"]);
      const expected = { epoch: 3, beat: row?.beat ?? 0, owner: null };
      const next = await b.acquire(acquireRequest("n2", 4, expected));
      expect(next).toMatchObject({ owner: "n2", position: "end", handTo: null, reason: null });
    });

    it("keeps pins, maintenance and nodes, and forgets all of a node at once", async () => {
      await a.renew({ node: nodeRecord("n1"), held: [] });
      await a.setPin("s1", "n1");
      await a.setPin("s2", "n2");
      await a.setMaintenance("n1", true);
      const { maintenance } = await b.read();
      expect(Date.parse(maintenance.n1?.since ?? "")).not.toBeNaN();
      await b.setMaintenance("n1", true);
      expect((await b.read()).maintenance).toEqual(maintenance);
      await b.setPin("s2", null);
      expect((await a.read()).pins).toEqual({ s1: "n1" });
      await b.forgetNode("n1");
      expect(await a.read()).toMatchObject({ nodes: {}, pins: {}, maintenance: {} });
    });

    it("keeps the newest entries of the history, oldest first", async () => {
      const entry = (n: number) => ({
        at: new Date(n).toISOString(),
        shard: "s1",
        node: null,
        event: "moved",
        detail: `entry ${n}`,
      });
      const many = Array.from({ length: HISTORY_LIMIT + 5 }, (_, n) => entry(n));
      await a.appendHistory(many.slice(0, 7));
      await b.appendHistory(many.slice(7));
      expect(await a.history(3)).toEqual(many.slice(-3));
      expect(await b.history(2 * HISTORY_LIMIT)).toEqual(many.slice(5));
    });

    it("is another store after a loss, and holders write themselves back", async (context) => {
      if (!world.lose) return context.skip();
      await a.acquire(acquireRequest("n1", 5, null));
      const before = await b.read();
      await world.lose();
      const until = world.clock.now() + 1_000;
      const held = [{ ...heldBy(5), until, storeId: before.storeId }];
      const { kept, view } = await eventually(() => a.renew({ node: nodeRecord("n1"), held }));
      expect(kept).toEqual(["s1"]);
      expect(view).toMatchObject({ pristine: false, leases: { s1: { owner: "n1", epoch: 5 } } });
      expect(view.storeId).not.toBe(before.storeId);
      expect((await eventually(() => b.read())).storeId).toBe(view.storeId);
      // Who decided on the lost store cannot take from the new one.
      const stale = { ...acquireRequest("n2", 6, null, "s9"), storeId: before.storeId };
      expect(await b.acquire(stale)).toBeNull();
    });

    it("is another store when an older one was swapped in", async (context) => {
      if (!world.save || !world.swapOld) return context.skip();
      await a.acquire(acquireRequest("n1", 5, null));
      await world.save();
      const { storeId, leases } = await b.read();
      const expected = { epoch: 5, beat: leases.s1?.beat ?? 0, owner: "n1" };
      await b.acquire(acquireRequest("n2", 6, expected));
      await world.swapOld();
      // n1 lost the lease long ago: the old copy's row in its name revives nothing.
      const held = [{ ...heldBy(5), until: world.clock.now() - 1, storeId }];
      const stale = await eventually(() => a.renew({ node: nodeRecord("n1"), held }));
      expect(stale).toMatchObject({ kept: [], lost: ["s1"] });
      expect(stale.view.storeId).not.toBe(storeId);
      expect(stale.view.pristine).toBe(false);
      const live = [{ ...heldBy(6), until: world.clock.now() + 1_000, storeId }];
      const kept = await eventually(() => b.renew({ node: nodeRecord("n2"), held: live }));
      expect(kept.view).toMatchObject({
        storeId: stale.view.storeId,
        leases: { s1: { epoch: 6, owner: "n2" } },
      });
    });

    it("notices older content that was put back in place", async (context) => {
      if (!world.save || !world.restoreInPlace) return context.skip();
      await a.acquire(acquireRequest("n1", 5, null));
      await world.save();
      for (let n = 0; n < 3; n++) await a.renew({ node: nodeRecord("n1"), held: [heldBy(5)] });
      const { storeId } = await a.read();
      await world.restoreInPlace();
      const view = await eventually(() => a.read());
      expect(view.storeId).not.toBe(storeId);
      expect(view.pristine).toBe(false);
      expect((await b.read()).storeId).toBe(view.storeId);
    });

    it("throws StoreUnavailable while it cannot be reached, and works afterwards", async (context) => {
      if (!world.block) return context.skip();
      await a.acquire(acquireRequest("n1", 1, null));
      await world.block(true);
      const renewal = { node: nodeRecord("n1"), held: [heldBy(1)] };
      await expect(a.renew(renewal)).rejects.toBeInstanceOf(StoreUnavailable);
      await expect(b.setPin("s1", "n1")).rejects.toBeInstanceOf(StoreUnavailable);
      await world.block(false);
      expect((await a.renew(renewal)).kept).toEqual(["s1"]);
    });

    it("agrees with the model under any interleaving of clients and faults", async () => {
      await world.close();
      await fc.assert(
        fc.asyncProperty(fc.commands(commands, { maxCommands: 40 }), async (run) => {
          const fresh = await makeWorld();
          try {
            const clients = [fresh.open(), fresh.open(), fresh.open()];
            // A client that never saw the store may take an empty place for one that nobody founded.
            for (const client of clients) await client.read();
            await fc.asyncModelRun(
              () => ({ model: new LeaseModel(fresh), real: { world: fresh, clients } }),
              run,
            );
          } finally {
            await fresh.close();
          }
        }),
        { numRuns: 30 },
      );
      world = await makeWorld();
    });
  });
}

/** A fault may cost the first operation that meets it. */
export async function eventually<T>(operation: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await operation();
    } catch (error) {
      if (!(error instanceof StoreUnavailable) || tries === 4) throw error;
    }
  }
}
