/**
 * The contract of a state store. Every back end must pass it.
 *
 * 1. `open` gives a directory for the shard, the same content that the last epoch left, and writes a
 *    marker that is not final; it refuses any epoch at or below the highest ever seen.
 * 2. Of several that open under one epoch, at most one succeeds.
 * 3. The highest epoch never falls, not even when the marker is damaged; a damaged marker is moved
 *    aside and reads as none.
 * 4. `setCage` and `finish` work for the epoch that is open, and for no other.
 * 5. State of another fleet or shard, or of unknown origin, is refused with ForeignState, untouched.
 * 6. `remove` refuses state that was not finished, unless forced; it never removes foreign state.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ForeignState, type StateStore } from "../../gateway/state/store.ts";

export interface StateWorld {
  /** A further client of the same state, of this fleet unless named. */
  open(fleet?: string): StateStore;
  /** Damages the marker of a shard as a power cut might. */
  tearMarker?(shard: string): Promise<void>;
  /** Puts something of unknown origin where the shard's state would be. */
  plant?(shard: string): Promise<void>;
  close(): Promise<void>;
}

export function markerOf(epoch: number, shard = "s1", fleet = "f1") {
  const node = "n1";
  return { fleet, shard, node, incarnation: `i${epoch}`, epoch, bootId: "b", cage: null };
}

export function stateStoreContract(name: string, makeWorld: () => Promise<StateWorld>): void {
  describe(`${name} keeps the state store's contract`, () => {
    let world: StateWorld;
    let store: StateStore;
    beforeEach(async () => {
      world = await makeWorld();
      store = world.open();
    });
    afterEach(() => world.close());

    it("knows nothing of a shard that never was", async () => {
      expect(await store.highestEpoch("s1")).toBe(0);
      expect(await store.marker("s1")).toBeNull();
      await store.remove("s1");
    });

    it("hands the content on from epoch to epoch", async () => {
      const first = await store.open(markerOf(1));
      writeFileSync(join(first.stateDir, "memory"), "kept");
      expect(await store.marker("s1")).toEqual({ ...markerOf(1), final: false });
      await store.setCage("s1", 1, "cage-1");
      await store.finish("s1", 1);
      expect(await store.marker("s1")).toEqual({ ...markerOf(1), cage: "cage-1", final: true });
      const second = await world.open().open(markerOf(7));
      expect(readFileSync(join(second.stateDir, "memory"), "utf8")).toBe("kept");
      expect(await store.marker("s1")).toEqual({ ...markerOf(7), final: false });
      expect(await store.highestEpoch("s1")).toBe(7);
    });

    it("refuses an epoch that does not exceed the highest, and changes nothing", async () => {
      await store.open(markerOf(5));
      for (const epoch of [4, 5]) {
        await expect(world.open().open(markerOf(epoch))).rejects.toThrow(/has seen epoch 5/);
      }
      expect((await store.marker("s1"))?.incarnation).toBe("i5");
    });

    it("lets one of many open under one epoch", async () => {
      for (let epoch = 1; epoch <= 5; epoch++) {
        const tries = [1, 2, 3, 4].map((n) =>
          world.open().open({ ...markerOf(epoch), node: `n${n}` }),
        );
        const done = await Promise.allSettled(tries);
        const winners = done.flatMap((one, n) => (one.status === "fulfilled" ? [`n${n + 1}`] : []));
        expect(winners).toHaveLength(1);
        expect((await store.marker("s1"))?.node).toBe(winners[0]);
      }
    });

    it("lets no earlier epoch write after a later one opened", async () => {
      await store.open(markerOf(1));
      await world.open().open(markerOf(2));
      await expect(store.setCage("s1", 1, "old")).rejects.toThrow(/not under epoch 1, but 2/);
      await expect(store.finish("s1", 1)).rejects.toThrow(/not under epoch 1, but 2/);
      expect(await store.marker("s1")).toEqual({ ...markerOf(2), final: false });
    });

    it("keeps the highest epoch when the marker is torn", async (context) => {
      if (!world.tearMarker) return context.skip();
      await store.open(markerOf(6));
      await world.tearMarker("s1");
      expect(await store.marker("s1")).toBeNull();
      expect(await world.open().highestEpoch("s1")).toBe(6);
      await expect(store.open(markerOf(6))).rejects.toThrow(/has seen epoch 6/);
      await expect(store.remove("s1")).rejects.toThrow(/unknown owner/);
      await store.open(markerOf(7));
      expect((await store.marker("s1"))?.epoch).toBe(7);
    });

    it("refuses another fleet's state and what it does not know", async (context) => {
      await store.open(markerOf(1));
      const other = world.open("f2");
      const refusal = other.open(markerOf(2, "s1", "f2"));
      await expect(refusal).rejects.toBeInstanceOf(ForeignState);
      await expect(refusal).rejects.toThrow(/shard s1 of fleet f1, not of shard s1 of fleet f2/);
      await expect(other.remove("s1", { force: true })).rejects.toBeInstanceOf(ForeignState);
      expect((await store.marker("s1"))?.epoch).toBe(1);
      if (!world.plant) return context.skip();
      await world.plant("s2");
      await expect(store.open(markerOf(1, "s2"))).rejects.toBeInstanceOf(ForeignState);
      await expect(store.remove("s2", { force: true })).rejects.toBeInstanceOf(ForeignState);
    });

    it("removes what was finished, and the rest only by force", async () => {
      await store.open(markerOf(1));
      await expect(store.remove("s1")).rejects.toThrow(/not closed cleanly by n1 under epoch 1/);
      await store.finish("s1", 1);
      await store.remove("s1");
      expect(await store.marker("s1")).toBeNull();
      await store.open(markerOf(1));
      await store.remove("s1", { force: true });
      expect(await store.highestEpoch("s1")).toBe(0);
    });
  });
}
