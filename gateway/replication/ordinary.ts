import { copyFile, lstat, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Found, findParts } from "./files.ts";
import { Image } from "./image.ts";
import { encodeFiles, type FileEntry } from "./manifest.ts";

interface Kept {
  version: string;
  image: Image;
}

/**
 * The ordinary files of a shard. A file that changed is copied into staging until its chunks are at the
 * target; of the others only the hashes are kept.
 */
export class OrdinaryFiles {
  readonly #root: string;
  readonly #staging: string;
  readonly #kept = new Map<string, Kept>();
  #list: Image | null = null;
  #listText = "";
  #copies = 0;
  #databases: string[] = [];

  constructor(root: string, staging: string) {
    this.#root = root;
    this.#staging = staging;
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
   * Takes over what changed; costs a look at every file. Returns whether anything did, and the bytes that differ.
   * @param plain Files with a database's name that are none.
   */
  async look(plain: ReadonlySet<string>): Promise<{ changed: boolean; changedBytes: number }> {
    const found = await findParts(this.#root);
    this.#databases = found.databases;
    await this.#addPlain(found, plain);
    const entries: FileEntry[] = [];
    let changedBytes = 0;
    for (const [path, mode] of found.directories) entries.push({ kind: "directory", path, mode });
    for (const [path, to] of found.links) entries.push({ kind: "link", path, to });
    for (const path of this.#kept.keys()) if (!found.files.has(path)) await this.#drop(path);
    for (const [path, { mode, version }] of found.files) {
      changedBytes += await this.#keep(path, version);
      const image = this.#kept.get(path)?.image;
      if (image) entries.push({ kind: "file", path, mode, ...image.content });
    }
    entries.sort((a, b) => (a.path < b.path ? -1 : 1));
    const text = encodeFiles(entries);
    if (text.toString() === this.#listText) return { changed: false, changedBytes };
    this.#listText = text.toString();
    this.#list ??= new Image(join(this.#staging, "files"));
    await writeFile(this.#list.path, text, { mode: 0o600 });
    changedBytes += await this.#list.reread();
    return { changed: true, changedBytes };
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

  async #addPlain(found: Found, plain: ReadonlySet<string>): Promise<void> {
    for (const path of plain) {
      const stat = await lstat(join(this.#root, path)).catch(() => null);
      if (!stat?.isFile()) continue;
      const version = `${stat.ino} ${stat.size} ${stat.mtimeMs} ${stat.ctimeMs}`;
      found.files.set(path, { mode: stat.mode & 0o7777, size: stat.size, version });
    }
  }

  async #keep(path: string, version: string): Promise<number> {
    const kept = this.#kept.get(path);
    if (kept?.version === version) return 0;
    const image = kept?.image ?? new Image(join(this.#staging, `file-${++this.#copies}`));
    try {
      await copyFile(join(this.#root, path), image.path);
    } catch (error) {
      // Gone since it was listed: it is not part of this moment.
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      await this.#drop(path);
      return 0;
    }
    // A write during the copy gives another version at the next look, and another copy.
    const changed = await image.reread();
    this.#kept.set(path, { version, image });
    return changed;
  }

  async #drop(path: string): Promise<void> {
    const kept = this.#kept.get(path);
    this.#kept.delete(path);
    if (kept) await rm(kept.image.path, { force: true });
  }
}
