import { stripVTControlCharacters } from "node:util";

/** Columns of the terminal that `stream` writes to; without one, lines are not cut. */
export function columnsOf(stream: NodeJS.WriteStream = process.stdout): number {
  return stream.isTTY && stream.columns > 0 ? stream.columns : Number.POSITIVE_INFINITY;
}

/**
 * Breaks lines between words so that they fit `columns`. What follows a break begins below `indent`
 * spaces. A word that is longer than a line (a path) stays whole: people copy it.
 */
export function wrap(text: string, columns: number, indent = 0): string {
  if (!Number.isFinite(columns)) return text;
  const room = Math.max(columns, indent + 20);
  return text
    .split("\n")
    .map((line) => wrapLine(line, room, " ".repeat(indent)))
    .join("\n");
}

function wrapLine(line: string, columns: number, indent: string): string {
  const lines: string[] = [];
  let current = /^ */.exec(line)?.[0] ?? "";
  let empty = true;
  for (const word of line.trimStart().split(" ")) {
    if (!empty && width(current) + 1 + width(word) > columns) {
      lines.push(current);
      current = indent + word;
    } else {
      current += empty ? word : ` ${word}`;
    }
    empty = false;
  }
  return [...lines, current].join("\n");
}

/** Characters that the line takes on a screen, near enough for words of Latin script. */
const width = (text: string): number => [...stripVTControlCharacters(text)].length;

/** At most `length` characters; what was cut is told by an ellipsis. */
export function clip(text: string, length: number): string {
  const characters = [...text];
  return characters.length <= length ? text : `${characters.slice(0, length - 1).join("")}…`;
}
