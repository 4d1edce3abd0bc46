import { availableParallelism, cpus, totalmem } from "node:os";
import type { Part, PartResult } from "./part.ts";

/** Where a part's results stand in docs/capacity.md. */
export const marks = (name: string): { begin: string; end: string } => ({
  begin: `<!-- bench:${name}:begin -->`,
  end: `<!-- bench:${name}:end -->`,
});

const cell = (value: string): string => value.replaceAll("|", "\\|").replaceAll("\n", " ");
const line = (cells: string[]): string => `| ${cells.map(cell).join(" | ")} |`;

/** The section of one part: what was measured, beside what, when and on which kind of machine. */
export function capacitySection(part: Part, result: PartResult, now: Date): string {
  const gib = Math.round(totalmem() / 2 ** 30);
  const model = cpus()[0]?.model ?? "unknown processor";
  return [
    `## ${part.title}`,
    "",
    `\`./fleet test bench ${part.name} --write\`, ${now.toISOString().slice(0, 10)}, ${availableParallelism()} cores (${model}), ${gib} GiB. ${result.notes.join(" ")}`,
    "",
    line(["what", "measured", "beside", "must", ""]),
    line(["---", "---", "---", "---", "---"]),
    ...result.rows.map((row) =>
      line([
        row.what,
        row.measured,
        row.reference,
        row.must,
        row.met === null ? "" : row.met ? "met" : "**missed**",
      ]),
    ),
    ...(result.broken.length > 0 ? ["", ...result.broken.map((text) => `- broken: ${text}`)] : []),
  ].join("\n");
}
