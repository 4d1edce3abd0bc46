import { randomUUID } from "node:crypto";
import type { DatabaseSync } from "node:sqlite";
import type { SqliteFile } from "./sqlite-file.ts";
import type { HistoryEntry, Lease, NodeRecord, StoreView } from "./store.ts";

/** "OCFL" */
export const LEASES_APPLICATION_ID = 0x4f43464c;
export const LEASES_SCHEMA_VERSION = 1;

/** Newest history entries that are kept. */
export const HISTORY_LIMIT = 1_000;

/**
 * Space taken once and given back to the file's free list at creation, bytes: renewals then find their
 * pages on a disk that has filled up since. 64 KiB holds the node records of dozens of nodes.
 */
const RESERVE_BYTES = 64 * 1024;

const SCHEMA = `
CREATE TABLE meta (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  store_id TEXT NOT NULL,
  pristine INTEGER NOT NULL,
  home TEXT NOT NULL,
  writes INTEGER NOT NULL
) STRICT;
CREATE TABLE leases (
  shard TEXT PRIMARY KEY,
  owner TEXT, incarnation TEXT,
  epoch INTEGER NOT NULL, beat INTEGER NOT NULL,
  release TEXT, position TEXT, boot_id TEXT, hand_to TEXT, reason TEXT
) STRICT;
CREATE TABLE nodes (id TEXT PRIMARY KEY, beat INTEGER NOT NULL, record TEXT NOT NULL) STRICT;
CREATE TABLE pins (shard TEXT PRIMARY KEY, node TEXT NOT NULL) STRICT;
CREATE TABLE maintenance (node TEXT PRIMARY KEY, since TEXT NOT NULL) STRICT;
CREATE TABLE history (id INTEGER PRIMARY KEY AUTOINCREMENT, entry TEXT NOT NULL) STRICT;
CREATE TABLE reserve (filler BLOB) STRICT;
`;

export function createLeaseSchema(db: DatabaseSync, home: string, pristine: boolean): void {
  db.exec(SCHEMA);
  db.prepare("INSERT INTO meta VALUES (1, ?, ?, ?, 0)").run(randomUUID(), pristine ? 1 : 0, home);
  db.exec(`INSERT INTO reserve VALUES (zeroblob(${RESERVE_BYTES})); DROP TABLE reserve`);
}

/** Makes a store one that nobody has seen before. */
export function giveNewId(db: DatabaseSync): void {
  db.prepare("UPDATE meta SET store_id = ?, pristine = 0").run(randomUUID());
}

export interface Meta {
  store_id: string;
  pristine: number;
  /** `dev:inode` of the file when it was created. */
  home: string;
  /** Write transactions so far. It falling means that an older content was put in place. */
  writes: number;
}

/** The statements, each meant to run inside a transaction of `file`. */
export class LeaseRows {
  readonly #file: SqliteFile;
  constructor(file: SqliteFile) {
    this.#file = file;
  }

  meta(): Meta {
    const row = this.#file.sql("SELECT store_id, pristine, home, writes FROM meta").get();
    return row as unknown as Meta;
  }

  countWrite(): void {
    this.#file.sql("UPDATE meta SET writes = writes + 1").run();
  }

  lease(shard: string): Lease | undefined {
    const row = this.#file.sql(`SELECT ${LEASE_COLUMNS} FROM leases WHERE shard = ?`).get(shard);
    return row && { ...(row as unknown as Lease) };
  }

  putLease(lease: Lease): void {
    this.#file
      .sql("INSERT OR REPLACE INTO leases VALUES (?,?,?,?,?,?,?,?,?,?)")
      .run(
        lease.shard,
        lease.owner,
        lease.incarnation,
        lease.epoch,
        lease.beat,
        lease.release,
        lease.position,
        lease.bootId,
        lease.handTo,
        lease.reason,
      );
  }

  putNode(node: NodeRecord): void {
    this.#file
      .sql(
        `INSERT INTO nodes VALUES (?, 1, ?)
         ON CONFLICT (id) DO UPDATE SET beat = beat + 1, record = excluded.record`,
      )
      .run(node.id, JSON.stringify(node));
  }

  setPin(shard: string, node: string | null): void {
    if (node === null) this.#file.sql("DELETE FROM pins WHERE shard = ?").run(shard);
    else this.#file.sql("INSERT OR REPLACE INTO pins VALUES (?, ?)").run(shard, node);
  }

  setMaintenance(node: string, since: string | null): void {
    if (since === null) this.#file.sql("DELETE FROM maintenance WHERE node = ?").run(node);
    else this.#file.sql("INSERT OR IGNORE INTO maintenance VALUES (?, ?)").run(node, since);
  }

  forgetNode(node: string): void {
    this.#file.sql("DELETE FROM nodes WHERE id = ?").run(node);
    this.#file.sql("DELETE FROM pins WHERE node = ?").run(node);
    this.#file.sql("DELETE FROM maintenance WHERE node = ?").run(node);
  }

  appendHistory(entries: HistoryEntry[]): void {
    for (const entry of entries) {
      this.#file.sql("INSERT INTO history (entry) VALUES (?)").run(JSON.stringify(entry));
    }
    this.#file
      .sql(`DELETE FROM history WHERE id <= (SELECT max(id) FROM history) - ${HISTORY_LIMIT}`)
      .run();
  }

  /** The newest `limit` entries, oldest first. */
  history(limit: number): HistoryEntry[] {
    const rows = this.#file.sql("SELECT entry FROM history ORDER BY id DESC LIMIT ?").all(limit);
    return rows.map((row) => JSON.parse(row.entry as string) as HistoryEntry).reverse();
  }

  contents(): Pick<StoreView, "leases" | "nodes" | "pins" | "maintenance"> {
    const all = (text: string) => this.#file.sql(text).all() as Record<string, unknown>[];
    return {
      leases: Object.fromEntries(
        all(`SELECT ${LEASE_COLUMNS} FROM leases`).map((row) => [
          row.shard as string,
          { ...row } as unknown as Lease,
        ]),
      ),
      nodes: Object.fromEntries(
        all("SELECT id, beat, record FROM nodes").map((row) => [
          row.id as string,
          { ...JSON.parse(row.record as string), beat: row.beat } as NodeRecord,
        ]),
      ),
      pins: Object.fromEntries(
        all("SELECT shard, node FROM pins").map((row) => [row.shard as string, row.node as string]),
      ),
      maintenance: Object.fromEntries(
        all("SELECT node, since FROM maintenance").map((row) => [
          row.node as string,
          { since: row.since as string },
        ]),
      ),
    };
  }
}

const LEASE_COLUMNS = `shard, owner, incarnation, epoch, beat, release, position,
  boot_id AS bootId, hand_to AS handTo, reason`;
