import { expect, test } from "vitest";
import { closingLine, countReport, failuresOf, type VitestReport } from "../../cli/test-report.ts";

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

test("what failed is named with its file and why, without the stack", () => {
  const testResults = [
    {
      name: "/root/test/a.test.ts",
      status: "failed",
      assertionResults: [
        { fullName: "fleet holds", status: "passed", failureMessages: [] },
        {
          fullName: "fleet falls",
          status: "failed",
          failureMessages: [
            "AssertionError: \u001b[31mexpected 1\u001b[39m to be 2\n\n- 2\n+ 1\n    at x.ts:1:2",
          ],
        },
      ],
    },
    {
      name: "/root/test/b.test.ts",
      status: "failed",
      message: "Cannot find ./c.ts",
      assertionResults: [],
    },
  ];
  expect(failuresOf(report({ testResults }), "/root")).toEqual([
    "test/a.test.ts: fleet falls\n  AssertionError: expected 1 to be 2\n  - 2\n  + 1",
    "test/b.test.ts\n  Cannot find ./c.ts",
  ]);
});
