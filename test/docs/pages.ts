import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { PROJECT_ROOT } from "../../toolchain/paths.ts";

/** A page for people: its path from the root, and its text. */
export interface Page {
  file: string;
  text: string;
}

export function page(file: string): Page {
  return { file, text: readFileSync(join(PROJECT_ROOT, file), "utf8") };
}

/** README.md and everything below docs/. */
export function allPages(): Page[] {
  const docs = readdirSync(join(PROJECT_ROOT, "docs"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".md"))
    .map((file) => join("docs", file));
  return ["README.md", ...docs].map(page);
}

/** Rows of the first table whose head begins with `first`, cells without their backticks and anchors. */
export function tableRows({ file, text }: Page, first: string): string[][] {
  const lines = text.split("\n");
  const head = lines.findIndex((line) => line.startsWith(`| ${first} |`));
  if (head < 0) throw new Error(`${file} has no table that begins with ${first}`);
  const rows: string[][] = [];
  for (const line of lines.slice(head + 2)) {
    if (!line.startsWith("|")) break;
    const cells = line.split(/(?<!\\)\|/).slice(1, -1);
    rows.push(
      cells.map((cell) =>
        cell
          .replace(/<a id="[^"]*"><\/a>/g, "")
          .replaceAll("`", "")
          .trim(),
      ),
    );
  }
  return rows;
}

/** The anchor that a heading gets, as the usual renderers make it. */
export function anchor(heading: string): string {
  return heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, "")
    .replaceAll(" ", "-");
}
