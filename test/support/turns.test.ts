import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { PROJECT_ROOT } from "../../toolchain/paths.ts";
import { filesLeftOut, filesOfOtherDays, GROUPS } from "./turns.ts";

const ALL = GROUPS.flat();

test("each file is there, and has one turn", () => {
  expect(ALL.filter((file) => !existsSync(join(PROJECT_ROOT, file)))).toEqual([]);
  expect(new Set(ALL).size).toBe(ALL.length);
});

test("days in a row give every file its turn, and each day leaves the others out", () => {
  for (const day of [0, 1, 20_780]) {
    const left = GROUPS.map((_, index) => filesOfOtherDays(day + index));
    for (const file of ALL) expect(left.filter((files) => !files.includes(file))).toHaveLength(1);
  }
});

test("a run of everything has the day's files, a quick one none of them, and any other run all", () => {
  expect(filesLeftOut("day", 3)).toEqual(filesOfOtherDays(3));
  expect(filesLeftOut("none")).toEqual(ALL);
  expect(filesLeftOut(undefined)).toEqual([]);
});
