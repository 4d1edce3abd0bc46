import { chmodSync, lstatSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";

/** Below a fleet's data directory: what Node compiled of OpenClaw, for all shards of this machine. */
export const COMPILE_CACHE_DIR = "compile-cache";

/** One OpenClaw leaves about 6,300 files, 43 MB. Agents' own programs under Node add theirs. */
const MOST_FILES = 30_000;

/**
 * Makes the directory, readable and writable by its owner only: what is in it is run. One that others
 * could write to, or that grew beyond all releases, is emptied. Null when it cannot be had.
 */
export function openCompileCache(dir: string, mostFiles = MOST_FILES): string | null {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    const found = lstatSync(dir);
    if (!found.isDirectory() || found.uid !== process.getuid?.()) return null;
    if ((found.mode & 0o077) !== 0) {
      chmodSync(dir, 0o700);
      empty(dir);
    } else if (countFiles(dir, mostFiles) > mostFiles) empty(dir);
    return dir;
  } catch {
    return null;
  }
}

function empty(dir: string): void {
  for (const name of readdirSync(dir)) rmSync(join(dir, name), { recursive: true, force: true });
}

function countFiles(dir: string, enough: number): number {
  let count = 0;
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    if (count > enough) break;
    count += entry.isDirectory() ? countFiles(join(dir, entry.name), enough - count) : 1;
  }
  return count;
}

/**
 * Seconds after a gateway's start: about when it serves, soon enough for one that is killed early; after
 * its first turns; and for what is loaded later.
 */
const FILL_AFTER_S = [10, 15, 20, 40, 600];

/**
 * Node writes its cache when a process ends by itself, which a gateway that is killed never does. This
 * module, loaded before OpenClaw, writes it while the gateway runs; the first time that holds its main
 * thread for about 0.8 s, later ones for a millisecond or two. Threads and helpers leave it to the gateway.
 */
const FILL = [
  'import { flushCompileCache } from "node:module";',
  'import { isMainThread } from "node:worker_threads";',
  'if (isMainThread && process.argv[2] === "gateway")',
  `  for (const s of ${JSON.stringify(FILL_AFTER_S)}) setTimeout(() => flushCompileCache(), s * 1000).unref();`,
].join("\n");

/** What a process of OpenClaw gets for its cache; null: none, instead of one that others can write. */
export function compileCacheUse(dir: string | null): {
  env: Record<string, string>;
  nodeArgs: string[];
} {
  if (dir === null) return { env: { NODE_DISABLE_COMPILE_CACHE: "1" }, nodeArgs: [] };
  return {
    // The second: OpenClaw would start itself anew to use a directory below this one.
    env: { NODE_COMPILE_CACHE: dir, OPENCLAW_PACKAGED_COMPILE_CACHE_RESPAWNED: "1" },
    nodeArgs: ["--import", `data:text/javascript,${encodeURIComponent(FILL)}`],
  };
}
