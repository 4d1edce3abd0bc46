import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  bundleRuntime,
  RUNTIME_ENTRIES,
  RUNTIME_FILES,
  recall,
  remember,
} from "../../toolchain/bundle.ts";
import { PROJECT_ROOT } from "../../toolchain/paths.ts";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "fleet-bundle-"));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Another clone: the same sources elsewhere, with its packages behind a link. */
function cloneTo(root: string): void {
  for (const name of ["gateway", "plugin", "components"]) {
    cpSync(join(PROJECT_ROOT, name), join(root, name), { recursive: true });
  }
  cpSync(join(PROJECT_ROOT, "package.json"), join(root, "package.json"));
  cpSync(join(PROJECT_ROOT, "tsconfig.json"), join(root, "tsconfig.json"));
  symlinkSync(join(PROJECT_ROOT, "node_modules"), join(root, "node_modules"));
}

test("two clones of the same sources make the same bundle, and a change makes another", async () => {
  const one = join(folder, "one");
  const two = join(folder, "deeper", "two");
  for (const root of [one, two]) cloneTo(root);
  const first = await bundleRuntime(one);
  const memory = join(folder, "memory", "one.json");
  remember(one, memory, first);
  expect((await bundleRuntime(two)).id).toBe(first.id);
  expect(recall(one, memory)).toBe(first.id);

  const entry = join(one, RUNTIME_ENTRIES["keeper.js"] as string);
  writeFileSync(entry, "\nconsole.log('changed');\n", { flag: "a" });
  expect(recall(one, memory)).toBeNull();
  expect((await bundleRuntime(one)).id).not.toBe(first.id);
});

test("every entry stands alone: it runs where there are no packages", async () => {
  const { files } = await bundleRuntime(PROJECT_ROOT);
  const entries = Object.keys(RUNTIME_ENTRIES);
  const names = [...entries, ...Object.keys(RUNTIME_FILES)];
  expect(files.map(({ name }) => name).sort()).toEqual(names.sort());
  for (const { name, text } of files) writeFileSync(join(folder, name), text);
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  for (const name of entries) {
    const { stderr } = spawnSync(process.execPath, [join(folder, name)], { encoding: "utf8" });
    // Without arguments each refuses in its own words; a bundle that lacks a part fails before that.
    expect(stderr, name).not.toMatch(/Cannot find|ERR_|is not defined|SyntaxError/);
    expect(stderr, name).not.toBe("");
  }
});

test("a missing entry is named", async () => {
  await expect(bundleRuntime(folder)).rejects.toThrow(/gateway\/node\/main\.ts.* missing/);
});
