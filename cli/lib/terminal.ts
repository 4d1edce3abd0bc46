import { styleText } from "node:util";
import Table from "cli-table3";

type Style = Parameters<typeof styleText>[0];

/** Colour only where a person looks: off without a terminal, with NO_COLOR or TERM=dumb. */
export function paint(
  style: Style,
  text: string,
  stream: NodeJS.WriteStream = process.stdout,
): string {
  const forced = process.env.FORCE_COLOR !== undefined && process.env.FORCE_COLOR !== "0";
  const off = Boolean(process.env.NO_COLOR) || process.env.TERM === "dumb";
  if (off || !(forced || stream.isTTY)) return text;
  return styleText(style, text, { validateStream: false });
}

/** A table without borders, two spaces between columns, right for wide characters. */
export function table(head: string[], rows: string[][]): string {
  const none = {
    top: "",
    "top-mid": "",
    "top-left": "",
    "top-right": "",
    bottom: "",
    "bottom-mid": "",
    "bottom-left": "",
    "bottom-right": "",
    left: "",
    "left-mid": "",
    mid: "",
    "mid-mid": "",
    right: "",
    "right-mid": "",
    middle: "  ",
  };
  const drawn = new Table({
    head,
    chars: none,
    style: { head: [], border: [], "padding-left": 0, "padding-right": 0 },
  });
  drawn.push(...rows);
  return drawn
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .filter((line) => line !== "")
    .join("\n");
}

/** Progress and notices go to stderr; stdout is for the result. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** The one document of `--json`, or the text for people. */
export function result(json: boolean, document: unknown, text: () => string): void {
  process.stdout.write(json ? `${JSON.stringify(document, null, 2)}\n` : `${text()}\n`);
}

/** 4 min, 3 d: the two largest things a person needs to know of an age. */
export function age(ms: number | null): string {
  if (ms === null || !Number.isFinite(ms)) return "–";
  const seconds = ms / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

export function bytes(n: number | null): string {
  if (n === null) return "–";
  const gib = n / 2 ** 30;
  return gib >= 1 ? `${gib.toFixed(1)} GiB` : `${Math.round(n / 2 ** 20)} MiB`;
}
