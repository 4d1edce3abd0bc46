/** Most characters of a comment. Source: docs.github.com/rest/issues/comments answers 422 above it. */
export const COMMENT_MAX = 65_536;
/** Room for the mark by which a comment is found again. */
const MARK_ROOM = 200;
const CUT = "\n\n… the rest did not fit; `./fleet preview` shows all of it.";

/** A text of others within a line: nothing in it becomes markup, a mention or a reference. */
export function inline(text: string): string {
  return text
    .replaceAll(/\s+/g, " ")
    .replaceAll(/[\\`*_[\]<>|~]/g, (sign) => `\\${sign}`)
    .replaceAll("@", "@\u200b")
    .replaceAll(/#(?=\d)/g, "#\u200b");
}

/** A text of others as it is, in a fence that it cannot close. */
export function code(text: string): string {
  const longest = Math.max(2, ...(text.match(/`+/g) ?? []).map(({ length }) => length));
  const fence = "`".repeat(longest + 1);
  return [fence, text, fence].join("\n");
}

export function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)];
}

/** The text, cut at a line's end where it is longer than a comment may be. */
export function fitted(text: string, most = COMMENT_MAX - MARK_ROOM): string {
  if (text.length <= most) return text;
  const room = text.slice(0, most - CUT.length - "\n</details>".length);
  const whole = room.slice(0, room.lastIndexOf("\n"));
  const open = whole.split("<details>").length > whole.split("</details>").length;
  return `${whole}${open ? "\n</details>" : ""}${CUT}`;
}
