import {
  existsSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ToolchainError } from "./errors.ts";
import { holderLives, holderOf } from "./holder.ts";
import { cacheDir } from "./paths.ts";
import type { Progress } from "./progress.ts";

export interface CacheOptions {
  progress: Progress;
  /** Root of the cache. @default {@link cacheDir} */
  root?: string;
  /** Pause between two looks at a lock held by another run, ms. @default 250 */
  pollMs?: number;
}

/** A line about waiting is written this often, ms. */
const WAIT_LINE_MS = 10_000;

/**
 * The folder `<cache>/<kind>/<key>`, built once. `build` fills a temporary folder of its own, which
 * then appears under its final name by one rename: an entry is whole or not there. A lock keeps two
 * runs from doing the work twice; it is not what makes them safe, the rename is. Leftovers of builds
 * that died are removed on the way.
 */
export function cacheEntry(
  kind: string,
  key: string,
  build: (folder: string) => Promise<void>,
  options: CacheOptions,
): Promise<string> {
  const root = options.root ?? cacheDir();
  const entry = join(root, kind, key);
  if (existsSync(entry)) return Promise.resolve(entry);
  // Locks are between processes; within this one a second caller shares the first one's work.
  const running = underWay.get(entry);
  if (running) return running;
  const result = prepare(root, entry, `${kind}-${key}`, build, options).finally(() =>
    underWay.delete(entry),
  );
  underWay.set(entry, result);
  return result;
}

const underWay = new Map<string, Promise<string>>();

async function prepare(
  root: string,
  entry: string,
  name: string,
  build: (folder: string) => Promise<void>,
  options: CacheOptions,
): Promise<string> {
  const me = holderOf(process.pid);
  const lock = join(root, "locks", name);
  const work = join(root, "tmp", `${name}.${me}`);
  try {
    for (const folder of [dirname(lock), dirname(work), dirname(entry)]) {
      mkdirSync(folder, { recursive: true });
    }
  } catch (error) {
    throw unwritable(root, error);
  }
  await takeLock(lock, me, name, options);
  const release = () => {
    rmSync(work, { recursive: true, force: true });
    if (readLock(lock) === me) rmSync(lock, { force: true });
  };
  // A run ended by a signal or process.exit leaves nothing behind either.
  process.once("exit", release);
  try {
    if (existsSync(entry)) return entry;
    removeLeftovers(dirname(work), `${name}.`);
    mkdirSync(work, { recursive: true });
    await build(work);
    publish(work, entry);
    return entry;
  } finally {
    process.removeListener("exit", release);
    release();
  }
}

/** Puts a finished folder in place; when another run was faster its copy stays. */
export function publish(work: string, entry: string): void {
  try {
    renameSync(work, entry);
  } catch (error) {
    if (!existsSync(entry)) throw error;
  }
}

async function takeLock(
  lock: string,
  me: string,
  name: string,
  { progress, pollMs = 250 }: CacheOptions,
): Promise<void> {
  const begun = performance.now();
  let nextLine = 0;
  for (;;) {
    try {
      symlinkSync(me, lock);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw unwritable(lock, error);
    }
    const holder = readLock(lock);
    if (holder !== null && !holderLives(holder)) {
      progress.say(`removing the lock of a run that ended early (${holder})`);
      rmSync(lock, { force: true });
      continue;
    }
    const waited = performance.now() - begun;
    if (waited >= nextLine) {
      progress.say(
        `${name}: another run is preparing it (${holder ?? "just finished"}); ` +
          `waiting, ${Math.round(waited / 1000)} s`,
      );
      nextLine = waited + WAIT_LINE_MS;
    }
    await sleep(pollMs);
  }
}

function readLock(lock: string): string | null {
  try {
    return readlinkSync(lock);
  } catch {
    return null;
  }
}

function removeLeftovers(folder: string, prefix: string): void {
  for (const name of readdirSync(folder)) {
    if (name.startsWith(prefix) && !holderLives(name.slice(prefix.length))) {
      rmSync(join(folder, name), { recursive: true, force: true });
    }
  }
}

function unwritable(path: string, error: unknown): ToolchainError {
  return new ToolchainError(
    `cannot write to the cache: ${path}`,
    error instanceof Error ? error.message : String(error),
    "make it writable, or set XDG_CACHE_HOME to a directory that is",
  );
}
