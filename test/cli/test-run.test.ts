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

test.each([
  ["engine", "stacks in process"],
  ["hosts", "replicas under kills"],
])("a full run of %s begins with %s, and its files are there", (part, first) => {
  const steps = stepsOf(part, true) ?? [];
  expect(steps.map(({ name }) => name)).toEqual([first, part]);
  const paths = steps.flatMap(({ args }) => args.filter((each) => each.startsWith("test")));
  expect(paths.length).toBeGreaterThan(1);
  for (const path of paths) expect(existsSync(path)).toBe(true);
  expect(stepsOf(part)).toHaveLength(1);
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
