import { link, lstat, mkdir, open, readdir, readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { FileTarget, type Found, type TargetFiles } from "./file-target.ts";

/** A replica in a directory: another disk, or a mount that has hard links and keeps what it synced. */
export class DirectoryTarget extends FileTarget {
  /** @param root Directory of this shard's replica alone; made when missing. */
  constructor(root: string) {
    super(`the directory ${root}`, new LocalFiles(root));
  }
}

class LocalFiles implements TargetFiles {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  async write(path: string, bytes: Uint8Array): Promise<void> {
    const file = await open(this.#path(path), "wx", 0o600);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
  }

  read(path: string): Promise<Buffer | null> {
    return readFile(this.#path(path)).catch(missing);
  }

  async link(from: string, to: string): Promise<"linked" | "exists" | "no-folder"> {
    try {
      await link(this.#path(from), this.#path(to));
      return "linked";
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EEXIST") return "exists";
      if (code === "ENOENT") return "no-folder";
      throw error;
    }
  }

  async entries(path: string): Promise<Found[]> {
    const folder = this.#path(path);
    const found: Found[] = [];
    for (const name of (await readdir(folder).catch(missing)) ?? []) {
      const stat = await lstat(join(folder, name)).catch(missing);
      if (!stat) continue;
      const kind = stat.isFile() ? "file" : stat.isDirectory() ? "directory" : "other";
      found.push({ name, kind, bytes: stat.size, modifiedMs: stat.mtimeMs });
    }
    return found;
  }

  async makeFolder(path: string): Promise<void> {
    const folder = this.#path(path);
    const first = await mkdir(folder, { recursive: true, mode: 0o700 });
    if (first === undefined) return;
    for (let at = folder; ; at = dirname(at)) {
      await syncPath(dirname(at));
      if (at === first) return;
    }
  }

  syncFolder(path: string): Promise<void> {
    return syncPath(this.#path(path));
  }

  remove(path: string): Promise<void> {
    return rm(this.#path(path), { force: true });
  }

  /** A root that is no directory is a disk that is not there, which is something else than an empty one. */
  async check(): Promise<void> {
    const stat = await lstat(this.#root).catch(missing);
    if (stat && !stat.isDirectory()) throw new Error("it is no directory");
  }

  #path(path: string): string {
    return join(this.#root, path);
  }
}

async function syncPath(path: string): Promise<void> {
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
