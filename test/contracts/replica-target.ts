/**
 * The contract of a replica's target. Every back end must pass it.
 *
 * 1. An object is there whole or not at all, also while it is being put, and after its writer was killed.
 * 2. A key is written once; a second put is `exists` and changes nothing. Of several at once, one stores.
 * 3. What was stored, every client gets and lists.
 * 4. A target that refuses old epochs refuses puts and removes below the highest epoch shown to it, by any
 *    client, also after it was opened again.
 * 5. What cannot be reached throws TargetUnavailable; what is no key throws, and touches nothing.
 */
import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type ReplicaTarget,
  StaleEpoch,
  TargetUnavailable,
} from "../../gateway/replication/target.ts";

export interface TargetWorld {
  /** A further client of the same target, as another process would be. */
  open(): ReplicaTarget;
  /** From now on nothing of the target can be reached. */
  block?(): Promise<void>;
  /** Leaves what a writer leaves that was killed in the middle of a put. */
  killedWriter?(key: string): Promise<void>;
  close(): Promise<void>;
}

const text = (bytes: Buffer | null) => bytes?.toString() ?? null;

export function replicaTargetContract(name: string, makeWorld: () => Promise<TargetWorld>): void {
  describe(`${name} keeps the replica target's contract`, () => {
    let world: TargetWorld;
    let target: ReplicaTarget;
    beforeEach(async () => {
      world = await makeWorld();
      target = world.open();
    });
    afterEach(() => world.close());

    it("is empty at first", async () => {
      expect(await target.list("")).toEqual([]);
      expect(await target.list("chunks/")).toEqual([]);
      expect(await target.get("chunks/aa/aabb")).toBeNull();
      await target.remove(["chunks/aa/aabb"], 1);
    });

    it("gives back what was put, to everybody", async () => {
      const large = randomBytes(300_000);
      expect(await target.put("chunks/aa/aabb", large, 1)).toBe("stored");
      expect(await target.put("epochs/1-n/x.manifest", Buffer.alloc(0), 1)).toBe("stored");
      const other = world.open();
      expect((await other.get("chunks/aa/aabb"))?.equals(large)).toBe(true);
      expect(await other.get("epochs/1-n/x.manifest")).toEqual(Buffer.alloc(0));
      const listed = (await other.list("")).map(({ key, bytes }) => [key, bytes]);
      expect(listed.sort()).toEqual([
        ["chunks/aa/aabb", 300_000],
        ["epochs/1-n/x.manifest", 0],
      ]);
    });

    it("lists what is below a prefix, and nothing that is only named alike", async () => {
      for (const key of ["a/b/1", "a/b/2", "a/bc/3", "a/d", "e"]) {
        await target.put(key, Buffer.from(key), 1);
      }
      const keys = async (prefix: string) =>
        (await target.list(prefix)).map(({ key }) => key).sort();
      expect(await keys("a/b/")).toEqual(["a/b/1", "a/b/2"]);
      expect(await keys("a/")).toEqual(["a/b/1", "a/b/2", "a/bc/3", "a/d"]);
      expect(await keys("x/")).toEqual([]);
      expect(await target.get("a/b")).toBeNull();
    });

    it("writes a key once", async () => {
      expect(await target.put("a/b", Buffer.from("first"), 1)).toBe("stored");
      expect(await world.open().put("a/b", Buffer.from("second"), 2)).toBe("exists");
      expect(text(await target.get("a/b"))).toBe("first");
    });

    it("lets one of many store a key", async () => {
      for (let round = 0; round < 5; round++) {
        const key = `a/${round}`;
        const tries = [1, 2, 3, 4].map((n) => world.open().put(key, Buffer.from(`n${n}`), 1));
        const outcomes = await Promise.all(tries);
        expect(outcomes.filter((outcome) => outcome === "stored")).toHaveLength(1);
        expect(text(await target.get(key))).toBe(`n${outcomes.indexOf("stored") + 1}`);
      }
    });

    it("shows no part of an object", async (context) => {
      const large = randomBytes(4 * 2 ** 20);
      const puts = [1, 2, 3].map((n) => target.put(`a/${n}`, large, 1));
      let done = false;
      const all = Promise.all(puts).finally(() => {
        done = true;
      });
      while (!done) {
        for (const { key, bytes } of await target.list("")) {
          expect([key, bytes]).toEqual([key, large.length]);
          expect((await target.get(key))?.equals(large)).toBe(true);
        }
      }
      await all;
      if (!world.killedWriter) return context.skip();
      await world.killedWriter("a/9");
      expect(await target.get("a/9")).toBeNull();
      expect((await target.list("")).map(({ key }) => key).sort()).toEqual(["a/1", "a/2", "a/3"]);
      expect(await target.put("a/9", Buffer.from("whole"), 1)).toBe("stored");
    });

    it("removes what it is told, and may put it again", async () => {
      for (const key of ["a/1", "a/2", "a/3"]) await target.put(key, Buffer.from(key), 1);
      await target.remove(["a/1", "a/3", "a/none"], 1);
      expect((await world.open().list("")).map(({ key }) => key)).toEqual(["a/2"]);
      expect(await target.put("a/1", Buffer.from("again"), 1)).toBe("stored");
      expect(text(await target.get("a/1"))).toBe("again");
    });

    it("refuses writes of epochs below the highest it was shown", async (context) => {
      if (!target.refusesOldEpochs) return context.skip();
      await target.put("a/1", Buffer.from("one"), 5);
      await world.open().put("a/2", Buffer.from("two"), 9);
      for (const late of [target, world.open()]) {
        await expect(late.put("a/3", Buffer.from("late"), 8)).rejects.toBeInstanceOf(StaleEpoch);
        await expect(late.remove(["a/1"], 5)).rejects.toThrow(/was shown epoch 9/);
      }
      expect((await target.list("")).map(({ key }) => key).sort()).toEqual(["a/1", "a/2"]);
      expect(await target.put("a/3", Buffer.from("in time"), 9)).toBe("stored");
    });

    it("takes no name for a key that is none", async () => {
      for (const key of [
        "",
        "/a",
        "a/",
        "../a",
        "a/../b",
        "a//b",
        ".hidden",
        "A/b",
        "a b",
        "a\0",
      ]) {
        await expect(target.put(key, Buffer.from("x"), 1)).rejects.toThrow(/is no key/);
        await expect(target.get(key)).rejects.toThrow(/is no key/);
      }
      expect(await target.list("")).toEqual([]);
    });

    it("says that it cannot be reached", async (context) => {
      if (!world.block) return context.skip();
      await target.put("a/1", Buffer.from("one"), 1);
      await world.block();
      for (const client of [target, world.open()]) {
        await expect(client.put("a/2", Buffer.from("two"), 1)).rejects.toBeInstanceOf(
          TargetUnavailable,
        );
        await expect(client.get("a/1")).rejects.toBeInstanceOf(TargetUnavailable);
        await expect(client.list("")).rejects.toBeInstanceOf(TargetUnavailable);
        await expect(client.remove(["a/1"], 1)).rejects.toBeInstanceOf(TargetUnavailable);
      }
    });
  });
}
