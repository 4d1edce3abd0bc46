import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
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

/** Releases that nodes of this machine have run, by id, so that a taker finds another node's. */
export class ReleaseShelf {
  readonly #dir: string;

  constructor(dataDir: string) {
    this.#dir = join(dataDir, "releases");
  }

  put(release: Release): void {
    mkdirSync(this.#dir, { recursive: true, mode: 0o700 });
    const path = this.#path(release.id);
    const staged = `${path}.${process.pid}`;
    writeFileSync(staged, `${JSON.stringify(release, null, 2)}\n`, { mode: 0o600 });
    renameSync(staged, path);
  }

  /** Null when no node of this machine ever ran it. */
  find(id: string): Release | null {
    try {
      return JSON.parse(readFileSync(this.#path(id), "utf8")) as Release;
    } catch {
      return null;
    }
  }

  #path(id: string): string {
    return join(this.#dir, `${id.replace(/[^A-Za-z0-9.+-]/g, "_")}.json`);
  }
}
