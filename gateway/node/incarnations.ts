import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Older ones hold no lease any more. */
const KEPT = 64;

/**
 * Notes that this incarnation was started in the node's directory, and returns all that were. Only
 * while the keeper holds the directory's lock. A note that is lost costs a TTL, no more.
 */
export function noteIncarnation(nodeDir: string, incarnation: string): ReadonlySet<string> {
  const path = join(nodeDir, "incarnations.json");
  let before: string[] = [];
  try {
    const read: unknown = JSON.parse(readFileSync(path, "utf8"));
    if (Array.isArray(read)) before = read.filter((each) => typeof each === "string");
  } catch {
    // The first start, or a torn file: nothing is known then.
  }
  const all = [...before, incarnation].slice(-KEPT);
  try {
    writeFileSync(`${path}.new`, JSON.stringify(all), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  } catch {
    // A full disk must not keep a node from starting.
  }
  return new Set(all);
}
