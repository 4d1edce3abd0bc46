import { closeSync, mkdirSync, mkdtempSync, openSync, readSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import {
  FRAME_HEADER_BYTES,
  INDEX_HEADER_BYTES,
  parseWalIndex,
  WAL_HEADER_BYTES,
} from "../../gateway/replication/wal.ts";

/** Commits of one turn of OpenClaw, and what each writes (docs/replication.md). */
export const COMMITS = 4;
export const COMMIT_BYTES = 1_500;
/** How long OpenClaw's connections wait for a lock, ms. */
const BUSY_MS = 5_000;
/** Looks at a header that is being written: each takes microseconds, so about a tenth of a second. */
const MOST_LOOKS = 50_000;

/** Where a commit ends in the write-ahead log of its database. */
export interface LogPlace {
  /** Hex, as in the log's header; another one, another log. */
  salts: string;
  /** Bytes of the log up to the end of the commit. */
  end: number;
}

/** One turn, after its last commit. */
export interface Turn {
  /** Number of the database that it wrote into. */
  database: number;
  /** How long each commit took, ms. */
  commits: number[];
  /** The last commit's end, ms of `performance.now()`. */
  doneAt: number;
  /** Number of its last row. */
  last: number;
  place: LogPlace;
}

/** A try to empty a log. */
export interface Checkpoint {
  ms: number;
  /** False: somebody was in the way for as long as it waited. */
  emptied: boolean;
}

/** A state directory with some databases, and a hand to write into them. */
export class State {
  readonly base = mkdtempSync(join(tmpdir(), "bench-replica-"));
  readonly dir = join(this.base, "state");
  readonly databases: DatabaseSync[] = [];
  /** Open as long as the databases: closing one earlier would drop SQLite's locks of this process. */
  readonly #indexes: number[] = [];
  #turns = 0;
  #rows = 0;

  constructor(count: number, mibEach: number) {
    for (let n = 0; n < count; n++) {
      const file = this.file(n);
      mkdirSync(join(file, ".."), { recursive: true });
      const database = new DatabaseSync(file, { timeout: BUSY_MS });
      database.exec(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; CREATE TABLE rows (id INTEGER PRIMARY KEY, n INTEGER, text TEXT); CREATE INDEX by_n ON rows (n)",
      );
      database.exec("BEGIN");
      const fill = database.prepare("INSERT INTO rows (n, text) VALUES (0, hex(randomblob(2000)))");
      for (let row = 0; row < mibEach * 250; row++) fill.run();
      database.exec("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)");
      this.databases.push(database);
      this.#indexes.push(openSync(`${file}-shm`, "r"));
    }
  }

  /** Path of a database below {@link dir}. */
  static path(n: number): string {
    return join("agents", `a${n}`, "agent.sqlite");
  }

  file(n: number): string {
    return join(this.dir, State.path(n));
  }

  /** One turn, in each database in its turn. */
  turn(): Turn {
    const database = this.#turns++ % this.databases.length;
    const insert = this.#database(database).prepare(
      "INSERT INTO rows (n, text) VALUES (?, hex(randomblob(?)))",
    );
    const commits = Array.from({ length: COMMITS }, () => {
      const begun = performance.now();
      insert.run(++this.#rows, COMMIT_BYTES / 2);
      return performance.now() - begun;
    });
    const doneAt = performance.now();
    return { database, commits, doneAt, last: this.#rows, place: this.#place(database) };
  }

  /** Brings the log of the first database into it and empties the log, as OpenClaw does. */
  checkpoint(): Checkpoint {
    const begun = performance.now();
    const found = this.#database(0).prepare("PRAGMA wal_checkpoint(TRUNCATE)").get();
    return { ms: performance.now() - begun, emptied: found?.busy === 0 };
  }

  get bytes(): number {
    return this.databases.reduce((sum, _, n) => sum + statSync(this.file(n)).size, 0);
  }

  remove(): void {
    for (const database of this.databases) database.close();
    for (const index of this.#indexes) closeSync(index);
    rmSync(this.base, { recursive: true, force: true });
  }

  #database(n: number): DatabaseSync {
    return this.databases[n] as DatabaseSync;
  }

  #place(n: number): LogPlace {
    const header = Buffer.alloc(2 * INDEX_HEADER_BYTES);
    // Whoever empties the log writes into it too, so the header may just be in the making.
    for (let look = 0; look < MOST_LOOKS; look++) {
      readSync(this.#indexes[n] as number, header, 0, header.length, 0);
      const index = parseWalIndex(header);
      if (!index) continue;
      const end = WAL_HEADER_BYTES + index.frames * (FRAME_HEADER_BYTES + index.pageSize);
      return { salts: index.salts, end };
    }
    throw new Error(`the index of the log of ${this.file(n)} cannot be read`);
  }
}
