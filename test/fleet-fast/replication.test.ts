import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, test } from "vitest";
import { DirectoryTarget } from "../../gateway/replication/directory-target.ts";
import { ReplicaReader } from "../../gateway/replication/reader.ts";
import { eventually } from "../support/eventually.ts";
import { RedisServer } from "../support/redis/server.ts";
import { FastFleet, ownerOf } from "./fleet.ts";

let redis: RedisServer;
let fleet: FastFleet;

// Nodes with a disk each share what they know of conversations only through a server.
beforeEach(async () => {
  redis = await RedisServer.start();
  fleet = await FastFleet.start({
    shards: 1,
    redisUrl: `redis://${redis.host}:${redis.port}`,
    replication: (base) => ({ target: { kind: "directory", path: join(base, "replicas") } }),
  });
}, 120_000);

afterEach(async () => {
  await fleet?.remove();
  await redis?.close();
}, 60_000);

const owner = async () => ownerOf(await fleet.status(), "s1").node;
const other = (node: string) => (node === "a" ? "b" : "a");
/** Waits until a manifest holds all that was written before: the file that this writes is in it. */
async function current(): Promise<void> {
  const name = `seen-${randomBytes(4).toString("hex")}`;
  writeFileSync(join(fleet.diskOf(await owner()), "shards", "s1", "state", name), "");
  const reader = new ReplicaReader(
    new DirectoryTarget(join(fleet.base, "replicas", "s1")),
    "fast",
    "s1",
  );
  await eventually(async () => {
    const { views } = await reader.directories();
    const view = views.at(-1);
    const place = { directory: view?.directory ?? "", seq: view?.manifests.at(-1) ?? 0 };
    const manifest = await reader.manifest(place);
    const files = manifest ? await reader.files(manifest) : [];
    expect(files.map(({ path }) => path)).toContain(name);
  });
}
async function events(): Promise<string[]> {
  const response = await fleet.fetch("/api/v1/history?limit=200", { admin: true });
  const { entries } = (await response.json()) as { entries: { event: string }[] };
  return entries.map(({ event }) => event);
}

test("a conversation goes on where its node and its disk are gone", async () => {
  const first = await owner();
  expect((await fleet.chat("one", "s")).reply).toBe("echo 1: one");
  await current();
  const pids = fleet.family(first);
  for (const pid of pids) process.kill(pid, "SIGKILL");
  rmSync(fleet.diskOf(first), { recursive: true, force: true });
  await fleet.until("the other node serves", (status) => {
    const [shard] = status.shards;
    return shard?.owner === other(first) && shard.state === "serving";
  });
  expect((await fleet.chat("two", "s")).reply).toBe("echo 2: two");
  expect(await events()).toContain("restored");
  expect(await events()).not.toContain("history lost");
  expect(fleet.faults()).toEqual([]);
});

test("planned moves there and back lose nothing, whatever came last", async () => {
  let node = await owner();
  for (let turn = 1; turn <= 3; turn++) {
    expect((await fleet.chat(`${turn}`, "s")).reply).toBe(`echo ${turn}: ${turn}`);
    const to = other(node);
    await fleet.command("move", { shard: "s1", to });
    await fleet.until(`${to} serves`, ({ shards: [shard] }) => {
      return shard?.owner === to && shard.state === "serving";
    });
    node = to;
  }
  expect((await fleet.chat("4", "s")).reply).toBe("echo 4: 4");
  expect(await events()).not.toContain("history lost");
  expect(fleet.faults()).toEqual([]);
});

test("a replica that is away is shown, and a shard is not handed over without it", async () => {
  const node = await owner();
  await fleet.chat("one", "s");
  await current();
  const replicas = join(fleet.base, "replicas", "s1");
  // A file where the directory was: nothing can be put there.
  renameSync(replicas, `${replicas}.away`);
  writeFileSync(replicas, "");
  await fleet.chat("two", "s");
  await fleet.until("it counts as unreplicated", ({ shards: [shard] }) => {
    return shard?.replica?.unreplicated === true && shard.state === "serving";
  });
  await fleet.command("move", { shard: "s1", to: other(node) });
  await eventually(async () => expect(await events()).toContain("waits"));
  expect((await fleet.chat("three", "s")).reply).toBe("echo 3: three");
  rmSync(replicas);
  renameSync(`${replicas}.away`, replicas);
  await fleet.until("it was handed over", ({ shards: [shard] }) => {
    return shard?.owner === other(node) && shard.state === "serving";
  });
  expect((await fleet.chat("four", "s")).reply).toBe("echo 4: four");
  expect(await events()).not.toContain("history lost");
});

test("a shard goes back to a moment, and its present one stays to be gone back to", async () => {
  await fleet.chat("one", "s");
  await current();
  type Points = { shards: { points: { place: string; site: string | null; at: string }[] }[] };
  const points = async () => {
    const answer = await fleet.fetch("/api/v1/fleet/backups?shard=s1", { admin: true });
    return ((await answer.json()) as Points).shards[0]?.points ?? [];
  };
  const [then] = await points();
  await fleet.chat("two", "s");
  await current();
  const goBack = async (place: string | undefined) => {
    const body = { shard: "s1", place, site: null };
    const response = await fleet.fetch("/api/v1/fleet/restore", { admin: true, body });
    return { status: response.status, text: await response.text() };
  };
  expect(await goBack("000000000009-x-y/1")).toMatchObject({ status: 400 });
  const before = (await events()).filter((event) => event === "replaced").length;
  expect(await goBack(then?.place)).toMatchObject({ status: 200 });
  const settled = async (count: number) => {
    await eventually(async () => {
      expect((await events()).filter((event) => event === "replaced")).toHaveLength(count);
    });
    await fleet.served();
  };
  await settled(before + 1);
  expect((await fleet.chat("other", "s")).reply).toBe("echo 2: other");
  await current();
  // What it replaced is a moment, and the second of its turns is in it.
  const place = (await points()).filter(({ at }) => at > (then?.at ?? ""));
  const replacedMoment = place.at(-2) ?? place.at(-1);
  expect(replacedMoment).toBeDefined();
  // The shard moves on from where it went back to.
  const to = other(await owner());
  await fleet.command("move", { shard: "s1", to });
  await fleet.until("it moved", ({ shards: [shard] }) => {
    return shard?.owner === to && shard.state === "serving";
  });
  expect((await fleet.chat("last", "s")).reply).toBe("echo 3: last");
  expect(await events()).not.toContain("history lost");
  const drill = await fleet.fetch("/api/v1/fleet/restore", {
    admin: true,
    body: { shard: "s1", drill: true },
  });
  expect(await drill.json()).toMatchObject({ shard: "s1", sessions: 0, point: { site: null } });
});

test("a directory is adopted into an empty shard alone, from any node", async () => {
  const directory = join(fleet.base, "alone");
  mkdirSync(join(directory, "agents", "main"), { recursive: true });
  writeFileSync(join(directory, "agents", "main", "note"), "kept");
  const key = Buffer.from("agent:main:alone").toString("base64url");
  writeFileSync(join(directory, `session-${key}.jsonl`), "");
  const database = new DatabaseSync(join(directory, "agents", "main", "own.sqlite"));
  database.exec("PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t VALUES (7)");
  const adopt = async (path: string, force = false) => {
    const body = { shard: "s1", directory: path, force };
    const response = await fleet.fetch("/api/v1/fleet/adopt", { admin: true, body });
    return { status: response.status, text: await response.text() };
  };
  expect((await adopt(fleet.base)).text).toMatch(/not the state of an OpenClaw/);
  await fleet.chat("one", "s");
  await eventually(async () => expect((await adopt(directory)).status).toBe(409));
  database.close();
  expect(await adopt(directory, true)).toMatchObject({ status: 200 });
  await eventually(async () => expect(await events()).toContain("replaced"));
  await fleet.served();
  const state = join(fleet.diskOf(await owner()), "shards", "s1", "state", "agents", "main");
  expect(readFileSync(join(state, "note"), "utf8")).toBe("kept");
  const copy = new DatabaseSync(join(state, "own.sqlite"), { readOnly: true });
  expect(copy.prepare("SELECT x FROM t").get()).toEqual({ x: 7 });
  copy.close();
  // All routers know its conversation, although nobody has asked for it.
  await fleet.until("both are known", ({ shards }) => shards[0]?.sessions === 2);
});
