import { randomUUID } from "node:crypto";
import { type ReplicaTarget, StaleEpoch, type StoredObject, TargetUnavailable } from "./target.ts";

const KEY = /^[a-z0-9][a-z0-9._-]*(\/[a-z0-9][a-z0-9._-]*)*$/;
/** Folders looked into at a time: chunks lie in 256 of them, and each look is several round trips where files are remote. */
const LOOKS = 16;
/** What a writer that died left in `.tmp` is removed after this. */
const LEFT_OVER_MS = 24 * 3_600_000;

export interface Found {
  name: string;
  kind: "file" | "directory" | "other";
  bytes: number;
  modifiedMs: number;
}

/** What a target needs of a file system: a local one, or one behind SFTP. Paths are below the target's root. */
export interface TargetFiles {
  /** Makes a new file, on the disk when it returns. */
  write(path: string, bytes: Uint8Array): Promise<void>;
  /** Null: not there. */
  read(path: string): Promise<Buffer | null>;
  /** Gives a file a further name; `exists` and `no-folder` are answers, not errors. */
  link(from: string, to: string): Promise<"linked" | "exists" | "no-folder">;
  /** What is in a folder; none when there is no such folder. */
  entries(path: string): Promise<Found[]>;
  /** Makes a folder and those above it, their names on the disk. The root is "". */
  makeFolder(path: string): Promise<void>;
  /** Brings the names in a folder to the disk. */
  syncFolder(path: string): Promise<void>;
  /** What is not there counts as removed. */
  remove(path: string): Promise<void>;
  /** Throws when the root is something else than a folder, or cannot be reached. */
  check(): Promise<void>;
}

/**
 * A replica in files that have hard links and stay when they were synced.
 *
 *     <root>/<key>      the objects
 *     <root>/.tmp/      objects on their way; a link to the final name puts them in place
 *     <root>/.epochs/   the highest epoch shown, as a name
 */
export class FileTarget implements ReplicaTarget {
  readonly name: string;
  readonly refusesOldEpochs = true;
  readonly #files: TargetFiles;
  #made = false;

  constructor(name: string, files: TargetFiles) {
    this.name = name;
    this.#files = files;
  }

  put(key: string, bytes: Uint8Array, epoch: number): Promise<"stored" | "exists"> {
    return this.#reach(async () => {
      checkKey(key);
      await this.#showEpoch(epoch);
      const building = `.tmp/${randomUUID()}`;
      try {
        await this.#files.write(building, bytes);
        return await this.#place(building, key);
      } finally {
        await this.#files.remove(building);
      }
    });
  }

  get(key: string): Promise<Buffer | null> {
    return this.#reach(async () => {
      checkKey(key);
      const bytes = await this.#files.read(key);
      if (bytes === null) await this.#files.check();
      return bytes;
    });
  }

  list(prefix: string): Promise<StoredObject[]> {
    return this.#reach(async () => {
      if (prefix !== "") checkKey(prefix.slice(0, -1));
      await this.#files.check();
      const found: StoredObject[] = [];
      await this.#walk(prefix, found);
      return found;
    });
  }

  remove(keys: readonly string[], epoch: number): Promise<void> {
    return this.#reach(async () => {
      for (const key of keys) checkKey(key);
      await this.#showEpoch(epoch);
      for (const key of keys) await this.#files.remove(key);
      await this.#removeLeftOvers();
    });
  }

  /** Highest epoch shown so far; 0: none. */
  async #highest(): Promise<number> {
    const names = (await this.#files.entries(".epochs")).map(({ name }) => Number(name));
    return Math.max(0, ...names.filter(Number.isSafeInteger));
  }

  async #showEpoch(epoch: number): Promise<void> {
    if (!this.#made) {
      for (const path of [".epochs", ".tmp"]) await this.#files.makeFolder(path);
      this.#made = true;
    }
    const before = await this.#highest();
    if (before > epoch) throw new StaleEpoch(this.name, epoch, before);
    if (before === epoch) return;
    // A name cannot be half written, and of two writers each leaves its own.
    const building = `.tmp/${randomUUID()}`;
    await this.#files.write(building, Buffer.alloc(0));
    const shown = await this.#files.link(building, `.epochs/${epoch}`);
    await this.#files.remove(building);
    if (shown === "no-folder") throw new Error("its folder .epochs is gone");
    await this.#files.syncFolder(".epochs");
    const after = await this.#highest();
    if (after > epoch) throw new StaleEpoch(this.name, epoch, after);
    for (const { name } of await this.#files.entries(".epochs")) {
      if (Number(name) < epoch) await this.#files.remove(`.epochs/${name}`);
    }
  }

  async #place(building: string, key: string): Promise<"stored" | "exists"> {
    const folder = key.includes("/") ? key.slice(0, key.lastIndexOf("/")) : "";
    let outcome = await this.#files.link(building, key);
    if (outcome === "no-folder") {
      await this.#files.makeFolder(folder);
      outcome = await this.#files.link(building, key);
    }
    if (outcome === "no-folder") throw new Error(`its folder ${folder} cannot be made`);
    // Also for what exists: whoever put it may have died before this.
    await this.#files.syncFolder(folder);
    return outcome === "exists" ? "exists" : "stored";
  }

  async #walk(prefix: string, found: StoredObject[]): Promise<void> {
    const folders: string[] = [];
    for (const entry of await this.#files.entries(prefix.replace(/\/$/, ""))) {
      if (entry.name.startsWith(".")) continue;
      if (entry.kind === "directory") folders.push(`${prefix}${entry.name}/`);
      if (entry.kind !== "file") continue;
      found.push({ key: prefix + entry.name, bytes: entry.bytes, storedAtMs: entry.modifiedMs });
    }
    for (let at = 0; at < folders.length; at += LOOKS) {
      await Promise.all(folders.slice(at, at + LOOKS).map((folder) => this.#walk(folder, found)));
    }
  }

  async #removeLeftOvers(): Promise<void> {
    for (const { name, modifiedMs } of await this.#files.entries(".tmp")) {
      if (Date.now() - modifiedMs > LEFT_OVER_MS) await this.#files.remove(`.tmp/${name}`);
    }
  }

  async #reach<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof StaleEpoch || error instanceof RangeError) throw error;
      // Another disk may have come in the place of the one on which the folders were made.
      this.#made = false;
      throw new TargetUnavailable(`${this.name}: ${(error as Error).message}`, { cause: error });
    }
  }
}

/** Throws RangeError for what is no key of a target. */
export function checkKey(key: string): void {
  if (!KEY.test(key) || key.length > 200) throw new RangeError(`"${key}" is no key of a target`);
}
