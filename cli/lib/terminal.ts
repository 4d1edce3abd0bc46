import { stripVTControlCharacters, styleText } from "node:util";
import Table from "cli-table3";
import { columnsOf, wrap } from "./wrap.ts";

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

/** A last column that would get less than this is left to the terminal to break. */
const LEAST_COLUMNS = 16;

/** Breaks the last column between words, so that a table fits `columns`. */
function fitLast(head: string[], rows: string[][], columns: number): string[][] {
  if (!Number.isFinite(columns)) return rows;
  const last = head.length - 1;
  const widest = (at: number) =>
    Math.max(...[head, ...rows].map((row) => stripVTControlCharacters(row[at] ?? "").length));
  const before = head.slice(0, last).reduce((sum, _, at) => sum + widest(at) + 2, 0);
  const room = columns - before;
  if (room < LEAST_COLUMNS) return rows;
  return rows.map((row) => row.map((cell, at) => (at === last ? wrap(cell, room) : cell)));
}

/**
 * A table without borders, two spaces between columns, right for wide characters. On a terminal the
 * last column is broken to fit.
 */
export function table(head: string[], rows: string[][], columns = columnsOf()): string {
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
  drawn.push(...fitLast(head, rows, columns));
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

/** Version of what `--json` prints; a field that changes its meaning or goes away raises it. */
const DOCUMENT_VERSION = 1;

/** An object says its version first. Lists have no place for one, and a form with its own version keeps that. */
function versioned(document: unknown): unknown {
  if (typeof document !== "object" || document === null || Array.isArray(document)) return document;
  if ("version" in document || "apiVersion" in document) return document;
  return { version: DOCUMENT_VERSION, ...document };
}

/** The one document of `--json`, or the text for people. */
export function result(json: boolean, document: unknown, text: () => string): void {
  const shown = json ? JSON.stringify(versioned(document), null, 2) : text();
  process.stdout.write(`${shown}\n`);
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
