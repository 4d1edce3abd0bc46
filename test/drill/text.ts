import { type DrillReport, type RequestLine, some } from "./summary.ts";
import type { Verdict } from "./verdict.ts";

/** How the command line draws; passed in, so that this file needs no terminal. */
export interface Drawing {
  table(head: string[], rows: string[][]): string;
  paint(style: "red" | "green" | "yellow" | "bold" | "dim", text: string): string;
}

const seconds = (ms: number | null): string => (ms === null ? "–" : `${(ms / 1000).toFixed(1)} s`);

/** Evidence of a check that did not pass, or what it looked at; one line. */
export function evidence(verdict: Verdict): string {
  const [first] = verdict.violations;
  if (first) {
    const more = verdict.violations.length - 1;
    return more > 0 ? `${first.text} (and ${more} more)` : first.text;
  }
  if (verdict.status === "unevaluated") return `not evaluated: ${verdict.note}`;
  const looked = `${verdict.evaluated} ${verdict.of}`;
  return verdict.note ? `${looked}, ${verdict.note}` : looked;
}

function errorsOf(line: RequestLine): string {
  const codes = Object.entries(line.errors).map(([code, count]) => `${count} × ${code}`);
  return codes.length > 0 ? codes.join(", ") : "0";
}

/** Verdict first; a failing check has its evidence in the same line. */
export function drillText(report: DrillReport, draw: Drawing): string {
  const { table, paint } = draw;
  const lines: string[] = [];
  lines.push(paint(report.ok ? "green" : "red", report.verdict));
  const { nodes, shards, minutes, seed } = report;
  lines.push(
    `${some(nodes, "node")}, ${some(shards, "shard")}, ${minutes} min, seed ${seed}, ${report.release}`,
    "",
  );
  for (const verdict of report.checks) {
    const mark = verdict.status === "passed" ? paint("green", "✓") : paint("red", "✗");
    lines.push(`${mark} ${verdict.law}: ${evidence(verdict)}`);
  }
  if (report.faults.length > 0) {
    const rows = report.faults.map((fault) => [
      fault.title,
      String(fault.count),
      seconds(fault.recoveryMs.median),
      seconds(fault.recoveryMs.max),
      fault.mustMs === null ? "" : `≤ ${fault.mustMs / 1000} s`,
      fault.failed > 0 ? paint("red", `${fault.failed} not recovered`) : "",
    ]);
    lines.push("", table(["FAULT", "TIMES", "MEDIAN", "MAX", "MUST", ""], rows));
  }
  if (report.requests.length > 0) {
    const rows = report.requests.map((line) => [
      line.kind,
      String(line.sent),
      String(line.answered),
      String(line.resent),
      errorsOf(line),
      seconds(line.overheadMs.median),
      seconds(line.overheadMs.max),
    ]);
    const head = ["REQUESTS", "SENT", "ANSWERED", "RESENT", "ERRORS", "ADDED MEDIAN", "MAX"];
    lines.push("", table(head, rows));
  }
  return lines.join("\n");
}
