import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { knownFacts } from "./fault-names.ts";
import { type DrillReport, quantile } from "./summary.ts";
import { evidence } from "./text.ts";

/** One earlier run, as the list of runs keeps it. */
export interface PastRun {
  startedAt: string;
  ok: boolean;
  verdict: string;
  seed: number;
  minutes: number;
  faults: number;
  requests: number;
  release: string;
  /** Absent in older lines, as is the next. */
  section?: Section;
  /** Each recovery of each fault, ms, by the fault's name. */
  recoveriesMs?: Record<string, number[]>;
}

export function pastRun(report: DrillReport, section: Section): PastRun {
  return {
    startedAt: report.startedAt,
    ok: report.ok,
    verdict: report.verdict,
    seed: report.seed,
    minutes: report.minutes,
    faults: report.faults.reduce((sum, fault) => sum + fault.count, 0),
    requests: report.requests.reduce((sum, line) => sum + line.sent, 0),
    release: report.release,
    section,
    recoveriesMs: Object.fromEntries(
      report.faults.map(({ name, recoveryMs }) => [name, recoveryMs.each]),
    ),
  };
}

/** Newest runs that are shown. */
const SHOWN = 20;

/** Earlier runs, newest first. A line that cannot be read is left out. */
export function readRuns(file: string): PastRun[] {
  if (!existsSync(file)) return [];
  return readFileSync(file, "utf8")
    .split("\n")
    .flatMap((line) => {
      try {
        return line === "" ? [] : [JSON.parse(line) as PastRun];
      } catch {
        return [];
      }
    })
    .reverse()
    .slice(0, SHOWN);
}

export function appendRun(file: string, run: PastRun): void {
  mkdirSync(dirname(file), { recursive: true });
  appendFileSync(file, `${JSON.stringify(run)}\n`);
}

/** Which of the page's sections a drill writes, and its picture's file beside the page. */
export type Section = "drill" | "drill-hosts";
const pictureOf = (section: Section): string => `${section}.svg`;

const seconds = (ms: number | null): string => (ms === null ? "–" : `${(ms / 1000).toFixed(1)} s`);
const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("\n", " ");

function markdownTable(head: string[], rows: string[][]): string[] {
  const line = (cells: string[]) => `| ${cells.map(cell).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)];
}

/** How long recoveries took in several runs, this one among them; nothing of a single one. */
function repeated(runs: readonly PastRun[]): string[] {
  if (runs.length < 2) return [];
  const names = [...new Set(runs.flatMap(({ recoveriesMs = {} }) => Object.keys(recoveriesMs)))];
  const since = runs.map(({ startedAt }) => startedAt.slice(0, 10)).sort()[0];
  return [
    "",
    `All ${runs.length} runs on that machine since ${since}, of whatever length:`,
    "",
    ...markdownTable(
      ["fault", "times", "next answer, median", "worst"],
      names.map((name) => {
        const each = runs.flatMap(({ recoveriesMs = {} }) => recoveriesMs[name] ?? []);
        const [median, worst] = [quantile(each, 0.5), quantile(each, 1)];
        const title = knownFacts(name)?.title ?? name;
        return [title, String(each.length), seconds(median), seconds(worst)];
      }),
    ),
  ];
}

/** The section of docs/reliability.md that a drill writes, with earlier runs of its kind. Pure. */
export function reliabilitySection(
  report: DrillReport,
  section: Section,
  earlier: readonly PastRun[] = [],
): string {
  const times = report.faults.reduce((sum, fault) => sum + fault.count, 0);
  const lines = [
    `**${report.verdict}**`,
    "",
    `\`${report.command} --seed ${report.seed}\`, ${report.startedAt.slice(0, 10)}, release ${report.release}, ${report.nodes} nodes, ${report.shards} shards, ${times} faults in ${report.minutes} min.`,
    "",
    `![Who owned which shard, and what was done to it](${pictureOf(section)})`,
    "",
    ...markdownTable(
      ["law", "result", "what was looked at"],
      report.checks.map((verdict) => [verdict.law, verdict.status, evidence(verdict)]),
    ),
    "",
    ...markdownTable(
      ["fault", "times", "next answer, median", "max", "must"],
      report.faults.map((fault) => [
        fault.title,
        String(fault.count),
        seconds(fault.recoveryMs.median),
        seconds(fault.recoveryMs.max),
        fault.mustMs === null ? "" : `≤ ${fault.mustMs / 1000} s`,
      ]),
    ),
    ...repeated([pastRun(report, section), ...earlier.filter((run) => run.section === section)]),
    "",
    ...markdownTable(
      ["requests", "sent", "answered", "allowed errors", "added, median", "max"],
      report.requests.map((line) => [
        line.kind,
        String(line.sent),
        String(line.answered),
        Object.entries(line.errors)
          .map(([code, count]) => `${count} × ${code}`)
          .join(", ") || "0",
        seconds(line.overheadMs.median),
        seconds(line.overheadMs.max),
      ]),
    ),
  ];
  return lines.join("\n");
}

/** Replaces what stands between two markers of a page; a page without them gets them at its end. */
export function replaceSection(page: string, begin: string, end: string, section: string): string {
  const block = `${begin}\n${section}\n${end}`;
  const from = page.indexOf(begin);
  const to = page.indexOf(end);
  if (from < 0 || to < from) return `${page.trimEnd()}\n\n${block}\n`;
  return page.slice(0, from) + block + page.slice(to + end.length);
}

/** Writes the report into docs/reliability.md, and its picture (SVG) beside it. */
export function recordReliability(
  file: string,
  report: DrillReport,
  { section, picture, earlier = [] }: { section: Section; picture: string; earlier?: PastRun[] },
): void {
  const page = existsSync(file) ? readFileSync(file, "utf8") : "# Reliability\n";
  mkdirSync(dirname(file), { recursive: true });
  const [begin, end] = [`<!-- ${section}:begin -->`, `<!-- ${section}:end -->`];
  writeFileSync(
    file,
    replaceSection(page, begin, end, reliabilitySection(report, section, earlier)),
  );
  writeFileSync(join(dirname(file), pictureOf(section)), picture);
}
