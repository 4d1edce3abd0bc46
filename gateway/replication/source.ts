import { closeSync, existsSync, fstatSync, lstatSync, openSync, readSync, statSync } from "node:fs";
import { backup, DatabaseSync } from "node:sqlite";
import {
  framesBetween,
  INDEX_HEADER_BYTES,
  parseWalIndex,
  readFrames,
  type WalChanges,
  type WalCursor,
  type WalIndex,
} from "./wal.ts";

/** More of the log than this is not read by frames: a whole copy costs no more memory. */
const MAX_FRAME_BYTES = 64 * 2 ** 20;
/** Pages that one step of a backup copies; between steps the thread pool does other things. */
const BACKUP_RATE = 2_000;
const STAMP_TRIES = 200;

/** A database, read-only: what its newest commit is, and the state at a pinned one. */
export type Source = Omit<DatabaseSource, "index">;

/**
 * A database of a running OpenClaw, read-only: what its newest commit is, and the state at a pinned one.
 *
 * The index (`-shm`) is read as a file, since SQLite has no question that tells of every commit. POSIX drops
 * all of a process's locks on a file when it closes any descriptor of it: so this one is opened after
 * the connection and closed after it, nothing else of this process may open that database, and the
 * database file itself is never opened but by SQLite.
 */
export class DatabaseSource {
  readonly path: string;
  readonly #database: DatabaseSync;
  /** Null: the database has no write-ahead log. */
  readonly #index: number | null;
  readonly #inodes: string;
  #pinned = false;

  /** Throws when it is no database, or busy for long. */
  constructor(path: string) {
    this.path = path;
    this.#database = new DatabaseSync(path, { readOnly: true, timeout: 1_000 });
    let index: number | null = null;
    try {
      this.#database.exec("PRAGMA query_only = 1");
      if (this.#keepsLog()) index = openSync(`${path}-shm`, "r");
      this.#index = index;
      this.#inodes = this.#see();
    } catch (error) {
      this.#database.close();
      if (index !== null) closeSync(index);
      throw error;
    }
  }

  /**
   * True when the files are not those that were opened: the database was replaced, or its writer keeps a log since. Then
   * its file stays what it is for thousands of pages, and says nothing of what is committed.
   */
  replaced(): boolean {
    try {
      if (this.#see() !== this.#inodes) return true;
      return this.#index === null && existsSync(`${this.path}-wal`) && this.#keepsLog();
    } catch {
      return true;
    }
  }

  /** Names the newest commit: two equal stamps, nothing happened between. */
  stamp(): string {
    if (this.#index === null) {
      const { ino, size, mtimeNs, ctimeNs } = statSync(this.path, { bigint: true });
      return `${ino} ${size} ${mtimeNs} ${ctimeNs}`;
    }
    const { commits, frames, salts, pages, pageSize, bigEndian } = this.index();
    return `${commits} ${frames} ${salts} ${pages} ${pageSize} ${bigEndian ? "big" : "little"}`;
  }

  /** The index as it is now. Throws for a database without one. */
  index(): WalIndex {
    if (this.#index === null) throw new Error(`${this.path} has no write-ahead log`);
    const bytes = Buffer.alloc(2 * INDEX_HEADER_BYTES);
    for (let tries = 0; tries < STAMP_TRIES; tries++) {
      readSync(this.#index, bytes, 0, bytes.length, 0);
      const index = parseWalIndex(bytes);
      if (index) return index;
    }
    throw new Error(`the index of ${this.path} is not readable`);
  }

  get hasLog(): boolean {
    return this.#index !== null;
  }

  /** Holds the newest commit for reading, instead of the one held before; returns its stamp or an older one. */
  pin(): string {
    this.unpin();
    const stamp = this.stamp();
    this.#database.exec("BEGIN");
    this.#pinned = true;
    this.#database.prepare("SELECT count(*) FROM sqlite_schema").get();
    return stamp;
  }

  unpin(): void {
    if (!this.#pinned) return;
    this.#pinned = false;
    this.#database.exec("COMMIT");
  }

  /** SQLite's own count of changes to the schema, in the pinned state. */
  schemaVersion(): number {
    const row = this.#database.prepare("PRAGMA schema_version").get();
    return Number(row?.schema_version ?? 0);
  }

  /** Writes the pinned state as a database of its own. Nothing else may be asked meanwhile. */
  async copyTo(path: string): Promise<void> {
    await backup(this.#database, path, { rate: BACKUP_RATE });
  }

  /**
   * The pages that changed from `from` to `to`, which is the pinned state. Null: that is not certain; take
   * a whole copy. It is certain when the frames between hold as many commits as the index counted: the log
   * may have begun anew since, but then nothing in it was missed.
   */
  changes(from: WalCursor, to: WalIndex): WalChanges | null {
    const range = framesBetween(from, to);
    if (!range) return null;
    if ((range.last - range.first + 1) * to.pageSize > MAX_FRAME_BYTES) return null;
    if (range.last < range.first) return from.commits === to.commits ? noChanges() : null;
    const log = openSync(`${this.path}-wal`, "r");
    try {
      const read = (at: number, length: number): Buffer => {
        const bytes = Buffer.allocUnsafe(length);
        let done = 0;
        while (done < length) {
          const got = readSync(log, bytes, done, length - done, at + done);
          if (got === 0) break;
          done += got;
        }
        return bytes.subarray(0, done);
      };
      const changes = readFrames(read, to, range);
      return changes?.commits === to.commits - from.commits ? changes : null;
    } finally {
      closeSync(log);
    }
  }

  close(): void {
    this.#pinned = false;
    this.#database.close();
    if (this.#index !== null) closeSync(this.#index);
  }

  /** Whether it has a write-ahead log, which SQLite knows once it has read; the first read makes the index, too. */
  #keepsLog(): boolean {
    this.#database.prepare("SELECT count(*) FROM sqlite_schema").get();
    const { journal_mode: mode } = this.#database.prepare("PRAGMA journal_mode").get() ?? {};
    return mode === "wal";
  }

  #see(): string {
    const { dev, ino } = statSync(this.path);
    if (this.#index === null) return `${dev} ${ino}`;
    const index = statSync(`${this.path}-shm`);
    const opened = fstatSync(this.#index);
    if (opened.ino !== index.ino || opened.dev !== index.dev) throw new Error("another index");
    return `${dev} ${ino} ${index.ino}`;
  }
}

/**
 * A database of an agent's, opened only while it is pinned. A connection that stayed would keep the last of its users
 * from putting its log away, so that whoever replaces the database finds the log of the one before beside it.
 */
export class VisitedSource implements Source {
  readonly path: string;
  /** That it has one is not known, and its frames are not read. */
  readonly hasLog = false;
  #database: DatabaseSync | null = null;

  constructor(path: string) {
    this.path = path;
  }

  /** Or out of our sight; what took its place is just another commit. */
  replaced(): boolean {
    try {
      this.stamp();
      return false;
    } catch {
      return true;
    }
  }

  /** Another one after each commit, and after some of SQLite's own doings. Throws when there is no file. */
  stamp(): string {
    const log = lstatSync(`${this.path}-wal`, { bigint: true, throwIfNoEntry: false });
    const file = lstatSync(this.path, { bigint: true });
    // To open a pipe would take for ever, and behind a link is somebody else's.
    for (const each of [file, log]) {
      if (each && !each.isFile()) throw new Error(`${this.path} is no file`);
    }
    // To open a database may make an empty log, and chown one that is there: no change.
    const files = [file, ...(log?.size ? [log] : [])];
    return files.map(({ ino, size, mtimeNs }) => `${ino} ${size} ${mtimeNs}`).join(" ");
  }

  pin(): string {
    this.unpin();
    const stamp = this.stamp();
    // The thread that waits here is that of every shard: who is in the way is asked again later.
    const database = new DatabaseSync(this.path, { readOnly: true, timeout: 0 });
    this.#database = database;
    try {
      database.exec("BEGIN");
      database.prepare("SELECT count(*) FROM sqlite_schema").get();
    } catch (error) {
      this.unpin();
      throw error;
    }
    return stamp;
  }

  unpin(): void {
    this.#database?.close();
    this.#database = null;
  }

  schemaVersion(): number {
    const row = this.#database?.prepare("PRAGMA schema_version").get();
    return Number(row?.schema_version ?? 0);
  }

  async copyTo(path: string): Promise<void> {
    if (!this.#database) throw new Error(`${this.path} is not pinned`);
    await backup(this.#database, path, { rate: BACKUP_RATE });
  }

  changes(): null {
    return null;
  }

  close(): void {
    this.unpin();
  }
}

function noChanges(): WalChanges {
  return { pages: new Map(), commits: 0 };
}
