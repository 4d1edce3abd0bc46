import { copyFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Found } from "./files.ts";
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

  constructor(root: string, staging: string) {
    this.#root = root;
    this.#staging = staging;
  }

  /** Takes over what changed. Null: there are no files. */
  async capture(
    found: Found,
    plain: ReadonlySet<string>,
  ): Promise<{ list: Image; images: Image[]; changedBytes: number; changed: boolean } | null> {
    const entries: FileEntry[] = [];
    let changedBytes = 0;
    for (const [path, mode] of found.directories) entries.push({ kind: "directory", path, mode });
    for (const [path, to] of found.links) entries.push({ kind: "link", path, to });
    for (const path of this.#kept.keys()) {
      if (!found.files.has(path) && !plain.has(path)) await this.#drop(path);
    }
    for (const [path, { mode, version }] of found.files) {
      changedBytes += await this.#keep(path, version);
      const image = this.#kept.get(path)?.image;
      if (image) entries.push({ kind: "file", path, mode, ...image.content });
    }
    if (entries.length === 0) return null;
    entries.sort((a, b) => (a.path < b.path ? -1 : 1));
    const text = encodeFiles(entries);
    const changed = text.toString() !== this.#listText;
    if (changed || !this.#list) {
      this.#list ??= new Image(join(this.#staging, "files"));
      await writeFile(this.#list.path, text, { mode: 0o600 });
      changedBytes += await this.#list.reread();
      this.#listText = text.toString();
    }
    const images = [...this.#kept.values()].map(({ image }) => image);
    return { list: this.#list, images, changedBytes, changed };
  }

  /** All chunks are at the target: the copies are not needed any more. */
  async settled(): Promise<void> {
    for (const { image } of this.#kept.values()) {
      image.settled();
      await rm(image.path, { force: true });
    }
    this.#list?.settled();
  }

  /** The target has lost something: every file is taken anew at the next capture. */
  async unsettle(): Promise<void> {
    for (const path of [...this.#kept.keys()]) await this.#drop(path);
    this.#list?.unsettle();
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
