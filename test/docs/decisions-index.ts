import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PROJECT_ROOT } from "../../toolchain/paths.ts";

const FOLDER = join(PROJECT_ROOT, "docs", "decisions");

/** The index of the decisions. */
export const INDEX_FILE = join(FOLDER, "README.md");

/** Text of the index, from the first line of every page. `node test/docs/decisions-index.ts` writes it. */
export function decisionsIndex(): string {
  const rows = readdirSync(FOLDER)
    .filter((file) => /^\d{3}-.*\.md$/.test(file))
    .sort()
    .map((file) => {
      const [first = ""] = readFileSync(join(FOLDER, file), "utf8").split("\n");
      const title = first.replace(/^#\s*\d+[:.]?\s*/, "");
      return `- [${file.slice(0, 3)}](${file}) ${title.charAt(0).toUpperCase()}${title.slice(1)}`;
    });
  return [
    "# Decisions",
    "",
    "Choices that somebody could question: what stood against what, what was measured, what was taken. One page each.",
    "This list is made by `node test/docs/decisions-index.ts`.",
    "",
    ...rows,
    "",
  ].join("\n");
}

if (process.argv[1] === import.meta.filename) writeFileSync(INDEX_FILE, decisionsIndex());
