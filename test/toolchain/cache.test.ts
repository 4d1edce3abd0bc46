import { type ChildProcess, spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { processStat } from "../../gateway/keeper/process.ts";
import { cacheEntry } from "../../toolchain/cache.ts";
import { holderLives, holderOf } from "../../toolchain/holder.ts";
import type { Progress } from "../../toolchain/progress.ts";
import { eventually } from "../support/eventually.ts";
import { zombie } from "../support/zombie.ts";

let root: string;
let lines: string[];
let progress: Progress;
const children: ChildProcess[] = [];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "fleet-cache-"));
  lines = [];
  const step = { note: () => {}, done: () => {}, failed: () => {} };
  progress = { say: (line) => lines.push(line), step: () => step };
});

afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  rmSync(root, { recursive: true, force: true });
});

const options = () => ({ progress, root, pollMs: 5 });
const fill = (text: string) => async (folder: string) => writeFileSync(join(folder, "file"), text);
const read = (entry: string) => readFileSync(join(entry, "file"), "utf8");

test("an entry is built once, and then used", async () => {
  const first = await cacheEntry("kind", "key", fill("one"), options());
  const second = await cacheEntry("kind", "key", fill("two"), options());
  expect(second).toBe(first);
  expect(read(second)).toBe("one");
  expect(readdirSync(join(root, "tmp"))).toEqual([]);
  expect(readdirSync(join(root, "locks"))).toEqual([]);
});

test("two callers in one process share one build", async () => {
  let builds = 0;
  const build = async (folder: string) => {
    builds += 1;
    await fill("x")(folder);
  };
  await Promise.all([1, 2].map(() => cacheEntry("kind", "key", build, options())));
  expect(builds).toBe(1);
});

test("a failed build leaves nothing, and the next one starts afresh", async () => {
  const failing = async (folder: string) => {
    await fill("half")(folder);
    throw new Error("no more");
  };
  await expect(cacheEntry("kind", "key", failing, options())).rejects.toThrow("no more");
  expect(existsSync(join(root, "kind", "key"))).toBe(false);
  expect(readdirSync(join(root, "tmp"))).toEqual([]);
  expect(read(await cacheEntry("kind", "key", fill("whole"), options()))).toBe("whole");
});

/** Another process that holds or builds until it is told to go on. */
function builder(): ChildProcess {
  const source = `
    import { cacheEntry } from ${JSON.stringify(join(import.meta.dirname, "../../toolchain/cache.ts"))};
    import { createProgress } from ${JSON.stringify(join(import.meta.dirname, "../../toolchain/progress.ts"))};
    import { existsSync, writeFileSync } from "node:fs";
    import { setTimeout as sleep } from "node:timers/promises";
    const root = ${JSON.stringify(root)};
    await cacheEntry("kind", "key", async (folder) => {
      writeFileSync(folder + "/file", "theirs");
      writeFileSync(root + "/building", "");
      while (!existsSync(root + "/go")) await sleep(10);
    }, { root, progress: createProgress() });`;
  const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", source], {
    stdio: "ignore",
  });
  children.push(child);
  return child;
}

test("a second process waits, says for whom, and uses what the first one built", async () => {
  const other = builder();
  await eventually(() => expect(existsSync(join(root, "building"))).toBe(true));
  const waiting = cacheEntry("kind", "key", fill("mine"), options());
  await eventually(() => expect(lines).not.toHaveLength(0));
  expect(lines[0]).toContain(`${hostname()}:${other.pid}:`);
  writeFileSync(join(root, "go"), "");
  expect(read(await waiting)).toBe("theirs");
});

test("a builder that was killed blocks nobody, and its leftovers go", async () => {
  const other = builder();
  await eventually(() => expect(existsSync(join(root, "building"))).toBe(true));
  const gone = new Promise((resolve) => other.once("exit", resolve));
  other.kill("SIGKILL");
  await gone;
  expect(readdirSync(join(root, "tmp"))).toHaveLength(1);
  expect(read(await cacheEntry("kind", "key", fill("mine"), options()))).toBe("mine");
  expect(readdirSync(join(root, "tmp"))).toEqual([]);
  expect(lines.join()).toContain("ended early");
});

test("leftovers of a living builder and of other entries stay", async () => {
  const mine = `kind-other.${holderOf(process.pid)}`;
  const foreign = "kind-key.another-host:1:1";
  for (const name of [mine, foreign]) mkdirSync(join(root, "tmp", name), { recursive: true });
  await cacheEntry("kind", "key", fill("x"), options());
  expect(readdirSync(join(root, "tmp")).sort()).toEqual([foreign, mine].sort());
});

test("a pid that another process has now is not the holder", () => {
  expect(holderLives(holderOf(process.pid))).toBe(true);
  if (process.platform === "linux") {
    expect(holderLives(`${hostname()}:${process.pid}:1`)).toBe(false);
  }
  expect(holderLives("nonsense")).toBe(false);
  expect(holderLives("another-host:1:1")).toBe(true);
});

test.runIf(process.platform === "linux")(
  "a process that ended is no holder, asked how it ended or not",
  async () => {
    const { pid, parent } = await zombie();
    children.push(parent);
    expect(holderLives(`${hostname()}:${pid}:${processStat(pid)?.start}`)).toBe(false);
  },
);

test("a lock with a dead holder is broken", async () => {
  mkdirSync(join(root, "locks"), { recursive: true });
  symlinkSync(`${hostname()}:${process.pid}:1`, join(root, "locks", "kind-key"));
  if (process.platform !== "linux") return;
  expect(read(await cacheEntry("kind", "key", fill("mine"), options()))).toBe("mine");
});

test("a cache that cannot be written is named, with what to do", async () => {
  writeFileSync(join(root, "flat"), "");
  const call = cacheEntry("kind", "key", fill("x"), { progress, root: join(root, "flat") });
  await expect(call).rejects.toThrow(/cannot write to the cache.*\n.*why:.*\n.*XDG_CACHE_HOME/);
});
