import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import {
  closingLine,
  countReport,
  stepsOf,
  type VitestReport,
  wantsHosts,
} from "../../cli/test-run.ts";

const report = (over: Partial<VitestReport>): VitestReport => ({
  numPassedTests: 3,
  numFailedTests: 0,
  numPendingTests: 0,
  numTodoTests: 0,
  testResults: [],
  ...over,
});

test("tests are counted as vitest counts them", () => {
  const counted = countReport(
    report({ numFailedTests: 2, numPendingTests: 1, numTodoTests: 1 }),
    1,
  );
  expect(counted).toEqual({ passed: 3, failed: 2, skipped: 2 });
});

test("a file that could not run is a failure of its own", () => {
  const testResults = [
    { name: "a", status: "failed", assertionResults: [] },
    { name: "b", status: "failed", assertionResults: [{}] },
  ];
  expect(countReport(report({ numFailedTests: 1, testResults }), 1).failed).toBe(2);
});

test("no report, or an exit code without a failed test, is one failure", () => {
  expect(countReport(null, 0)).toEqual({ passed: 0, failed: 1, skipped: 0 });
  expect(countReport(report({}), 1).failed).toBe(1);
  expect(countReport(report({}), 0).failed).toBe(0);
});

test("the closing line names skipped tests only when there are some", () => {
  expect(closingLine({ passed: 5, failed: 0, skipped: 0 })).toBe("5 passed, 0 failed");
  expect(closingLine({ passed: 5, failed: 1, skipped: 2 })).toBe("5 passed, 1 failed, 2 skipped");
});

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

test("the whole of what takes turns is more than the engine's tests, and its files are there", () => {
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
