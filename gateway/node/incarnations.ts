import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { bootId } from "../clock.ts";

/** Older ones hold no lease any more. */
const KEPT = 64;

/** Those of one boot. Of another boot's nothing is known: it may be another machine, with a copy of this disk. */
const notes = z.object({ boot: z.string(), started: z.array(z.string()) });

/**
 * Notes that this incarnation was started in the node's directory, and returns all that were since the machine's
 * boot. Only while the keeper holds the directory's lock. A note that is lost costs a TTL, no more.
 */
export function noteIncarnation(
  nodeDir: string,
  incarnation: string,
  boot = bootId(),
): ReadonlySet<string> {
  const path = join(nodeDir, "incarnations.json");
  let before: string[] = [];
  try {
    const read = notes.parse(JSON.parse(readFileSync(path, "utf8")));
    if (read.boot === boot) before = read.started;
  } catch {
    // The first start, or a torn file: nothing is known then.
  }
  const all = [...before, incarnation].slice(-KEPT);
  try {
    writeFileSync(`${path}.new`, JSON.stringify({ boot, started: all }), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  } catch {
    // A full disk must not keep a node from starting.
  }
  return new Set(all);
}
