import { renameSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import {
  buildDatabase,
  type DatabaseFormat,
  fileIdentity,
  publishDatabase,
} from "./sqlite-publish.ts";
import { StoreUnavailable } from "./store.ts";

/** Where a store says what a person should know. A pino logger fits. */
export interface StoreLog {
  warn(message: string): void;
  error(message: string): void;
}

export interface SqliteFileOptions extends DatabaseFormat {
  path: string;
  /** What the file is, for messages: "lease database". */
  what: string;
  /** Run once on every new connection, after the checks. */
  pragmas: string;
  /**
   * When the whole file is read through for damage: at each opening, or, for one that may be large,
   * after an operation met some. @default "always"
   */
  verify?: "always" | "suspect";
  /** SQLite's `synchronous` per mode. @default `{ write: "OFF", durable: "FULL" }` */
  durability?: { write: string; durable: string };
  /** Wraps the opening of the file, for a back end that must prepare what lies beside it. */
  around?(open: () => DatabaseSync): DatabaseSync;
  /** Longest wait for other processes, per operation. */
  busyMs: number;
  log: StoreLog;
}

/**
 * - `read`: a consistent snapshot, takes no write lock.
 * - `write`: atomic, survives the death of any process, not a power cut.
 * - `durable`: also on the disk when it returns.
 */
export type TransactionMode = "read" | "write" | "durable";

const CORRUPT = 11;
const NOT_A_DATABASE = 26;

/**
 * One SQLite database file that may be deleted, replaced, truncated or damaged at any moment. Before
 * and after each transaction the file behind the path must be the one that is open; otherwise the
 * handle is closed, and what follows happens in the file that is there now (a new one, if none is).
 * A file that cannot be used is renamed, never deleted.
 */
export class SqliteFile {
  readonly #options: SqliteFileOptions;
  #db: DatabaseSync | null = null;
  #identity = "";
  #statements = new Map<string, StatementSync>();
  #synchronous = "";
  #closed = false;
  #suspect = false;

  constructor(options: SqliteFileOptions) {
    this.#options = options;
  }

  /** `dev:inode` of the open file. */
  get identity(): string {
    return this.#identity;
  }

  /** A prepared statement of the open connection, kept for the next time. */
  sql(text: string): StatementSync {
    let statement = this.#statements.get(text);
    if (!statement) {
      if (!this.#db) throw new StoreUnavailable(`${this.#options.path} is not open`);
      statement = this.#db.prepare(text);
      this.#statements.set(text, statement);
    }
    return statement;
  }

  /** Runs `work` in one transaction. Throws StoreUnavailable for whatever goes wrong with the file. */
  transaction<T>(mode: TransactionMode, work: () => T): T {
    if (this.#closed) throw new StoreUnavailable(`${this.#options.what} is closed`);
    let result: T;
    try {
      result = this.#run(this.#ready(), mode, work);
    } catch (error) {
      throw this.#fault(error);
    }
    if (fileIdentity(this.#options.path) !== this.#identity) {
      this.#drop();
      throw new StoreUnavailable(
        `${this.#options.path} was deleted or replaced during an operation; it counts as not done`,
      );
    }
    return result;
  }

  /**
   * Replaces the file by a copy of itself with `change` made to it, so that everybody who has it open
   * opens it afresh. What others write to the old one meanwhile is lost with it.
   */
  replaceByCopy(change: (db: DatabaseSync, identity: string) => void): void {
    const { path } = this.#options;
    try {
      const from = this.#ready();
      publishDatabase(path, "instead", (building) => {
        from.prepare("VACUUM INTO ?").run(building);
        const db = new DatabaseSync(building);
        try {
          change(db, fileIdentity(building) ?? "");
        } finally {
          db.close();
        }
      });
      this.#drop();
    } catch (error) {
      throw this.#fault(error);
    }
  }

  close(): void {
    this.#closed = true;
    this.#drop();
  }

  #run<T>(db: DatabaseSync, mode: TransactionMode, work: () => T): T {
    const { busyMs } = this.#options;
    const { write = "OFF", durable = "FULL" } = this.#options.durability ?? {};
    if (mode !== "read") this.#setSynchronous(db, mode === "durable" ? durable : write);
    const began = performance.now();
    db.exec(mode === "read" ? "BEGIN" : "BEGIN IMMEDIATE");
    // The commit may have to wait for readers: one operation never waits longer than busyMs in all.
    const waited = performance.now() - began;
    const shortened = waited > 10;
    try {
      if (shortened) db.exec(`PRAGMA busy_timeout=${Math.max(1, Math.floor(busyMs - waited))}`);
      const result = work();
      db.exec("COMMIT");
      return result;
    } catch (error) {
      if (db.isTransaction) db.exec("ROLLBACK");
      throw error;
    } finally {
      if (shortened && db.isOpen) db.exec(`PRAGMA busy_timeout=${busyMs}`);
    }
  }

  #setSynchronous(db: DatabaseSync, level: string): void {
    if (this.#synchronous === level) return;
    db.exec(`PRAGMA synchronous=${level}`);
    this.#synchronous = level;
  }

  #ready(): DatabaseSync {
    if (this.#db && fileIdentity(this.#options.path) !== this.#identity) {
      this.#options.log.warn(
        `${this.#options.path} was deleted or replaced; going on with the file that is there now`,
      );
      this.#drop();
    }
    if (this.#db) return this.#db;
    const { around } = this.#options;
    return around ? around(() => this.#open()) : this.#open();
  }

  #open(): DatabaseSync {
    const { path, what, busyMs } = this.#options;
    // Twice damaged, or replaced while it was opened: two more tries, then the caller's next call.
    for (let attempt = 0; attempt < 3; attempt++) {
      if (!fileIdentity(path)) {
        this.#create();
        if (attempt === 0) this.#options.log.warn(`${path} was missing; a new ${what} begins`);
      }
      const before = fileIdentity(path);
      if (!before) continue;
      const db = new DatabaseSync(path, { timeout: busyMs });
      try {
        this.#check(db);
        db.exec(this.#options.pragmas);
      } catch (error) {
        db.close();
        if (!isDamage(error)) throw error;
        this.#setAside(before, (error as Error).message);
        continue;
      }
      if (fileIdentity(path) !== before) {
        db.close();
        continue;
      }
      this.#db = db;
      this.#identity = before;
      this.#synchronous = "";
      this.#suspect = false;
      return db;
    }
    throw new StoreUnavailable(`${path} keeps being replaced while it is opened`);
  }

  #create(): void {
    try {
      publishDatabase(this.#options.path, "new", (building) => {
        buildDatabase(building, this.#options);
      });
    } catch (error) {
      // Another process was faster: its file is as good.
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
  }

  /** Throws Damage for a file that cannot be used. */
  #check(db: DatabaseSync): void {
    const { applicationId, schemaVersion, path, what } = this.#options;
    if (this.#suspect || this.#options.verify !== "suspect") {
      const row = db.prepare("PRAGMA integrity_check(1)").get() as { integrity_check: string };
      if (row.integrity_check !== "ok") throw new Damage(row.integrity_check);
    }
    const tables = db.prepare("SELECT count(*) AS n FROM sqlite_schema").get() as { n: number };
    if (tables.n === 0) throw new Damage("it is empty");
    const id = db.prepare("PRAGMA application_id").get() as { application_id: number };
    if (id.application_id !== applicationId) {
      throw new Damage(`it is another program's database, not a ${what}`);
    }
    const { user_version } = db.prepare("PRAGMA user_version").get() as { user_version: number };
    if (user_version > schemaVersion) {
      throw new StoreUnavailable(
        `${path} was written by a newer release (schema ${user_version}, this one knows ${schemaVersion}); start the newer release, or move the file away`,
      );
    }
  }

  #setAside(identity: string, why: string): void {
    const { path, what, log } = this.#options;
    if (fileIdentity(path) !== identity) return; // somebody else did it already
    const aside = `${path}.corrupt-${new Date().toISOString().replaceAll(":", "")}`;
    renameSync(path, aside);
    if (fileIdentity(aside) !== identity) {
      // Another process was faster, and this is the new file that it made: put it back.
      if (!fileIdentity(path)) renameSync(aside, path);
      return;
    }
    for (const suffix of ["-journal", "-wal", "-shm"]) {
      try {
        renameSync(path + suffix, aside + suffix);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      }
    }
    log.error(
      `${what} ${path} is damaged (${why}). It was moved to ${aside}; a new one begins. Nothing in it is needed for the fleet to go on; delete it once you have looked at it`,
    );
  }

  #drop(): void {
    const db = this.#db;
    this.#db = null;
    this.#identity = "";
    this.#statements = new Map();
    try {
      db?.close();
    } catch (error) {
      this.#options.log.warn(`closing ${this.#options.path}: ${(error as Error).message}`);
    }
  }

  #fault(error: unknown): StoreUnavailable {
    const { path, what } = this.#options;
    const known = error instanceof StoreUnavailable;
    if (isDamage(error)) this.#suspect = true;
    const code = (error as { errcode?: number }).errcode;
    const system = (error as NodeJS.ErrnoException).code;
    // After anything but a wait that was too long, the next operation looks at the file afresh.
    if (code === undefined || ((code & 0xff) !== 5 && (code & 0xff) !== 6)) this.#drop();
    if (known) return error;
    if (code === undefined && !(system && "syscall" in (error as object))) throw error;
    const hint =
      (code !== undefined && (code & 0xff) === 13) || system === "ENOSPC"
        ? "; free some space on its disk"
        : (code !== undefined && [8, 14].includes(code & 0xff)) || system === "ENOENT"
          ? `; ${dirname(path)} must exist and be writable for this user`
          : "";
    return new StoreUnavailable(`${what} ${path}: ${(error as Error).message}${hint}`, {
      cause: error,
    });
  }
}

/** The file is not usable, and will not become so. */
class Damage extends Error {
  override readonly name = "Damage";
}

function isDamage(error: unknown): boolean {
  if (error instanceof Damage) return true;
  const code = (error as { errcode?: number }).errcode;
  return code !== undefined && [CORRUPT, NOT_A_DATABASE].includes(code & 0xff);
}
