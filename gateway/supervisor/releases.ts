import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import type { Release } from "../config.ts";
import type { Lease } from "../leases/store.ts";
import { FAILED_NODES, parseFailure } from "../ownership/failure.ts";

/**
 * Below a node's data directory: versions of OpenClaw that the fleet's shards run, one a line. Whoever clears releases
 * away on a host leaves one of each (docs/decisions/246-what-shards-run-stays.md).
 */
export const IN_USE_FILE = "releases/in-use";

/** OpenClaw's version in a release's id: `2026.9.6+1a2b3c4d` → `2026.9.6`. */
export const openclawOf = (release: string): string => release.split("+")[0] ?? "";

/** `2026.9.6-3`, a later build of `2026.9.6`, → [2026, 9, 6, 3]; a word (`-beta.1`) comes before any number. */
const openclawVersion = (release: string): number[] =>
  openclawOf(release)
    .split(/[.-]/)
    .map((part) => (/^\d/.test(part) ? Number.parseInt(part, 10) : -1));

/** True when the OpenClaw of one release is older than that of another. */
export function olderOpenClaw(a: string, b: string): boolean {
  const [left, right] = [openclawVersion(a), openclawVersion(b)];
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

/**
 * The release a taker starts: one with the OpenClaw that ran, so that nothing that moves a shard is an update
 * too. After a crash exactly what ran; after a planned release the taker's own build of the same OpenClaw.
 * A newer OpenClaw comes by a trial (trials.ts), which can be taken back; with the start where the one that ran has
 * failed everywhere (update-plan.ts), and without one where that is not on this machine.
 * @param has whether a release is on this machine
 */
export function releaseFor(
  previous: Lease | undefined,
  own: string,
  has: (release: string) => boolean,
): string {
  const ran = previous?.release ?? null;
  if (ran === null) return own;
  if (previous?.owner !== null) return ran;
  if (openclawOf(own) === openclawOf(ran)) return own;
  if (olderOpenClaw(own, ran)) return ran;
  const failures = parseFailure(previous.reason)?.nodes.length ?? 0;
  return failures >= FAILED_NODES || !has(ran) ? own : ran;
}

/**
 * Releases on this machine, by id, so that a taker finds the one that ran. Nodes of one machine note theirs
 * in the data directory that they share. A host has what was put on it: beside its own release the one
 * before, or the next one of an update that is under way, in folders beside its own.
 */
export class ReleaseShelf {
  readonly #dir: string;
  readonly #inUse: string;
  #own: Release | null = null;
  /** As it was noted last. */
  #inUseText = "";

  constructor(dataDir: string) {
    this.#dir = join(dataDir, "releases");
    this.#inUse = join(dataDir, IN_USE_FILE);
  }

  /** Notes what this node starts shards with. */
  put(release: Release): void {
    this.#own = release;
    mkdirSync(this.#dir, { recursive: true, mode: 0o700 });
    replaceFile(this.#path(release.id), `${JSON.stringify(release, null, 2)}\n`);
  }

  /** Notes what the fleet's shards run, on whatever node: releases by id. */
  noteInUse(releases: readonly string[]): void {
    const versions = [...new Set(releases.map(openclawOf))].sort();
    const text = versions.map((version) => `${version}\n`).join("");
    if (text === this.#inUseText || versions.length === 0) return;
    replaceFile(this.#inUse, text);
    this.#inUseText = text;
  }

  /**
   * What was noted under that id, if it is still there; else anything with the same OpenClaw, which is
   * what a state must be opened with. Null when this machine has none.
   */
  find(id: string): Release | null {
    const noted = this.#noted(id);
    if (noted && existsSync(noted.openclaw) && existsSync(noted.node)) return noted;
    const own = this.#own;
    if (!own) return null;
    if (openclawOf(own.id) === openclawOf(id)) return { ...own, id };
    return this.#beside(own, id);
  }

  #noted(id: string): Release | null {
    try {
      return JSON.parse(readFileSync(this.#path(id), "utf8")) as Release;
    } catch {
      return null;
    }
  }

  /** In a folder beside that of this node's own release, laid out like it. */
  #beside(own: Release, id: string): Release | null {
    const folder = dirname(dirname(own.node));
    const within = (path: string) => relative(folder, path);
    if ([own.openclaw, own.runtime].some((path) => within(path).startsWith(".."))) return null;
    for (const name of foldersIn(dirname(folder))) {
      const at = (path: string) => join(dirname(folder), name, within(path));
      if (versionIn(dirname(at(own.openclaw))) !== openclawOf(id)) continue;
      return { id, node: at(own.node), openclaw: at(own.openclaw), runtime: at(own.runtime) };
    }
    return null;
  }

  #path(id: string): string {
    return join(this.#dir, `${id.replace(/[^A-Za-z0-9.+-]/g, "_")}.json`);
  }
}

function replaceFile(path: string, text: string): void {
  const staged = `${path}.${process.pid}`;
  writeFileSync(staged, text, { mode: 0o600 });
  renameSync(staged, path);
}

/** Of the package in a folder; null when there is none. */
function versionIn(folder: string): string | null {
  try {
    const { version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    return typeof version === "string" ? version : null;
  } catch {
    return null;
  }
}

/** Whole ones: what is still being unpacked ends in `.partial`. */
function foldersIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => !name.includes(".partial"));
  } catch {
    return [];
  }
}
