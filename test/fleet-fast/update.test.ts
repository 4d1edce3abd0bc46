import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import type { HistoryEntry } from "../../gateway/leases/store.ts";
import { eventually } from "../support/eventually.ts";
import { FULL } from "../support/share.ts";
import { FastFleet, ownerOf } from "./fleet.ts";

let fleet: FastFleet;

afterEach(async () => {
  await fleet?.remove();
}, 60_000);

const updated = () => fleet.until("every shard is updated", ({ update }) => update === undefined);
const refused = async () => {
  const { update } = await fleet.until("the update is refused", (now) => !!now.update?.refused);
  return update?.refused ?? { shard: "", why: "" };
};
const versions = (shard: string) => fleet.starts(shard).map(({ version }) => version);
const shardDir = async (shard: string) =>
  join(fleet.diskOf(ownerOf(await fleet.status(), shard).node), "shards", shard);

async function events(): Promise<HistoryEntry[]> {
  const response = await fleet.fetch("/api/v1/history?limit=500", { admin: true });
  return ((await response.json()) as { entries: HistoryEntry[] }).entries;
}

/** Quicker than node by node, which changes.test.ts sees. */
async function startAll(release: string): Promise<void> {
  await Promise.all(fleet.nodes.map((node) => fleet.stopNode(node)));
  await Promise.all(fleet.nodes.map((node) => fleet.startNode(node, release)));
}

const replicated = (base: string) => ({
  target: { kind: "directory" as const, path: join(base, "replicas") },
});

test.runIf(FULL)(
  "a newer OpenClaw comes to one shard after the other, once every node has it",
  {
    timeout: 600_000,
  },
  async () => {
    fleet = await FastFleet.start({ shards: 3 });
    fleet.conduct("2.0.0", { schema: 2 });
    const { shard } = await fleet.chat("one", "s");
    await fleet.rollNode("a", "2.0.0");
    const { update } = await fleet.served();
    expect(update).toEqual({ to: "2.0.0", waiting: ["s1", "s2", "s3"], refused: null });
    await fleet.rollNode("b", "2.0.0");
    await updated();
    expect((await fleet.chat("two", "s")).reply).toBe("echo 2: two");
    // One is over before the next begins.
    const tried = (await events()).filter(({ event }) => /^updat/.test(event));
    expect(tried.map(({ event }) => event)).toEqual(Array(3).fill(["updating", "updated"]).flat());
    for (const [i, { shard: tryingOn }] of tried.entries()) {
      if (i % 2 === 1) expect(tryingOn).toBe(tried[i - 1]?.shard);
    }
    for (const id of fleet.shards) expect(versions(id).at(-1)).toBe("2.0.0");
    // Nothing of the trial is left.
    expect(readdirSync(await shardDir(shard)).filter((name) => /update/.test(name))).toEqual([]);
    expect(fleet.faults()).toEqual([]);
  },
);

test("one that fails goes back to its state from before, the others are not touched, a mended one comes", {
  timeout: 600_000,
}, async () => {
  fleet = await FastFleet.start({ shards: 2 });
  fleet.conduct("2.0.0", { schema: 2, start: "die" });
  await Promise.all([fleet.chat("one", "s"), fleet.chat("one", "t"), fleet.chat("one", "u")]);
  await startAll("2.0.0");
  const { shard, why } = await refused();
  expect(why).toMatch(/2\.0\.0 lost its way/);
  const left = /what it left is in (\S+)\)/.exec(why)?.[1] ?? "";
  expect(readFileSync(join(left, "schema"), "utf8")).toBe("2");
  await fleet.served();
  for (const session of ["s", "t", "u"]) {
    expect((await fleet.chat("two", session)).reply).toBe("echo 2: two");
  }
  expect(versions(shard).at(-1)).toBe("1.0.0");
  for (const other of fleet.shards.filter((id) => id !== shard)) {
    expect(versions(other)).not.toContain("2.0.0");
  }
  expect((await fleet.status()).update?.waiting).toEqual(fleet.shards);
  fleet.conduct("2.0.1", { schema: 2 });
  await startAll("2.0.1");
  await updated();
  expect((await fleet.chat("three", "s")).reply).toBe("echo 3: three");
  expect(fleet.faults()).toEqual([]);
});

test.runIf(FULL)(
  "one that starts and answers nobody is shown to nobody; new settings try it again",
  {
    timeout: 600_000,
  },
  async () => {
    fleet = await FastFleet.start({ shards: 1, replication: replicated });
    fleet.conduct("2.0.0", { schema: 2, mute: true });
    await fleet.chat("one", "s");
    await startAll("2.0.0");
    expect(await refused()).toMatchObject({ shard: "s1", why: expect.stringMatching(/at a loss/) });
    await fleet.served();
    expect((await fleet.chat("two", "s")).reply).toBe("echo 2: two");
    expect(readFileSync(join(await shardDir("s1"), "state", "schema"), "utf8")).toBe("1");
    // What is replicated is of the one that serves.
    const { node } = ownerOf(await fleet.status(), "s1");
    const to = node === "a" ? "b" : "a";
    fleet.conduct("2.0.0", { schema: 2 });
    fleet.writeConfig(fleet.makeConfig({ turnBudgetMs: 110_000 }));
    for (const each of fleet.nodes) fleet.share(each);
    await updated();
    await fleet.command("move", { shard: "s1", to });
    await fleet.until(`${to} serves`, ({ shards: [only] }) => {
      return only?.owner === to && only.state === "serving";
    });
    expect((await fleet.chat("three", "s")).reply).toBe("echo 3: three");
    expect(versions("s1").at(-1)).toBe("2.0.0");
    expect(fleet.faults()).toEqual([]);
  },
);

/** Who follows an owner that dies: nodes, whether each has a disk of its own, and the one that serves next. */
const successors = [
  { who: "elsewhere", nodes: ["a", "b"], own: true, next: "another" },
  { who: "on the same disk", nodes: ["a", "b"], own: false, next: "another" },
  { who: "there itself, with a replica", nodes: ["a"], own: true, next: "itself" },
];
test.each(successors.slice(0, FULL ? 3 : 1))(
  "an owner that dies in the middle of a trial: the next one goes on as before, $who",
  { timeout: 600_000 },
  async ({ nodes, own, next }) => {
    fleet = await FastFleet.start({
      nodes,
      shards: 1,
      ...(own ? { replication: replicated } : {}),
    });
    fleet.conduct("2.0.0", { schema: 2, start: "hang" });
    await fleet.chat("one", "s");
    await startAll("2.0.0");
    await eventually(() => expect(versions("s1").at(-1)).toBe("2.0.0"), 90_000);
    const { node } = ownerOf(await fleet.status(), "s1");
    expect(readFileSync(join(await shardDir("s1"), "state", "schema"), "utf8")).toBe("2");
    // What tries it next fails at once.
    fleet.conduct("2.0.0", { schema: 2, start: "refuse" });
    for (const pid of fleet.family(node)) process.kill(pid, "SIGKILL");
    if (next === "itself") await fleet.startNode(node, "2.0.0");
    else {
      await fleet.until("the other one serves", ({ shards: [only] }) => {
        return only?.owner !== node && only?.state === "serving";
      });
    }
    expect((await fleet.chat("two", "s")).reply).toBe("echo 2: two");
    expect((await refused()).why).toMatch(/2\.0\.0 cannot use schema 1/);
    if (next === "another") await fleet.startNode(node, "2.0.0");
    await fleet.served();
    expect((await fleet.chat("three", "s")).reply).toBe("echo 3: three");
    expect(readdirSync(await shardDir("s1"))).not.toContain("before-update");
    expect(fleet.faults()).toEqual([]);
  },
);
