import { readFileSync } from "node:fs";
import { join } from "node:path";

const MARK = /\{\{secret ([A-Za-z0-9._-]+)\}\}/g;

/**
 * Text of a JSON file with every `{{secret NAME}}` replaced by the content of the file NAME, without the line
 * end that editors add. Throws with every secret that is missing or empty.
 */
export function fill(text: string, secretsDir: string): string {
  const missing = new Set<string>();
  const filled = text.replace(MARK, (_, name: string) => {
    const value = read(join(secretsDir, name));
    if (value === "") missing.add(name);
    // A mark stands inside a JSON string.
    return JSON.stringify(value).slice(1, -1);
  });
  if (missing.size > 0) {
    throw new Error(
      `no secret ${[...missing].sort().join(", ")}: put each into a file of that name in secrets/, then start again`,
    );
  }
  return filled;
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8").replace(/\r?\n$/, "");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  }
}
