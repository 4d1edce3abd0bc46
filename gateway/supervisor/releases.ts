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

/** `2026.9.6+1a2b3c4d` → [2026, 9, 6]. */
const openclawVersion = (release: string): number[] =>
  (release.split("+")[0] ?? "").split(".").map((part) => Number.parseInt(part, 10) || 0);

function older(a: string, b: string): boolean {
  const [left, right] = [openclawVersion(a), openclawVersion(b)];
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

/**
 * The release a taker starts. After a crash exactly the one that ran, so that a failover is never an
 * upgrade too. After a planned release the taker's own: that is how an update spreads, unless it were
 * an older OpenClaw, which may not read what the newer one wrote.
 */
export function releaseFor(previous: Lease | undefined, own: string): string {
  const ran = previous?.release ?? null;
  if (ran === null) return own;
  if (previous?.owner !== null) return ran;
  return older(own, ran) ? ran : own;
}

/**
 * Releases on this machine, by id, so that a taker finds the one that ran. Nodes of one machine note theirs
 * in the data directory that they share. A host has what was put on it: beside its own release the one
 * before, or the next one of an update that is under way, in folders beside its own.
 */
export class ReleaseShelf {
  readonly #dir: string;
  #own: Release | null = null;

  constructor(dataDir: string) {
    this.#dir = join(dataDir, "releases");
  }

  /** Notes what this node starts shards with. */
  put(release: Release): void {
    this.#own = release;
    mkdirSync(this.#dir, { recursive: true, mode: 0o700 });
    const path = this.#path(release.id);
    const staged = `${path}.${process.pid}`;
    writeFileSync(staged, `${JSON.stringify(release, null, 2)}\n`, { mode: 0o600 });
    renameSync(staged, path);
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
    if (versionText(own.id) === versionText(id)) return { ...own, id };
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
      if (versionIn(dirname(at(own.openclaw))) !== versionText(id)) continue;
      return { id, node: at(own.node), openclaw: at(own.openclaw), runtime: at(own.runtime) };
    }
    return null;
  }

  #path(id: string): string {
    return join(this.#dir, `${id.replace(/[^A-Za-z0-9.+-]/g, "_")}.json`);
  }
}

const versionText = (release: string): string => release.split("+")[0] ?? "";

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
