import {
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  readdirSync,
  readSync,
  statSync,
} from "node:fs";
import { join } from "node:path";

/** One line of a node's log, as far as it is understood. */
export interface LogLine {
  time: string;
  level: string;
  msg: string;
  instanceId?: string;
  shard?: string;
  epoch?: number;
  [field: string]: unknown;
}

/** Lines that are no JSON (a crash before the logger was there) are kept as they are. */
export function parseLine(node: string, line: string): LogLine {
  try {
    const parsed = JSON.parse(line) as LogLine;
    if (typeof parsed === "object" && parsed !== null && typeof parsed.msg === "string")
      return parsed;
  } catch {
    // Not ours; shown as text.
  }
  return { time: "", level: "info", msg: line, instanceId: node };
}

/** In the line's own words already, or of use to programs only (`--json` has them all). */
const SHOWN = new Set([
  "time",
  "level",
  "msg",
  "instanceId",
  "shard",
  "epoch",
  "pid",
  "hostname",
  "stream",
]);

/** `12:03:04.512 warn a s1#7 message  key=value`. */
export function lineText(line: LogLine): string {
  const where = [
    line.instanceId,
    line.shard && `${line.shard}${line.epoch ? `#${line.epoch}` : ""}`,
  ];
  const rest = Object.entries(line)
    .filter(([key, value]) => !SHOWN.has(key) && value !== undefined && value !== null)
    .map(([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`);
  const time = line.time.slice(11, 23);
  return [time, line.level.padEnd(5), ...where, line.msg, ...rest].filter(Boolean).join(" ");
}

/** Log files by node id. */
export function nodeLogs(dataDir: string): Map<string, string> {
  const nodes = join(dataDir, "nodes");
  const logs = new Map<string, string>();
  if (!existsSync(nodes)) return logs;
  for (const id of readdirSync(nodes)) {
    const path = join(nodes, id, "node.log");
    if (existsSync(path)) logs.set(id, path);
  }
  return logs;
}

/** Follows one file by offset; survives rotation (another inode, or shorter than before). */
export class LogTail {
  readonly #path: string;
  readonly node: string;
  #offset = 0;
  #inode = 0n;
  #partial = "";

  constructor(node: string, path: string) {
    this.node = node;
    this.#path = path;
  }

  /** Complete lines written since the last call; the first call starts `tailBytes` before the end. */
  read(tailBytes = 0): LogLine[] {
    const stat = statSync(this.#path, { bigint: true, throwIfNoEntry: false });
    if (!stat) return [];
    if (this.#inode === 0n) {
      this.#offset = Math.max(0, Number(stat.size) - tailBytes);
    } else if (stat.ino !== this.#inode || Number(stat.size) < this.#offset) {
      this.#offset = 0;
      this.#partial = "";
    }
    const startsMidLine = this.#inode === 0n && this.#offset > 0;
    this.#inode = stat.ino;
    const fd = openSync(this.#path, "r");
    try {
      const length = Math.min(fstatSync(fd).size - this.#offset, 16 * 2 ** 20);
      if (length <= 0) return [];
      const buffer = Buffer.alloc(length);
      const got = readSync(fd, buffer, 0, length, this.#offset);
      this.#offset += got;
      const lines = (this.#partial + buffer.toString("utf8", 0, got)).split("\n");
      this.#partial = lines.pop() ?? "";
      if (startsMidLine) lines.shift();
      return lines.filter((line) => line !== "").map((line) => parseLine(this.node, line));
    } finally {
      closeSync(fd);
    }
  }
}
