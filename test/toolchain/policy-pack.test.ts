import {
  cpSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { PROJECT_ROOT } from "../../toolchain/paths.ts";
import { ensurePolicyPack } from "../../toolchain/policy-pack.ts";

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "fleet-pack-"));
  for (const folder of ["policies", "gateway"])
    cpSync(join(PROJECT_ROOT, folder), join(root, folder), {
      recursive: true,
      filter: (path) => !/node_modules|dist/.test(path.slice(PROJECT_ROOT.length)),
    });
  cpSync(join(PROJECT_ROOT, "stacks", "preset-table.ts"), join(root, "stacks", "preset-table.ts"));
  symlinkSync(join(PROJECT_ROOT, "node_modules"), join(root, "node_modules"));
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

const compiled = () => join(root, "policies", "dist", "index.cjs");

test("the pack becomes one plain file, with the SDK outside of it", async () => {
  expect(await ensurePolicyPack(root)).toBe(join(root, "policies"));
  const text = readFileSync(compiled(), "utf8");
  expect(text).toMatch(/require\("@pulumi\/policy"\)/);
  expect(text).toMatch(/require\("@pulumi\/policy\/proxy\.js"\)/);
  expect(text).not.toMatch(/require\("@pulumi\/(aws|kubernetes|random)"\)/);
});

test("it is compiled again only when a source changed", async () => {
  await ensurePolicyPack(root);
  const first = statSync(compiled()).ino;
  await ensurePolicyPack(root);
  expect(statSync(compiled()).ino).toBe(first);
  const source = join(root, "policies", "catalog.ts");
  writeFileSync(source, readFileSync(source, "utf8").replace("2026-11-21", "2026-11-22"));
  await ensurePolicyPack(root);
  expect(statSync(compiled()).ino).not.toBe(first);
});

test("a source that cannot be compiled is named, with what to do", async () => {
  writeFileSync(join(root, "policies", "all.ts"), "export const = ;");
  await expect(ensurePolicyPack(root)).rejects.toThrow(/policy pack cannot be compiled.*all\.ts/s);
});

test("the pack pins the SDK that the project has", () => {
  const read = (file: string) => JSON.parse(readFileSync(join(PROJECT_ROOT, file), "utf8"));
  const { dependencies, version } = read("policies/package.json");
  for (const [name, pinned] of Object.entries(dependencies)) {
    expect([name, read("package.json").dependencies[name]]).toEqual([name, pinned]);
    const locked = read("policies/package-lock.json").packages[`node_modules/${name}`];
    expect([name, locked.version.replace(/^v/, "")]).toEqual([name, pinned]);
  }
  expect(version).toMatch(/^\d+\.\d+\.\d+$/);
});

test("a policy imports no component", async () => {
  await ensurePolicyPack(root);
  const { inputs } = JSON.parse(
    readFileSync(join(root, "policies", "dist", "sources.json"), "utf8"),
  );
  const own = (inputs as string[]).filter((path) => !path.startsWith("node_modules/"));
  expect(own.filter((path) => !path.startsWith("policies/")).sort()).toEqual([
    "gateway/contract.ts",
    "gateway/labels.ts",
    "stacks/preset-table.ts",
  ]);
});
