import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { removeTree } from "../../../gateway/state/remove-tree.ts";
import { asNobody, NOBODY } from "../../support/as-nobody.ts";

/** A folder of nobody's for trees to remove. */
function ground(): string {
  const dir = mkdtempSync(join(tmpdir(), "remove-tree-"));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  if (process.getuid?.() === 0) chownSync(dir, NOBODY, NOBODY);
  return dir;
}

test("what an agent closed to everybody is removed with the rest", async () => {
  const tree = join(ground(), "state");
  await asNobody(async () => {
    const closed = join(tree, "workspace", "closed");
    mkdirSync(join(closed, "deeper"), { recursive: true });
    writeFileSync(join(closed, "deeper", "file"), "x");
    chmodSync(join(closed, "deeper"), 0o000);
    chmodSync(closed, 0o000);
    await expect(rm(tree, { recursive: true, force: true })).rejects.toThrow("EACCES");
    await removeTree(tree);
  });
  expect(existsSync(tree)).toBe(false);
});

test("a file goes, and what is not there is no error", async () => {
  const dir = ground();
  writeFileSync(join(dir, "file"), "x");
  await removeTree(join(dir, "file"));
  await removeTree(join(dir, "file"));
  expect(existsSync(join(dir, "file"))).toBe(false);
});
