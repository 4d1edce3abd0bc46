import { rmSync } from "node:fs";
import { lstat, mkdir, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { findDatabases, inWorkspace, missing } from "./files.ts";
import { Image } from "./image.ts";
import { DatabaseSource, type Source, VisitedSource } from "./source.ts";
import type { WalCursor } from "./wal.ts";

/** SQLite's own codes, without the bits that say it more closely: sqlite.org/rescode.html. */
const NOT_A_DATABASE = 26;
/** ERROR (a format of another time), READONLY (a journal to roll back), CORRUPT, CANTOPEN: it will not read it later. */
const UNREADABLE = new Set([1, 8, 11, 14, NOT_A_DATABASE]);
/** Times that the newest commits of all databases are looked for together before giving up. */
const MOMENT_TRIES = 200;
/** BUSY and LOCKED: somebody writes a transaction, or keeps the database to himself. */
const IN_USE = new Set([5, 6]);
/** A database of an agent's that could not be read for that is tried again after this, ms. */
const IN_USE_MS = 500;

interface Tracked {
  source: Source;
  image: Image;
  /** The commit that the image holds; null: none yet. */
  captured: string | null;
  /** Where frames go on from; null: only a whole copy will do. */
  cursor: WalCursor | null;
  /** Last stamp counted. */
  seen: string;
  /** The commit that is held for reading; null: none is. */
  pinned: string | null;
  /** It was in use when a commit was to be held, and is left as it was captured until then, ms; 0: it was not. */
  leftUntil: number;
}

export interface DatabasesCaptured {
  databases: { path: string; image: Image }[];
  /** Commits seen since the start of this epoch, those captured included, no later ones. */
  changes: number;
  /** Bytes read from the databases, and of leaves that differ from before. */
  readBytes: number;
  changedBytes: number;
  /** Databases of which frames did not suffice. */
  wholeCopies: number;
}

/** Too much was written, or something kept a database from being read; try again. */
export class NoMoment extends Error {
  override readonly name = "NoMoment";
}

/** All databases of a shard, and their images in staging. */
export class Databases {
  readonly #root: string;
  readonly #staging: string;
  readonly #tracked = new Map<string, Tracked>();
  /** Files with a database's name that are none, or none that SQLite can read. */
  readonly #plain = new Set<string>();
  #changes = 0;
  /** True once everything that was there at first has been captured. */
  #captured = false;
  #images = 0;
  #closed = false;

  constructor(root: string, staging: string) {
    this.#root = root;
    this.#staging = staging;
  }

  /** Files with a database's name that are to be kept as ordinary ones. It only grows. */
  get plain(): ReadonlySet<string> {
    return this.#plain;
  }

  /** Commits seen since the start of this epoch, replicated or not. */
  get changes(): number {
    return this.#changes;
  }

  /**
   * Counts what happened; true when anything differs from what was captured last.
   * @param more Databases found elsewhere, by path.
   */
  async look(more: readonly string[]): Promise<boolean> {
    let differs = await this.#follow(more);
    for (const tracked of this.#tracked.values()) {
      const stamp = this.#count(tracked);
      if (stamp === null) differs = true;
      else if (stamp !== tracked.captured && !isLeft(tracked)) differs = true;
    }
    return differs;
  }

  /**
   * Brings every image to one moment: an instant at which each database was at exactly the commit that its
   * image then holds. `whole`: by whole copies, trusting no frame.
   * @param more Databases found elsewhere, by path.
   */
  async capture(more: readonly string[], whole = false): Promise<DatabasesCaptured> {
    await this.#moment(more, whole);
    const changes = this.#changes;
    const sums = { readBytes: 0, changedBytes: 0, wholeCopies: 0 };
    try {
      for (const tracked of this.#tracked.values()) {
        if (tracked.pinned !== null) await this.#advance(tracked, tracked.pinned, whole, sums);
      }
    } finally {
      this.#unpin();
    }
    if (this.#closed) throw new NoMoment(`the replica of ${this.#root} ended`);
    const databases = [...this.#tracked]
      // One that was never read is not there yet.
      .filter(([, { captured }]) => captured !== null)
      .map(([path, { image }]) => ({ path, image }));
    this.#captured = true;
    databases.sort((a, b) => (a.path < b.path ? -1 : 1));
    return { databases, changes, ...sums };
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const { source } of this.#tracked.values()) source.close();
    this.#tracked.clear();
  }

  /**
   * Pins every changed database, and again those that changed meanwhile, until none did: each pinned
   * commit was then its database's newest at the instant after the last pin.
   */
  async #moment(more: readonly string[], whole: boolean): Promise<void> {
    try {
      for (let tries = 0; tries < MOMENT_TRIES; tries++) {
        const others = await this.#follow(more);
        // Nothing may be awaited between the pins and the second look at the stamps.
        for (const [path, tracked] of this.#tracked) {
          const held = tracked.pinned ?? (whole ? null : tracked.captured);
          const stamp = stampOf(tracked);
          if (stamp !== null && stamp !== held && (whole || !isLeft(tracked))) {
            this.#pin(path, tracked, whole);
          }
        }
        const still = [...this.#tracked.values()].every((tracked) => {
          const stamp = this.#count(tracked);
          if (stamp === null) return false;
          return stamp === (tracked.pinned ?? tracked.captured) || isLeft(tracked);
        });
        // A database that another one speaks of must not be missing.
        if (still && !others && !(await this.#follow(more))) return;
      }
      throw new NoMoment(`the databases in ${this.#root} were written without a pause`);
    } catch (error) {
      this.#unpin();
      throw error;
    }
  }

  #pin(path: string, tracked: Tracked, whole: boolean): void {
    try {
      tracked.pinned = tracked.source.pin();
      tracked.leftUntil = 0;
    } catch (error) {
      // An agent's transaction may take minutes: what OpenClaw has written does not wait for it.
      if (inWorkspace(path) && !whole && isInUse(error)) {
        tracked.source.unpin();
        tracked.pinned = null;
        tracked.leftUntil = performance.now() + IN_USE_MS;
        return;
      }
      const gone = tracked.source.replaced();
      if (!gone && !isPlain(path, error)) throw error;
      tracked.source.close();
      this.#tracked.delete(path);
      rmSync(tracked.image.path, { force: true });
      if (!gone) this.#plain.add(path);
    }
  }

  #unpin(): void {
    for (const tracked of this.#tracked.values()) {
      tracked.source.unpin();
      tracked.pinned = null;
    }
  }

  /** Opens what is new, closes what is gone or was replaced. True when there was any. */
  async #follow(more: readonly string[]): Promise<boolean> {
    const paths = new Set([...(await findDatabases(this.#root)), ...more]);
    let differs = false;
    for (const [path, tracked] of this.#tracked) {
      if (paths.has(path) && !tracked.source.replaced()) continue;
      tracked.source.close();
      this.#tracked.delete(path);
      await rm(tracked.image.path, { force: true });
      differs = true;
    }
    for (const path of paths) {
      if (this.#tracked.has(path) || this.#plain.has(path)) continue;
      if (await this.#open(path)) differs = true;
    }
    return differs;
  }

  async #open(path: string): Promise<boolean> {
    try {
      const at = join(this.#root, path);
      const source = inWorkspace(path) ? new VisitedSource(at) : new DatabaseSource(at);
      await mkdir(this.#staging, { recursive: true, mode: 0o700 });
      const image = new Image(join(this.#staging, `database-${++this.#images}`));
      const seen = source.stamp();
      // What was there when this epoch began is in its first image; a database that comes later is new.
      if (this.#captured) this.#changes += source.hasLog ? commitsIn(seen) : 1;
      const none = { captured: null, cursor: null, pinned: null, leftUntil: 0 };
      this.#tracked.set(path, { source, image, seen, ...none });
      return true;
    } catch (error) {
      // Gone since it was listed; or an agent closed the folder, which the next look at files tells.
      const there = await lstat(join(this.#root, path)).catch((why) =>
        inWorkspace(path) ? null : missing(why),
      );
      if (there === null || (inWorkspace(path) && !there.isFile())) return false;
      if (isPlain(path, error)) {
        this.#plain.add(path);
        return false;
      }
      // It was closed for good just now, and its index went with that.
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return true;
      throw new NoMoment(`${path} cannot be read: ${(error as Error).message}`, { cause: error });
    }
  }

  /** Null: it is gone, or was replaced. */
  #count(tracked: Tracked): string | null {
    const stamp = stampOf(tracked);
    if (stamp === null || stamp === tracked.seen) return stamp;
    if (tracked.source.hasLog) {
      const grown = commitsIn(stamp) - commitsIn(tracked.seen);
      // The log was recovered, and its count with it.
      this.#changes += grown >= 0 ? grown : commitsIn(stamp);
    } else this.#changes += 1;
    tracked.seen = stamp;
    return stamp;
  }

  async #advance(
    tracked: Tracked,
    stamp: string,
    whole: boolean,
    sums: { readBytes: number; changedBytes: number; wholeCopies: number },
  ): Promise<void> {
    const { source, image, cursor } = tracked;
    // The pin holds exactly this: nothing was written between it and the last look.
    const now = source.hasLog ? parseStamp(stamp) : null;
    // An image that was left in the middle of a change is good for nothing.
    tracked.cursor = null;
    tracked.captured = null;
    const changes = now && cursor && !whole ? source.changes(cursor, now) : null;
    if (now && changes) {
      const pages = { size: now.pageSize, count: now.pages, changed: changes.pages };
      const first = changes.pages.get(1);
      if (first) settleFirstPage(first);
      sums.readBytes += changes.pages.size * now.pageSize;
      // With an empty log the index does not know the size of the database.
      if (changes.commits > 0) sums.changedBytes += await image.write(pages);
    } else {
      sums.wholeCopies += 1;
      const fresh = `${image.path}.new`;
      for (const suffix of ["", "-journal", "-wal", "-shm"]) {
        await rm(fresh + suffix, { force: true });
      }
      const schema = source.schemaVersion();
      await source.copyTo(fresh);
      await settleFile(fresh, schema);
      await rename(fresh, image.path);
      sums.changedBytes += await image.reread();
      sums.readBytes += image.content.size;
    }
    source.unpin();
    tracked.pinned = null;
    tracked.captured = stamp;
    tracked.cursor = now && { commits: now.commits, frames: now.frames, salts: now.salts };
  }
}

/**
 * Whether a file with a database's name is kept as the bytes it has. One of an agent's also when SQLite cannot read it
 * for now (a writer that was killed left its journal, and only who may write rolls that back): no shard waits for that.
 */
function isPlain(path: string, error: unknown): boolean {
  const { errcode = 0, code } = error as { errcode?: number; code?: string };
  const primary = errcode & 0xff;
  if (!inWorkspace(path)) return primary === NOT_A_DATABASE;
  return UNREADABLE.has(primary) || code === "EACCES" || code === "EPERM";
}

function isInUse(error: unknown): boolean {
  return IN_USE.has(((error as { errcode?: number }).errcode ?? 0) & 0xff);
}

/** True while a database stays as it was captured last, since it was in use a moment ago. */
function isLeft({ leftUntil }: Tracked): boolean {
  return performance.now() < leftUntil;
}

/** Null: it is gone, or was replaced. */
function stampOf({ source }: Tracked): string | null {
  try {
    return source.stamp();
  } catch (error) {
    if (source.replaced()) return null;
    throw error;
  }
}

function commitsIn(stamp: string): number {
  return Number(stamp.split(" ")[0]);
}

function parseStamp(stamp: string) {
  const [commits = "", frames = "", salts = "", pages = "", pageSize = "", order = ""] =
    stamp.split(" ");
  return {
    commits: Number(commits),
    frames: Number(frames),
    salts,
    pages: Number(pages),
    pageSize: Number(pageSize),
    bigEndian: order === "big",
  };
}

/**
 * Makes the fields of the first page equal that tell who wrote the file last, and how often: a backup
 * sets them, frames carry the writer's. With a log SQLite does not look at them; the size of the
 * database in the header counts only while the two counters are equal.
 */
export function settleFirstPage(page: Buffer): void {
  page.writeUInt32BE(1, 24);
  page.writeUInt32BE(1, 92);
  page.writeUInt32BE(0, 96);
}

async function settleFile(path: string, schema: number): Promise<void> {
  const file = await open(path, "r+");
  try {
    await file.chmod(0o600);
    const page = Buffer.alloc(100);
    const { bytesRead } = await file.read(page, 0, 100, 0);
    if (bytesRead < 100) return;
    settleFirstPage(page);
    // A backup makes it one more than what it wrote over.
    page.writeUInt32BE(schema, 40);
    await file.write(page, 0, 100, 0);
  } finally {
    await file.close();
  }
}

/** Removes all that an earlier run left in a staging directory, and makes it. */
export async function emptyStaging(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await mkdir(path, { mode: 0o700 });
}
