import { spawn } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { compileCacheUse, openCompileCache } from "../../../gateway/openclaw/compile-cache.ts";
import { eventually } from "../../support/eventually.ts";

let parent: string;
let dir: string;
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), "compile-cache-"));
  dir = join(parent, "compile-cache");
});
afterEach(() => rmSync(parent, { recursive: true, force: true }));

const modeOf = (path: string) => statSync(path).mode & 0o777;

test("it is its owner's only, and stays from one start to the next", () => {
  expect(openCompileCache(dir)).toBe(dir);
  expect(modeOf(dir)).toBe(0o700);
  writeFileSync(join(dir, "kept"), "");
  expect(openCompileCache(dir)).toBe(dir);
  expect(readdirSync(dir)).toEqual(["kept"]);
});

test("what lay in a directory that others could write to is not run", () => {
  mkdirSync(join(dir, "v24"), { recursive: true });
  writeFileSync(join(dir, "v24", "planted"), "");
  chmodSync(dir, 0o777);
  expect(openCompileCache(dir)).toBe(dir);
  expect(modeOf(dir)).toBe(0o700);
  expect(readdirSync(dir)).toEqual([]);
});

test("a link, a file, or a place without room for it is no cache, and OpenClaw then has none at all", () => {
  symlinkSync(tmpdir(), dir);
  expect(openCompileCache(dir)).toBeNull();
  writeFileSync(join(parent, "file"), "");
  expect(openCompileCache(join(parent, "file"))).toBeNull();
  expect(openCompileCache(join(parent, "file", "below"))).toBeNull();
  expect(compileCacheUse(null)).toEqual({
    env: { NODE_DISABLE_COMPILE_CACHE: "1" },
    nodeArgs: [],
  });
});

test("one that grew beyond all releases begins anew", () => {
  mkdirSync(join(dir, "v24"), { recursive: true, mode: 0o700 });
  chmodSync(dir, 0o700);
  for (const name of ["a", "b", "c"]) writeFileSync(join(dir, "v24", name), "");
  expect(openCompileCache(dir, 3)).toBe(dir);
  expect(readdirSync(join(dir, "v24"))).toHaveLength(3);
  expect(openCompileCache(dir, 2)).toBe(dir);
  expect(readdirSync(dir)).toEqual([]);
});

/** Runs a program as a gateway is run, with the times of its writing shortened. */
function runGateway(): { files: () => number; kill: () => void } {
  openCompileCache(dir);
  const helper = join(parent, "helper.mjs");
  writeFileSync(helper, "export const helped = () => 1;\n");
  const program = join(parent, "program.mjs");
  writeFileSync(program, `import { helped } from "./helper.mjs"; setInterval(helped, 1000);\n`);
  const { env, nodeArgs } = compileCacheUse(dir);
  const soon = nodeArgs.map((arg) => arg.replace(/%5B10%2C[^D]*D/, "%5B0.1%2C0.2%5D"));
  expect(soon).not.toEqual(nodeArgs);
  const child = spawn(process.execPath, [...soon, program, "gateway"], { env, stdio: "ignore" });
  const files = () => readdirSync(dir, { recursive: true, withFileTypes: true });
  return {
    files: () => files().filter((entry) => entry.isFile()).length,
    kill: () => void child.kill("SIGKILL"),
  };
}

test("a gateway that is killed has left what Node compiled", async () => {
  const gateway = runGateway();
  try {
    await eventually(() => expect(gateway.files()).toBeGreaterThanOrEqual(2));
  } finally {
    gateway.kill();
  }
});
