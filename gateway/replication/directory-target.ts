import { randomUUID } from "node:crypto";
import type { Dirent } from "node:fs";
import { link, lstat, mkdir, open, readdir, readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type ReplicaTarget, StaleEpoch, type StoredObject, TargetUnavailable } from "./target.ts";

const KEY = /^[a-z0-9][a-z0-9._-]*(\/[a-z0-9][a-z0-9._-]*)*$/;
/** What a writer that died left in `.tmp` is removed after this. */
const LEFT_OVER_MS = 24 * 3_600_000;

/**
 * A replica in a directory: another disk, or a mount that has hard links and keeps what it synced.
 *
 *     <root>/<key>      the objects
 *     <root>/.tmp/      objects on their way; a link to the final name puts them in place
 *     <root>/.epochs/   the highest epoch shown, as a name
 */
export class DirectoryTarget implements ReplicaTarget {
  readonly name: string;
  readonly refusesOldEpochs = true;
  readonly #root: string;
  #made = false;

  /** @param root Directory of this shard's replica alone; made when missing. */
  constructor(root: string) {
    this.#root = root;
    this.name = `the directory ${root}`;
  }

  put(key: string, bytes: Uint8Array, epoch: number): Promise<"stored" | "exists"> {
    return this.#reach(async () => {
      const path = this.#path(key);
      await this.#showEpoch(epoch);
      const building = join(this.#root, ".tmp", randomUUID());
      try {
        const file = await open(building, "wx", 0o600);
        try {
          await file.writeFile(bytes);
          await file.sync();
        } finally {
          await file.close();
        }
        return await this.#place(building, path);
      } finally {
        await rm(building, { force: true });
      }
    });
  }

  get(key: string): Promise<Buffer | null> {
    return this.#reach(async () => {
      const bytes = await readFile(this.#path(key)).catch(missing);
      if (bytes === null) await this.#refuseGone();
      return bytes;
    });
  }

  list(prefix: string): Promise<StoredObject[]> {
    return this.#reach(async () => {
      await this.#refuseGone();
      const found: StoredObject[] = [];
      if (prefix !== "") this.#path(prefix.slice(0, -1));
      await this.#walk(prefix, found);
      return found;
    });
  }

  remove(keys: readonly string[], epoch: number): Promise<void> {
    return this.#reach(async () => {
      await this.#showEpoch(epoch);
      for (const key of keys) await rm(this.#path(key), { force: true });
      await this.#removeLeftOvers();
    });
  }

  /** A root that is no directory is a disk that is not there, which is something else than an empty one. */
  async #refuseGone(): Promise<void> {
    const stat = await lstat(this.#root).catch(missing);
    if (stat && !stat.isDirectory()) throw new Error("it is no directory");
  }

  /** Highest epoch shown so far; 0: none. */
  async #highest(): Promise<number> {
    const names = (await readdir(join(this.#root, ".epochs")).catch(missing)) ?? [];
    return Math.max(0, ...names.map(Number).filter(Number.isSafeInteger));
  }

  async #showEpoch(epoch: number): Promise<void> {
    const epochs = join(this.#root, ".epochs");
    if (!this.#made) {
      for (const path of [epochs, join(this.#root, ".tmp")]) await makeDirectory(path);
      this.#made = true;
    }
    const before = await this.#highest();
    if (before > epoch) throw new StaleEpoch(this.name, epoch, before);
    if (before === epoch) return;
    // A name cannot be half written, and of two writers each leaves its own.
    await (await open(join(epochs, String(epoch)), "a", 0o600)).close();
    await syncDirectory(epochs);
    const after = await this.#highest();
    if (after > epoch) throw new StaleEpoch(this.name, epoch, after);
    for (const name of (await readdir(epochs).catch(missing)) ?? []) {
      if (Number(name) < epoch) await rm(join(epochs, name), { force: true });
    }
  }

  async #place(building: string, path: string): Promise<"stored" | "exists"> {
    let outcome: "stored" | "exists" = "stored";
    const put = () => link(building, path);
    try {
      await put().catch(async (error: NodeJS.ErrnoException) => {
        if (error.code !== "ENOENT") throw error;
        await makeDirectory(dirname(path));
        await put();
      });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      outcome = "exists";
    }
    // Also for what exists: whoever put it may have died before this.
    await syncDirectory(dirname(path));
    return outcome;
  }

  async #walk(prefix: string, found: StoredObject[]): Promise<void> {
    const path = join(this.#root, prefix);
    const entries: Dirent[] = (await readdir(path, { withFileTypes: true }).catch(missing)) ?? [];
    for (const entry of entries) {
      if (entry.name.startsWith(".")) continue;
      if (entry.isDirectory()) await this.#walk(`${prefix}${entry.name}/`, found);
      if (!entry.isFile()) continue;
      const stat = await lstat(join(path, entry.name)).catch(missing);
      if (!stat) continue;
      found.push({ key: prefix + entry.name, bytes: stat.size, storedAtMs: stat.mtimeMs });
    }
  }

  async #removeLeftOvers(): Promise<void> {
    const folder = join(this.#root, ".tmp");
    for (const name of (await readdir(folder).catch(missing)) ?? []) {
      const stat = await lstat(join(folder, name)).catch(missing);
      if (stat && Date.now() - stat.mtimeMs > LEFT_OVER_MS) {
        await rm(join(folder, name), { force: true });
      }
    }
  }

  #path(key: string): string {
    if (!KEY.test(key) || key.length > 200) throw new RangeError(`"${key}" is no key of a target`);
    return join(this.#root, key);
  }

  async #reach<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof StaleEpoch || error instanceof RangeError) throw error;
      // Another disk may have come in the place of the one on which the directories were made.
      this.#made = false;
      throw new TargetUnavailable(`${this.name}: ${(error as Error).message}`, { cause: error });
    }
  }
}

/** Makes a directory and those above it, each one's name synced into its parent. */
async function makeDirectory(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  for (let at = path; ; at = dirname(at)) {
    await syncDirectory(dirname(at));
    if (at === first) return;
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function missing(error: NodeJS.ErrnoException): null {
  // A key below another key: what a listing cannot show is not there.
  if (error.code === "ENOENT" || error.code === "ENOTDIR" || error.code === "EISDIR") return null;
  throw error;
}
