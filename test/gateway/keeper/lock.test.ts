import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { fleetKey, parseCageName } from "../../../gateway/keeper/cage-name.ts";
import { members } from "../../../gateway/keeper/cage-session.ts";
import { LockHeld, takeLock } from "../../../gateway/keeper/lock.ts";
import { isAlive, signalProcess, thisProcess } from "../../../gateway/keeper/process.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "lock-"));
});
afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

test("one holder at a time; given back, the next gets it", () => {
  const path = join(dir, "keeper.lock");
  const lock = takeLock(path);
  expect(() => takeLock(path)).toThrow(LockHeld);
  expect(lock.held()).toBe(true);
  lock.release();
  expect(lock.held()).toBe(false);
  takeLock(path).release();
  expect(readdirSync(dir)).toEqual([]);
});

test.each([
  ["another boot", { ...thisProcess(), bootId: "before" }],
  ["a reused pid", { ...thisProcess(), pidStart: "1" }],
  ["nonsense", { pid: "x" }],
])("a holder of %s is dead", (_title, holder) => {
  const path = join(dir, "keeper.lock");
  writeFileSync(path, JSON.stringify(holder));
  const lock = takeLock(path);
  expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject(thisProcess());
  lock.release();
  expect(readdirSync(dir)).toEqual([]);
});

test("a lock that another took meanwhile is neither held nor released", () => {
  const path = join(dir, "keeper.lock");
  const lock = takeLock(path);
  rmSync(path);
  writeFileSync(path, "another's");
  expect(lock.held()).toBe(false);
  lock.release();
  expect(readFileSync(path, "utf8")).toBe("another's");
});

test("a process is named for good", () => {
  expect(isAlive(thisProcess())).toBe(true);
  expect(isAlive({ ...thisProcess(), pid: 1 })).toBe(false);
  expect(signalProcess({ ...thisProcess(), pidStart: "1" }, "SIGKILL")).toBe(false);
});

test("names of cages that nobody here gave are refused", () => {
  expect(parseCageName("cgroup:openclaw-fleet/dev-ab/n1/s1-3")).toMatchObject({ kind: "cgroup" });
  expect(parseCageName("cgroup:user.slice/a@1.service/openclaw-fleet/dev-ab/n1/s1-3")).toBeTruthy();
  expect(parseCageName("session:dev-ab/n1/s1-3")).toEqual({
    kind: "session",
    tag: "dev-ab/n1/s1-3",
  });
  for (const name of [
    "",
    "cgroup:",
    "cgroup:system.slice/ssh.service/x",
    "cgroup:openclaw-fleet",
    "cgroup:openclaw-fleet/dev-ab",
    "cgroup:openclaw-fleet/dev-ab/n1",
    "cgroup:openclaw-fleet/../../n1/s1-3",
    "cgroup:openclaw-fleet/dev/n1/..",
    "cgroup:/openclaw-fleet/dev/n1/s1",
    "session:",
    "session:dev-ab/n1/",
    "session:dev-ab/n1",
    "pid:1",
  ]) {
    expect(() => parseCageName(name), name).toThrow(/not the name of a cage/);
  }
});

test("two data directories of one name are two fleets", () => {
  expect(fleetKey("/a/dev")).not.toBe(fleetKey("/b/dev"));
  expect(fleetKey("/a/dev")).toMatch(/^dev-[0-9a-f]{10}$/);
  expect(fleetKey("/a/Ünal's Data")).toMatch(/^[a-z0-9-]+$/);
});

test("members: tagged, known, descendants and their sessions; never the reused, never this process", () => {
  const one = (pid: number, ppid: number, session: number, tagged = false, start = "9") => ({
    pid,
    ppid,
    session,
    start,
    tagged,
  });
  const all = [
    one(process.pid, 1, 50),
    one(100, process.pid, 100, true),
    one(101, 100, 101), // a session of its own, no tag: a descendant
    one(102, 1, 101), // lost its parent, still in that session
    one(103, 1, 103, false, "7"), // known from before
    one(104, 1, 104, false, "8"), // its pid was known, but it is another process
    one(105, 1, 50), // shares this process's session only
    one(1, 0, 1, true),
  ];
  const known = new Map([
    [103, "7"],
    [104, "7"],
  ]);
  expect(members(all, known).map(({ pid }) => pid)).toEqual([100, 101, 102, 103]);
});
