import { readFileSync } from "node:fs";
import { relative } from "node:path";
import { stripVTControlCharacters } from "node:util";

/** What a part of the tests came to. */
export interface Count {
  passed: number;
  failed: number;
  skipped: number;
}

/** The fields of vitest's JSON report that are used. */
export interface VitestReport {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  testResults: {
    /** The file's full path. */
    name: string;
    status: string;
    /** Why the whole file could not run. */
    message?: string;
    assertionResults: { fullName?: string; status?: string; failureMessages?: string[] | null }[];
  }[];
}

/** Lines of one failure's message that are shown again; the rest stands where it failed. */
const SHOWN_LINES = 12;

/** A report that vitest wrote; null when it ended before it could. */
export function readReport(file: string): VitestReport | null {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as VitestReport;
  } catch {
    return null;
  }
}

/** Counts of a vitest run. A file that could not run at all, and a crash, are failures too. */
export function countReport(report: VitestReport | null, exitCode: number): Count {
  if (!report) return { passed: 0, failed: 1, skipped: 0 };
  const broken = report.testResults.filter(
    ({ status, assertionResults }) => status === "failed" && assertionResults.length === 0,
  ).length;
  const failed = report.numFailedTests + broken;
  return {
    passed: report.numPassedTests,
    failed: failed === 0 && exitCode !== 0 ? 1 : failed,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

/** Each failed test, or file that could not run: its file under `root`, its name, and why. */
export function failuresOf(report: VitestReport, root: string): string[] {
  return report.testResults.flatMap(({ name, status, message, assertionResults }) => {
    const file = relative(root, name);
    if (status === "failed" && assertionResults.length === 0) {
      return [[file, ...reason(message ?? "")].join("\n")];
    }
    return assertionResults
      .filter((test) => test.status === "failed")
      .map(({ fullName, failureMessages }) =>
        [`${file}: ${fullName}`, ...reason(failureMessages?.[0] ?? "")].join("\n"),
      );
  });
}

/** The message without its stack: the place in the test is found by the test's name. */
function reason(message: string): string[] {
  const lines = stripVTControlCharacters(message).trim().split("\n");
  const stack = lines.findIndex((line) => /^\s+at /.test(line));
  return (stack < 0 ? lines : lines.slice(0, stack))
    .filter((line) => line.trim() !== "")
    .slice(0, SHOWN_LINES)
    .map((line) => `  ${line}`);
}

/** The closing line; skipped tests are named only when there are some. */
export function closingLine({ passed, failed, skipped }: Count): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}
