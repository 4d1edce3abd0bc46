import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { stepsOf, wantsHosts } from "../../cli/test-run.ts";

test("a part is a word or a path that exists", () => {
  expect(stepsOf(undefined)?.map(({ name }) => name)).toEqual([
    "types",
    "format and lint",
    "unit",
    "real",
  ]);
  expect(stepsOf("test/cli")?.[0]?.vitest).toBe(true);
  expect(stepsOf("nothing-of-this-name")).toBeNull();
});

test("a full run is more than the engine's tests, and its files are there", () => {
  const steps = stepsOf("engine", true) ?? [];
  expect(steps.map(({ name }) => name)).toEqual(["stacks in process", "engine"]);
  for (const { args } of steps) expect(existsSync(args.at(-1) as string)).toBe(true);
  expect(stepsOf("engine")).toHaveLength(1);
});

test.each([
  [undefined, true],
  ["real", true],
  ["hosts", true],
  ["test/hosts/ssh.test.ts", true],
  ["test/hosts", true],
  ["test", true],
  ["check", false],
  ["unit", false],
  ["engine", false],
  ["fleet", false],
  ["test/cli", false],
  ["bench", false],
])("part %s makes hosts: %s", (part, makes) => {
  expect(wantsHosts(stepsOf(part) ?? [])).toBe(makes);
});
