import { copyFile, type FileHandle, lstat, open, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Fault, type Found, faultOf, findParts, LOGS } from "./files.ts";
import { Image } from "./image.ts";
import { encodeFiles, type FileEntry } from "./manifest.ts";

interface Kept {
  version: string;
  image: Image;
}

/** Copies that wait for a target take at most about this much room in staging, bytes. */
const MOST_WAITING_BYTES = 256 * 2 ** 20;

/** Where the chunks of copies go while a look goes on. */
export interface Shipping {
  /** Whether a chunk is at the target for sure. */
  knows: (hash: string) => boolean;
  /** Brings what images wait with to the target. Throws when that failed. */
  send: (images: Iterable<Image>) => Promise<void>;
}

export interface Looked {
  /** Anything did since the last time. */
  changed: boolean;
  /** Of leaves that differ. */
  changedBytes: number;
  /** What is there and cannot be kept. */
  leftOut: ReadonlyMap<string, Fault>;
}

/**
 * The ordinary files of a shard. A file that changed is copied into staging until its chunks are at the
 * target; of the others only the hashes are kept. At most one file more waits there than {@link MOST_WAITING_BYTES} holds.
 */
export class OrdinaryFiles {
  readonly #root: string;
  readonly #staging: string;
  readonly #shipping: Shipping;
  readonly #mostWaiting: number;
  readonly #kept = new Map<string, Kept>();
  #list: Image | null = null;
  #listText = "";
  #copies = 0;
  #databases: string[] = [];

  constructor(
    root: string,
    staging: string,
    shipping: Shipping,
    mostWaitingBytes = MOST_WAITING_BYTES,
  ) {
    this.#root = root;
    this.#staging = staging;
    this.#shipping = shipping;
    this.#mostWaiting = mostWaitingBytes;
  }

  /** The list of files, as of the last {@link look}; null: there are none. */
  get list(): Image | null {
    return this.#list;
  }

  /** The list's image and those of the files. */
  get images(): Image[] {
    const files = [...this.#kept.values()].map(({ image }) => image);
    return this.#list ? [this.#list, ...files] : files;
  }

  /** All files with a database's name, as of the last {@link look}. */
  get databases(): readonly string[] {
    return this.#databases;
  }

  /**
   * Takes over what changed; costs a look at every file. Throws when the target does not take what there is no more
   * room for; what was done until then is not done again.
   * @param plain Files with a database's name that are none.
   */
  async look(plain: ReadonlySet<string>): Promise<Looked> {
    const found = await findParts(this.#root);
    this.#databases = found.databases;
    await this.#addPlain(found, plain);
    const entries: FileEntry[] = [];
    const { leftOut } = found;
    let changedBytes = 0;
    for (const [path, mode] of found.directories) entries.push({ kind: "directory", path, mode });
    for (const [path, to] of found.links) entries.push({ kind: "link", path, to });
    for (const path of this.#kept.keys()) if (!found.files.has(path)) await this.#drop(path);
    let waiting = 0;
    for (const { image } of this.#kept.values()) if (image.waits) waiting += image.content.size;
    for (const [path, { mode, version }] of found.files) {
      const before = this.#waitingOf(path);
      changedBytes += await this.#keep(path, version, leftOut);
      waiting += this.#waitingOf(path) - before;
      if (waiting > this.#mostWaiting) {
        await this.#ship();
        waiting = 0;
      }
      const image = this.#kept.get(path)?.image;
      if (image) entries.push({ kind: "file", path, mode, ...image.content });
    }
    entries.sort((a, b) => (a.path < b.path ? -1 : 1));
    const text = encodeFiles(entries);
    if (text.toString() === this.#listText) return { changed: false, changedBytes, leftOut };
    this.#listText = text.toString();
    this.#list ??= new Image(join(this.#staging, "files"));
    await writeFile(this.#list.path, text, { mode: 0o600 });
    changedBytes += await this.#list.reread();
    return { changed: true, changedBytes, leftOut };
  }

  /** All chunks are at the target: the copies are not needed any more. */
  async settled(): Promise<void> {
    for (const { image } of this.#kept.values()) {
      if (image.settled()) await rm(image.path, { force: true });
    }
    this.#list?.settled();
  }

  /** The target has lost something: every file is taken anew at the next look. */
  async unsettle(): Promise<void> {
    for (const path of [...this.#kept.keys()]) await this.#drop(path);
    this.#list?.unsettle();
  }

  #waitingOf(path: string): number {
    const image = this.#kept.get(path)?.image;
    return image?.waits ? image.content.size : 0;
  }

  /** No collecting takes what no manifest names yet: {@link images} are needed. */
  async #ship(): Promise<void> {
    const waiting = [...this.#kept.values()].map(({ image }) => image).filter(({ waits }) => waits);
    await this.#shipping.send(waiting);
    for (const image of waiting) {
      image.settled();
      await rm(image.path, { force: true });
    }
  }

  async #addPlain(found: Found, plain: ReadonlySet<string>): Promise<void> {
    // Of what is no database no image holds what is in its logs.
    for (const path of [...plain].flatMap((name) => ["", ...LOGS].map((log) => name + log))) {
      const folder = dirname(path);
      // Through a link that took its folder's place it is another path's file, and nothing can be written there.
      if (folder !== "." && !found.directories.has(folder)) continue;
      const stat = await lstat(join(this.#root, path)).catch(() => null);
      if (!stat?.isFile()) continue;
      const version = `${stat.ino} ${stat.size} ${stat.mtimeMs} ${stat.ctimeMs}`;
      found.files.set(path, { mode: stat.mode & 0o7777, size: stat.size, version });
    }
  }

  async #keep(path: string, version: string, leftOut: Map<string, Fault>): Promise<number> {
    const kept = this.#kept.get(path);
    if (kept?.version === version) return 0;
    const image = kept?.image ?? new Image(join(this.#staging, `file-${++this.#copies}`));
    const original = join(this.#root, path);
    // A copy has the rights of its original: one that is read-only cannot be written over.
    await rm(image.path, { force: true });
    try {
      await copyFile(original, image.path);
    } catch (error) {
      // Also when there was no room for it: what is known of a file without its copy could never be sent.
      await this.#drop(path);
      await rm(image.path, { force: true });
      const fault = await copyFault(path, original, error);
      if (fault) leftOut.set(path, fault);
      return 0;
    }
    // A write during the copy gives another version at the next look, and another copy.
    const changed = await image.reread();
    this.#kept.set(path, { version, image });
    // All of it is there: it came from the target, and this is the first look.
    const { knows } = this.#shipping;
    if (image.waits && [...image.pending()].every(({ hash }) => knows(hash))) image.settled();
    // Touched, and otherwise what it was.
    if (!image.waits) await rm(image.path, { force: true });
    return changed;
  }

  async #drop(path: string): Promise<void> {
    const kept = this.#kept.get(path);
    this.#kept.delete(path);
    if (kept) await rm(kept.image.path, { force: true });
  }
}

/** Why a file could not be copied; null: it is gone since it was listed, and not part of this moment. */
async function copyFault(path: string, original: string, error: unknown): Promise<Fault | null> {
  let file: FileHandle;
  try {
    file = await open(original);
  } catch (why) {
    return faultOf(path, why as NodeJS.ErrnoException);
  }
  await file.close();
  // It is staging that fails.
  throw error;
}
