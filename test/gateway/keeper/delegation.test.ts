import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { CgroupCage } from "../../../gateway/keeper/cage-cgroup.ts";
import { handDown, isSettled, settleInDelegation } from "../../../gateway/keeper/delegation.ts";

// A directory in a cgroup's form: kernels without a memory controller in v2 could show no limit at all.
let mount: string;
const own = "system.slice/node.service";
beforeEach(() => {
  mount = mkdtempSync(join(tmpdir(), "cgroup-"));
  mkdirSync(join(mount, own), { recursive: true });
});
afterEach(() => rmSync(mount, { recursive: true, force: true }));
const read = (path: string) => readFileSync(join(mount, own, path), "utf8");

test("the keeper moves out of the way before controllers are handed down to its cages", () => {
  writeFileSync(join(mount, own, "cgroup.controllers"), "cpu memory pids\n");
  expect(settleInDelegation(mount, own)).toEqual(["memory", "pids"]);
  expect(read("openclaw-fleet/daemon/cgroup.procs")).toBe(String(process.pid));
  expect(read("cgroup.subtree_control")).toBe("+pids");
});

test("without controllers the cages have no limits, and that is all", () => {
  writeFileSync(join(mount, own, "cgroup.controllers"), "\n");
  expect(settleInDelegation(mount, own)).toEqual([]);
  expect(handDown(join(mount, "none"))).toEqual([]);
});

test("a cgroup that may not be written to changes nothing", () => {
  expect(settleInDelegation(mount, "no/such\0name")).toEqual([]);
});

test("only a keeper that settled hands controllers down", () => {
  expect(isSettled(`${own}/openclaw-fleet/daemon`)).toBe(true);
  expect(isSettled(own)).toBe(false);
  expect(isSettled("user.slice/daemon")).toBe(false);
});

test("a cage gets its limit where the kernel can keep it, and is ended as a whole", async () => {
  for (const [name, limited] of [
    ["with", true],
    ["without", false],
  ] as const) {
    const path = `${own}/openclaw-fleet/f/n/${name}`;
    const directory = join(mount, path);
    mkdirSync(directory, { recursive: true });
    if (limited) {
      for (const file of ["memory.max", "memory.oom.group"]) {
        writeFileSync(join(directory, file), "max");
      }
    }
    const child = new CgroupCage(path, mount).run({
      command: "/bin/true",
      args: [],
      cwd: "/",
      env: {},
      stdio: "ignore",
      memoryMaxBytes: 3_000_000_000,
    });
    expect(await new Promise((resolve) => child.once("exit", resolve))).toBe(0);
    const files = readdirSync(directory).sort();
    expect(files).toEqual(
      limited ? ["cgroup.procs", "memory.max", "memory.oom.group"] : ["cgroup.procs"],
    );
    if (limited) {
      expect(readFileSync(join(directory, "memory.max"), "utf8")).toBe("3000000000");
      expect(readFileSync(join(directory, "memory.oom.group"), "utf8")).toBe("1");
    }
  }
});
