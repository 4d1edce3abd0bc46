import { type ChildProcess, spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir, hostname, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { awaitFree, holderState, lockFolder, readLocks } from "../../cli/operation-lock.ts";
import { PROJECT_ROOT } from "../../toolchain/paths.ts";
import { zombie } from "../support/zombie.ts";

let base: string;
let folder: string;
const children: ChildProcess[] = [];

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "fleet-lock-"));
  folder = join(base, "locks");
  mkdirSync(folder);
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  rmSync(base, { recursive: true, force: true });
});

function lock(name: string, pid: number, host = hostname()): string {
  const path = join(folder, `${name}.json`);
  const timestamp = new Date(Date.now() - 240_000).toISOString();
  writeFileSync(path, JSON.stringify({ pid, username: "ann", hostname: host, timestamp }));
  return path;
}

/** A living process that is called pulumi. */
async function pulumi(): Promise<ChildProcess> {
  const program = join(base, "pulumi");
  copyFileSync("/bin/sleep", program);
  const child = spawn(program, ["600"], { stdio: "ignore" });
  children.push(child);
  await new Promise((resolve) => child.once("spawn", resolve));
  return child;
}

async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ["-e", ""], { stdio: "ignore" });
  await new Promise((resolve) => child.once("close", resolve));
  return child.pid as number;
}

test("only file backends have locks that can be seen", () => {
  expect(lockFolder("s3://bucket", "p", "s")).toBeNull();
  expect(lockFolder(null, "p", "s")).toBeNull();
  expect(lockFolder("file:///x", "p", "s")).toBe("/x/.pulumi/locks/organization/p/s");
});

test.each([
  ["file://./state", join(PROJECT_ROOT, "state")],
  ["file://state/a?no_tmp_dir=true", join(PROJECT_ROOT, "state/a")],
  ["file://../state", join(dirname(PROJECT_ROOT), "state")],
  ["file://~", homedir()],
  ["file://~/state", join(homedir(), "state")],
])("a backend that is no absolute path is found from the project, or from home: %s", (url, at) => {
  expect(lockFolder(url, "p", "s")).toBe(join(at, ".pulumi/locks/organization/p/s"));
});

test("a run that died leaves nothing that a person must clear away", async () => {
  const path = lock("one", await deadPid());
  await awaitFree(folder, "up", "dev", 0);
  expect(existsSync(path)).toBe(false);
});

test.runIf(process.platform === "linux")(
  "a run that ended is dead also where nobody asked how it ended",
  async () => {
    const { pid, parent } = await zombie();
    children.push(parent);
    lock("one", pid);
    expect(readLocks(folder).map((each) => holderState(each))).toEqual(["dead"]);
  },
);

test("a number that another program has got since is a dead run's", async () => {
  lock("one", process.pid);
  expect(readLocks(folder).map((each) => holderState(each))).toEqual(["dead"]);
});

test("a living run is named with host, command and age, and nothing is touched", async () => {
  const { pid } = await pulumi();
  const path = lock("one", pid as number);
  const refused = await awaitFree(folder, "up", "dev", 0).catch((error) => error);
  expect(refused.message).toBe("up of dev cannot begin: another run is changing the stack");
  expect(refused.why).toBe(`process ${pid} (pulumi) of ann on ${hostname()}, since 4 min`);
  expect(refused.advice).toContain("--wait");
  expect(existsSync(path)).toBe(true);
});

test("another machine's run is never taken for dead", async () => {
  const path = lock("one", await deadPid(), "elsewhere");
  const refused = await awaitFree(folder, "up", "dev", 0).catch((error) => error);
  expect(refused.why).toContain("on elsewhere, since 4 min");
  expect(refused.advice).toContain("./fleet pulumi cancel --stack dev");
  expect(existsSync(path)).toBe(true);
});

test("waiting ends as soon as the stack is free", async () => {
  const child = await pulumi();
  const path = lock("one", child.pid as number);
  const waiting = awaitFree(folder, "up", "dev", 60_000);
  await new Promise((resolve) => setTimeout(resolve, 50));
  rmSync(path);
  await waiting;
});
