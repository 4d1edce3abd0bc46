import { availableParallelism, cpus, loadavg, totalmem } from "node:os";
import { type Part, type PartResult, type Row, verdictOf } from "./part.ts";

/** How the terminal draws; passed in, so that this file needs none. */
export type Paint = (style: "red" | "green" | "bold" | "dim", text: string) => string;

/** The machine under a measurement. */
export interface Machine {
  cores: number;
  processor: string;
  gib: number;
  /** Load average of the minute before the part began. */
  load: number;
}

export const lookAtMachine = (): Machine => ({
  cores: availableParallelism(),
  processor: cpus()[0]?.model.trim() ?? "unknown processor",
  gib: Math.round(totalmem() / 2 ** 30),
  load: loadavg()[0] ?? 0,
});

/** Above this part of the cores being asked for by others, a timing says little. */
const BUSY = 0.75;

/** A warning where the numbers will say little; null where they will do. */
export function busyWarning({ cores, load }: Machine): string | null {
  if (load <= cores * BUSY) return null;
  return `this machine is busy (load ${load.toFixed(1)} on ${cores} cores): what is timed now is the load, not the fleet`;
}

/** Where a part's results stand in docs/capacity.md. */
export const marks = (name: string): { begin: string; end: string } => ({
  begin: `<!-- bench:${name}:begin -->`,
  end: `<!-- bench:${name}:end -->`,
});

const bounds = (row: Row): string =>
  [row.must && `must ${row.must.text}`, row.aim && `aim ${row.aim.text}`]
    .filter(Boolean)
    .join(", ");

/** What a part found, for a terminal: each number with its reference and what is asked of it. */
export function partText(part: Part, result: PartResult, paint: Paint): string {
  const lines = [paint("bold", part.title)];
  for (const row of result.rows) {
    const verdict = verdictOf(row);
    const missed = row.must?.met === false;
    const met = row.must ? row.must.met : row.aim?.met === true;
    const mark = missed ? paint("red", "✗") : met ? paint("green", "✓") : "·";
    lines.push(`${mark} ${row.what}: ${paint("bold", row.measured)}`);
    if (row.reference) lines.push(`    beside  ${row.reference}`);
    if (verdict) {
      const said = missed ? paint("red", verdict) : met ? paint("green", verdict) : verdict;
      lines.push(`    asked   ${bounds(row)}: ${said}`);
    }
  }
  for (const law of result.broken) lines.push(`${paint("red", "✗ broken:")} ${law}`);
  if (result.broken.length === 0) lines.push(`${paint("green", "✓")} ${result.laws}`);
  for (const note of result.notes) lines.push(paint("dim", `  ${note}`));
  lines.push(paint("dim", `  again: ./fleet test bench ${part.name}`), "");
  return lines.join("\n");
}

const cell = (value: string): string => value.replaceAll("|", "\\|").replaceAll("\n", " ");
const line = (cells: string[]): string => `| ${cells.map(cell).join(" | ")} |`;

/**
 * The section of one part in docs/capacity.md: what was measured, beside what, when and where.
 * @param options of the command besides `--write`, such as `--quick`
 * @param loadAfter the load average at its end, which has the part's own work in it
 */
export function capacitySection(
  part: Part,
  result: PartResult,
  machine: Machine,
  now: Date,
  options: readonly string[] = [],
  loadAfter = machine.load,
): string {
  const { cores, processor, gib, load } = machine;
  const at = `${now.toISOString().slice(0, 16).replace("T", " ")} UTC`;
  return [
    `## ${part.title}`,
    "",
    `\`./fleet test bench ${[part.name, ...options, "--write"].join(" ")}\`, ${at}, ${cores} cores (${processor}), ${gib} GiB, load ${load.toFixed(1)} before it began, ${loadAfter.toFixed(1)} at its end.`,
    ...result.notes,
    "",
    line(["what", "measured", "beside", "must", "aim", ""]),
    line(["---", "---", "---", "---", "---", "---"]),
    ...result.rows.map((row) => {
      const verdict = verdictOf(row);
      return line([
        row.what,
        row.measured,
        row.reference,
        row.must?.text ?? "",
        row.aim?.text ?? "",
        row.must?.met === false ? `**${verdict}**` : verdict,
      ]);
    }),
    "",
    ...(result.broken.length > 0
      ? result.broken.map((law) => `- **broken**: ${law}`)
      : [result.laws]),
  ].join("\n");
}
