import { copyFileSync, existsSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { FastFleet, isServed } from "./fleet.ts";

let fleet: FastFleet;

beforeEach(async () => {
  fleet = await FastFleet.start();
}, 120_000);

afterEach(async () => {
  await fleet?.remove();
}, 60_000);

/** Every gateway that was started so far, in order. */
const starts = () =>
  fleet.shards.map((shard) => fleet.starts(shard).map(({ pid, epoch }) => ({ pid, epoch })));

/** Waits until a node has met it: who looks from outside would be the first to mend it. */
async function met(words: RegExp): Promise<void> {
  await eventually(() => expect(fleet.logs()).toMatch(words));
}

/** Waits until every node has written itself into the file that lies there now. */
async function takenUp(): Promise<void> {
  const { SqliteLeaseStore } = await import("../../gateway/leases/sqlite.ts");
  await eventually(async () => {
    const store = new SqliteLeaseStore({ path: fleet.leaseFile });
    try {
      const { nodes, leases } = await store.read();
      expect(Object.keys(nodes).sort()).toEqual(fleet.nodes);
      expect(Object.values(leases).filter(({ owner }) => owner !== null)).toHaveLength(2);
    } finally {
      await store.close();
    }
  }, 60_000);
}

/** The owners go on as they were: same processes, no further start, same epochs. */
async function unmoved(before: ReturnType<typeof starts>): Promise<void> {
  await takenUp();
  await fleet.until("all serve", (status) => isServed(status, fleet.shards, 2));
  expect((await fleet.chat("two", "s")).reply).toBe("echo 2: two");
  expect(starts()).toEqual(before);
  expect(fleet.faults()).toEqual([]);
}

test("owners keep their shards when the lease file is deleted", { timeout: 150_000 }, async () => {
  await fleet.chat("one", "s");
  const before = starts();
  rmSync(fleet.leaseFile);
  await met(/leases\.sqlite was (missing|deleted or replaced)/);
  await unmoved(before);
});

test("and when it is damaged: it is moved aside, and the log says so", {
  timeout: 150_000,
}, async () => {
  await fleet.chat("one", "s");
  const before = starts();
  writeFileSync(fleet.leaseFile, Buffer.alloc(32_768, 0x5a));
  await met(/lease database \S+ is damaged \(.*\)\. It was moved to \S+/);
  await unmoved(before);
  const aside = readdirSync(fleet.dataDir).filter((name) => /^leases\.sqlite\.corrupt-/.test(name));
  expect(aside).not.toEqual([]);
});

test("and when it is replaced by an old copy of itself", { timeout: 150_000 }, async () => {
  const copy = join(fleet.base, "old.sqlite");
  copyFileSync(fleet.leaseFile, copy);
  await fleet.chat("one", "s");
  await fleet.command("move", { shard: "s1", to: "a" });
  await fleet.command("move", { shard: "s1", to: "b" });
  await fleet.until("s1 is on b", (status) =>
    status.shards.some((s) => s.id === "s1" && s.owner === "b" && s.state === "serving"),
  );
  await fleet.served();
  const before = starts();
  renameSync(copy, fleet.leaseFile);
  await unmoved(before);
});

test("and when its directory loses it while everything is killed: epochs go on from the disk", {
  timeout: 150_000,
}, async () => {
  await fleet.chat("one", "s");
  const before = starts();
  await fleet.killAll();
  rmSync(fleet.leaseFile, { force: true });
  await Promise.all(fleet.nodes.map((node) => fleet.startNode(node)));
  await fleet.served();
  expect((await fleet.chat("two", "s")).reply).toBe("echo 2: two");
  for (const [i, shard] of fleet.shards.entries()) {
    expect(fleet.starts(shard).at(-1)?.epoch).toBeGreaterThan(before[i]?.at(-1)?.epoch as number);
  }
  expect(fleet.faults()).toEqual([]);
});

test("a lost session database costs no conversation", { timeout: 150_000 }, async () => {
  const { shard } = await fleet.chat("one", "s");
  rmSync(join(fleet.dataDir, "sessions.sqlite"));
  const again = await fleet.chat("two", "s");
  expect(existsSync(join(fleet.dataDir, "sessions.sqlite"))).toBe(true);
  expect(again).toMatchObject({ shard, reply: "echo 2: two" });
});
