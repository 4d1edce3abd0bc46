import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { LocalStateStore } from "../../../gateway/state/local.ts";
import { ForeignState } from "../../../gateway/state/store.ts";
import { markerOf, stateStoreContract } from "../../contracts/state-store.ts";
import { asNobody } from "../../support/as-nobody.ts";

let dataDir: string;
const messages: string[] = [];
const log = { warn: (message: string) => messages.push(message) };
const shardDir = (...names: string[]) => join(dataDir, "shards", ...names);
const store = (fleet = "f1") => new LocalStateStore({ dataDir, fleet, log });

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "state-"));
  messages.length = 0;
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

stateStoreContract("a local directory", async () => ({
  open: store,
  async tearMarker(shard) {
    const file = shardDir(shard, "owner.json");
    writeFileSync(file, readFileSync(file, "utf8").slice(0, 40));
  },
  async plant(shard) {
    mkdirSync(shardDir(shard, "state"), { recursive: true });
    writeFileSync(shardDir(shard, "state", "theirs"), "precious");
  },
  async close() {},
}));

it("keeps directories and marker to their owner", async () => {
  const { stateDir } = await store().open(markerOf(1));
  expect(stateDir).toBe(shardDir("s1", "state"));
  for (const path of [stateDir, shardDir("s1")]) expect(statSync(path).mode & 0o777).toBe(0o700);
  expect(statSync(shardDir("s1", "owner.json")).mode & 0o777).toBe(0o600);
  await store().open(markerOf(2));
  expect(readdirSync(shardDir("s1")).sort()).toEqual(["epoch-2", "owner.json", "state"]);
});

it("moves a torn marker aside and says what is still known", async () => {
  await store().open(markerOf(3));
  writeFileSync(shardDir("s1", "owner.json"), "");
  expect(await store().marker("s1")).toBeNull();
  expect(readdirSync(shardDir("s1")).some((name) => name.startsWith("owner.json.corrupt-"))).toBe(
    true,
  );
  expect(messages.join()).toMatch(/owner is unknown, its highest epoch is 3/);
});

it("refuses a link in place of the directory, and another user's directory", async () => {
  mkdirSync(shardDir(), { recursive: true });
  symlinkSync(tmpdir(), shardDir("s1"));
  await expect(store().open(markerOf(1))).rejects.toThrow(/must be a directory.*symbolic link/);
  if (process.getuid?.() !== 0) return;
  mkdirSync(shardDir("s2", "state"), { recursive: true });
  chownSync(shardDir("s2", "state"), 12_345, 12_345);
  const refusal = store().open(markerOf(1, "s2"));
  await expect(refusal).rejects.toBeInstanceOf(ForeignState);
  await expect(refusal).rejects.toThrow(/belongs to user 12345, this node runs as user 0/);
});

it("goes on after an open that was interrupted before its marker", async () => {
  mkdirSync(shardDir("s1", "state"), { recursive: true });
  await store().open(markerOf(1));
  rmSync(shardDir("s1", "owner.json"));
  await expect(store().open(markerOf(1))).rejects.toThrow(/has seen epoch 1/);
  await store().open(markerOf(2));
  expect((await store().marker("s1"))?.epoch).toBe(2);
});

it("ends an epoch in order although an agent closed a file and a folder", async () => {
  chmodSync(dataDir, 0o777);
  await asNobody(async () => {
    const { stateDir } = await store().open(markerOf(1));
    mkdirSync(join(stateDir, "workspaces/main/folder"), { recursive: true });
    writeFileSync(join(stateDir, "workspaces/main/file"), "");
    for (const name of ["file", "folder"]) chmodSync(join(stateDir, "workspaces/main", name), 0);
    await store().finish("s1", 1);
    expect(await store().marker("s1")).toMatchObject({ epoch: 1, final: true });
  });
});
