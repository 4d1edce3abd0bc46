import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { noteIncarnation } from "../../../gateway/node/incarnations.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "node-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test("what was started in the directory is known to later starts, the newest of it", () => {
  expect([...noteIncarnation(dir, "i0")]).toEqual(["i0"]);
  expect([...noteIncarnation(dir, "i1")]).toEqual(["i0", "i1"]);
  for (let n = 2; n < 100; n++) noteIncarnation(dir, `i${n}`);
  const known = noteIncarnation(dir, "last");
  expect(known.size).toBe(64);
  expect(known.has("i99")).toBe(true);
  expect(known.has("i0")).toBe(false);
});

test("of another boot nothing is known: it may be a copy of this disk in another machine", () => {
  noteIncarnation(dir, "i0", "boot 1");
  expect([...noteIncarnation(dir, "i1", "boot 2")]).toEqual(["i1"]);
  expect([...noteIncarnation(dir, "i2", "boot 2")]).toEqual(["i1", "i2"]);
});

test("a torn note knows nothing, and a directory that cannot be written stops nothing", () => {
  noteIncarnation(dir, "i0");
  const path = join(dir, "incarnations.json");
  writeFileSync(path, readFileSync(path, "utf8").slice(0, 3));
  expect([...noteIncarnation(dir, "i1")]).toEqual(["i1"]);
  expect([...noteIncarnation(join(dir, "none"), "i2")]).toEqual(["i2"]);
});
