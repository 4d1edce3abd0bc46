import { createHash } from "node:crypto";
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { atPlace, lstatOrNull } from "./places.ts";

/** Ending of a file that is being written; what is left of one is swept by the next change. */
const UNFINISHED = ".openclaw-fleet-new";

/** What stands at a path. Modes are numbers, permission bits only. */
export type Found =
  | { readonly kind: "none" | "other" }
  | { readonly kind: "link"; readonly target: string }
  | {
      readonly kind: "directory";
      readonly uid: number;
      readonly gid: number;
      readonly mode: number;
    }
  | {
      readonly kind: "file";
      readonly uid: number;
      readonly gid: number;
      readonly mode: number;
      readonly content: Buffer;
    };

/** Whose something is and who may do what. */
export interface Access {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

export const digest = (content: string | Uint8Array): string =>
  createHash("sha256").update(content).digest("hex");

/** Files below one folder that stands for `/`. Writes are atomic and on the disk when they return. */
export class Files {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  look(path: string): Found {
    const found = atPlace(this.#root, path, (place): Found => {
      const stats = lstatOrNull(place);
      if (!stats) return { kind: "none" };
      if (stats.isSymbolicLink()) return { kind: "link", target: readlinkSync(place) };
      const access = { uid: stats.uid, gid: stats.gid, mode: stats.mode & 0o7777 };
      if (stats.isDirectory()) return { kind: "directory", ...access };
      if (!stats.isFile()) return { kind: "other" };
      const fd = openSync(place, constants.O_RDONLY | constants.O_NOFOLLOW);
      try {
        return { kind: "file", ...access, content: readFileSync(fd) };
      } finally {
        closeSync(fd);
      }
    });
    return found ?? { kind: "none" };
  }

  /** Puts a file in place, whatever file or link was there. Its folder must be there. */
  write(path: string, content: string | Uint8Array, { uid, gid, mode }: Access): void {
    this.#at(path, (place) => {
      if (lstatOrNull(place)?.isDirectory()) throw new Error(`${path} is a folder. Move it away`);
      const fresh = place + UNFINISHED;
      rmSync(fresh, { force: true });
      // Readable by nobody else before it has its owner.
      const fd = openSync(fresh, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
      try {
        writeFileSync(fd, content);
        fchownSync(fd, uid, gid);
        fchmodSync(fd, mode);
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
      renameSync(fresh, place);
      syncFolder(dirname(place));
    });
  }

  /** Puts back what {@link look} found. */
  restore(path: string, found: Found): void {
    if (found.kind === "file") {
      this.write(path, found.content, found);
      return;
    }
    if (found.kind !== "none" && found.kind !== "link") {
      throw new Error(`${path} cannot be put back`);
    }
    this.remove(path);
    if (found.kind === "link") this.#at(path, (place) => symlinkSync(found.target, place));
  }

  /** Removes a file or link; fine when it is not there. A folder stays. */
  remove(path: string): void {
    atPlace(this.#root, path, (place) => {
      const stats = lstatOrNull(place);
      if (!stats || stats.isDirectory()) return;
      unlinkSync(place);
      syncFolder(dirname(place));
    });
  }

  /** What an interrupted write left. */
  sweep(path: string): void {
    atPlace(this.#root, path, (place) => rmSync(place + UNFINISHED, { force: true }));
  }

  /** Makes a folder, or gives one that is there its owner and mode. The one above it must be there. */
  makeFolder(path: string, { uid, gid, mode }: Access): void {
    this.#at(path, (place) => {
      const stats = lstatOrNull(place);
      if (stats && !stats.isDirectory()) throw new Error(`${path} is no folder. Move it away`);
      if (!stats) mkdirSync(place, { mode: 0o700 });
      const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
      const fd = openSync(place, flags);
      try {
        fchownSync(fd, uid, gid);
        fchmodSync(fd, mode);
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
      syncFolder(dirname(place));
    });
  }

  /**
   * Removes a folder and everything in it, but nothing of `spare` and what leads to it, nor what is
   * mounted there. True when it is gone.
   */
  removeFolder(path: string, spare: readonly string[] = []): boolean {
    const gone = atPlace(this.#root, path, (place) => {
      const stats = lstatOrNull(place);
      if (!stats) return true;
      if (!stats.isDirectory()) return false;
      return removeBelow(place, path, stats.dev, spare);
    });
    return gone ?? true;
  }

  /** Removes a folder when nothing is in it. True when it is gone. */
  removeEmptyFolder(path: string): boolean {
    const gone = atPlace(this.#root, path, (place) => {
      if (!lstatOrNull(place)?.isDirectory()) return true;
      try {
        rmdirSync(place);
        return true;
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === "ENOTEMPTY" || code === "EEXIST" || code === "EBUSY") return false;
        throw error;
      }
    });
    return gone ?? true;
  }

  #at(path: string, work: (place: string) => void): void {
    const done = atPlace(this.#root, path, (place) => {
      work(place);
      return true;
    });
    if (!done) throw new Error(`the folder of ${path} is not there`);
  }
}

function removeBelow(
  place: string,
  path: string,
  device: number,
  spare: readonly string[],
): boolean {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
  const fd = openSync(place, flags);
  let empty = true;
  try {
    if (fstatSync(fd).dev !== device) return false;
    const inside = `/proc/self/fd/${fd}`;
    for (const name of readdirSync(inside)) {
      const child = `${path}/${name}`;
      if (spare.includes(child)) empty = false;
      else if (!lstatSync(`${inside}/${name}`).isDirectory()) unlinkSync(`${inside}/${name}`);
      else if (!removeBelow(`${inside}/${name}`, child, device, spare)) empty = false;
    }
  } finally {
    closeSync(fd);
  }
  if (empty) rmdirSync(place);
  return empty;
}

/** A rename is on the disk when its folder is. */
function syncFolder(folder: string): void {
  const fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
