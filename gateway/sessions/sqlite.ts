import { randomUUID } from "node:crypto";
import type { DatabaseSync } from "node:sqlite";
import { bootClock, bootId, type Clock } from "../clock.ts";
import { IDEMPOTENCY, type ShardId } from "../contract.ts";
import { SqliteFile, type StoreLog } from "../leases/sqlite-file.ts";
import { openingWal } from "./sidecars.ts";
import type { Claim, SessionStore, StoredAnswer } from "./store.ts";

/** "OCFS" */
const APPLICATION_ID = 0x4f434653;
const SCHEMA_VERSION = 1;
/** Pause between two collections of expired answers. */
const COLLECT_EVERY_MS = 60_000;

const SCHEMA = `
CREATE TABLE meta (generation TEXT NOT NULL) STRICT;
CREATE TABLE sessions (
  agent TEXT NOT NULL, session TEXT NOT NULL, shard TEXT NOT NULL,
  PRIMARY KEY (agent, session)
) STRICT, WITHOUT ROWID;
CREATE TABLE claims (
  key TEXT PRIMARY KEY,
  body_hash TEXT NOT NULL,
  run_id TEXT NOT NULL,
  done INTEGER NOT NULL,
  boot TEXT NOT NULL, since REAL NOT NULL, ttl REAL NOT NULL,
  answer TEXT
) STRICT;
`;

export interface SqliteSessionStoreOptions {
  /** `sessions.sqlite` in the fleet's data directory. */
  path: string;
  log?: StoreLog;
  /** @default bootClock */
  clock?: Clock;
  /** Names the boot to which the clock belongs. @default bootId() */
  boot?: string;
  /** Longest wait for other processes, per operation, ms. @default 1000 */
  busyMs?: number;
}

interface ClaimRow {
  body_hash: string;
  run_id: string;
  done: number;
  since: number;
  ttl: number;
}

/**
 * Sessions and stored answers in one SQLite file, for nodes on one machine (decision 021).
 *
 * Time is the machine's boot clock, which all its processes share; nothing depends on the wall clock.
 * After a reboot nobody works on a claim any more, so all lapse; stored answers begin their time anew.
 * A lookup takes microseconds, so nothing is cached in front of it: there is no second truth.
 */
export class SqliteSessionStore implements SessionStore {
  readonly kind = "sqlite";
  readonly #file: SqliteFile;
  readonly #clock: Clock;
  readonly #boot: string;
  #collected = Number.NEGATIVE_INFINITY;

  constructor(options: SqliteSessionStoreOptions) {
    const busyMs = options.busyMs ?? 1_000;
    this.#clock = options.clock ?? bootClock;
    this.#boot = options.boot ?? bootId();
    this.#file = new SqliteFile({
      path: options.path,
      what: "session database",
      applicationId: APPLICATION_ID,
      schemaVersion: SCHEMA_VERSION,
      pragmas: "PRAGMA journal_mode=WAL; PRAGMA trusted_schema=OFF",
      verify: "suspect",
      durability: { write: "NORMAL", durable: "FULL" },
      create: createSchema,
      around: (open) => {
        const db = openingWal(options.path, busyMs, open, forget);
        this.#begin(db);
        return db;
      },
      busyMs,
      log: options.log ?? console,
    });
  }

  async assign(agent: string, session: string, shard: ShardId): Promise<ShardId> {
    // Most sessions are known: they must not wait for a writer.
    const known = await this.lookup(agent, session);
    if (known !== null) return known;
    return this.#file.transaction("write", () => {
      this.#add(agent, session, shard);
      return this.#shardOf(agent, session) as ShardId;
    });
  }

  async lookup(agent: string, session: string): Promise<ShardId | null> {
    return this.#file.transaction("read", () => this.#shardOf(agent, session));
  }

  async rebuild(entries: { agent: string; session: string; shard: ShardId }[]): Promise<number> {
    return this.#file.transaction("write", () => {
      let added = 0;
      for (const one of entries) added += this.#add(one.agent, one.session, one.shard);
      return added;
    });
  }

  async dropShard(shard: ShardId): Promise<number> {
    return this.#file.transaction("write", () =>
      Number(this.#file.sql("DELETE FROM sessions WHERE shard = ?").run(shard).changes),
    );
  }

  async counts(): Promise<{ byShard: Record<ShardId, number>; byAgent: Record<string, number> }> {
    const by = (column: "shard" | "agent") =>
      Object.fromEntries(
        this.#file
          .sql(`SELECT ${column} AS name, count(*) AS n FROM sessions GROUP BY ${column}`)
          .all()
          .map((row) => [row.name as string, row.n as number]),
      );
    return this.#file.transaction("read", () => ({ byShard: by("shard"), byAgent: by("agent") }));
  }

  async generation(): Promise<string> {
    return this.#file.transaction(
      "read",
      () => this.#file.sql("SELECT generation FROM meta").get()?.generation as string,
    );
  }

  async claim(key: string, bodyHash: string, runId: string, ttlMs: number): Promise<Claim> {
    return this.#file.transaction("write", () => {
      this.#collect();
      const row = this.#claim(key);
      if (row && row.body_hash !== bodyHash) return { outcome: "mismatch" };
      if (row?.done) {
        const { answer } = this.#file.sql("SELECT answer FROM claims WHERE key = ?").get(key) as {
          answer: string;
        };
        return { outcome: "done", runId: row.run_id, answer: JSON.parse(answer) };
      }
      if (row && this.#alive(row)) return { outcome: "running", runId: row.run_id };
      const run = row?.run_id ?? runId;
      this.#file
        .sql("INSERT OR REPLACE INTO claims VALUES (?, ?, ?, 0, ?, ?, ?, NULL)")
        .run(key, bodyHash, run, this.#boot, this.#clock.now(), ttlMs);
      return { outcome: "claimed", runId: run };
    });
  }

  async refresh(key: string, runId: string, ttlMs: number): Promise<boolean> {
    return this.#file.transaction(
      "write",
      () =>
        this.#file
          .sql(
            `UPDATE claims SET boot = ?, since = ?, ttl = ?
             WHERE key = ? AND run_id = ? AND done = 0`,
          )
          .run(this.#boot, this.#clock.now(), ttlMs, key, runId).changes === 1,
    );
  }

  async finish(key: string, runId: string, answer: StoredAnswer, keepMs: number): Promise<boolean> {
    const text = JSON.stringify(answer);
    if (Buffer.byteLength(answer.body) > IDEMPOTENCY.maxAnswerBytes) {
      throw new RangeError(
        `an answer of ${Buffer.byteLength(answer.body)} bytes is not stored; the limit is ${IDEMPOTENCY.maxAnswerBytes}`,
      );
    }
    return this.#file.transaction(
      "write",
      () =>
        this.#file
          .sql(
            `UPDATE claims SET done = 1, boot = ?, since = ?, ttl = ?, answer = ?
             WHERE key = ? AND run_id = ? AND done = 0`,
          )
          .run(this.#boot, this.#clock.now(), keepMs, text, key, runId).changes === 1,
    );
  }

  async abandon(key: string, runId: string): Promise<void> {
    this.#file.transaction("write", () => {
      this.#file
        .sql("DELETE FROM claims WHERE key = ? AND run_id = ? AND done = 0")
        .run(key, runId);
    });
  }

  async ok(): Promise<boolean> {
    return this.generation().then(
      () => true,
      () => false,
    );
  }

  async close(): Promise<void> {
    this.#file.close();
  }

  #shardOf(agent: string, session: string): ShardId | null {
    const row = this.#file
      .sql("SELECT shard FROM sessions WHERE agent = ? AND session = ?")
      .get(agent, session);
    return (row?.shard as string | undefined) ?? null;
  }

  #add(agent: string, session: string, shard: ShardId): number {
    const { changes } = this.#file
      .sql("INSERT OR IGNORE INTO sessions VALUES (?, ?, ?)")
      .run(agent, session, shard);
    return Number(changes);
  }

  /** The claim on a key, unless it is an answer whose time is over. */
  #claim(key: string): ClaimRow | undefined {
    const row = this.#file
      .sql("SELECT body_hash, run_id, done, since, ttl FROM claims WHERE key = ?")
      .get(key) as ClaimRow | undefined;
    return row?.done && !this.#alive(row) ? undefined : row;
  }

  #alive(row: ClaimRow): boolean {
    const now = this.#clock.now();
    return row.since <= now && now < row.since + row.ttl;
  }

  /** Removes answers whose time is over, and claims that nobody came back for as long as an answer lives. */
  #collect(): void {
    const now = this.#clock.now();
    if (now - this.#collected < COLLECT_EVERY_MS) return;
    this.#collected = now;
    this.#file
      .sql("DELETE FROM claims WHERE since + ttl + CASE done WHEN 1 THEN 0 ELSE ? END <= ?")
      .run(IDEMPOTENCY.keepMs, now);
  }

  /** On a fresh connection: moves the times of an earlier boot to this boot's clock. */
  #begin(db: DatabaseSync): void {
    const other = db.prepare("SELECT count(*) AS n FROM claims WHERE boot <> ?").get(this.#boot);
    if (other?.n === 0) return;
    db.prepare(
      `UPDATE claims SET boot = ?1, since = ?2, ttl = CASE done WHEN 1 THEN ttl ELSE 0 END
       WHERE boot <> ?1`,
    ).run(this.#boot, this.#clock.now());
  }
}

function createSchema(db: DatabaseSync): void {
  db.exec(SCHEMA);
  db.prepare("INSERT INTO meta VALUES (?)").run(randomUUID());
}

/** An old copy was put in place: what it says of sessions and answers may have changed since. */
function forget(db: DatabaseSync): void {
  db.exec("BEGIN IMMEDIATE; DELETE FROM sessions; DELETE FROM claims");
  db.prepare("UPDATE meta SET generation = ?").run(randomUUID());
  db.exec("COMMIT");
}
