import { closeSync, fsyncSync, linkSync, openSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { bootClock, type Clock } from "../clock.ts";
import { LEASE } from "../contract.ts";
import { judgeHeld, mayAcquire } from "./rules.ts";
import {
  createEmpty,
  fileIdentity,
  SqliteFile,
  type StoreLog,
  type TransactionMode,
} from "./sqlite-file.ts";
import {
  createLeaseSchema,
  LEASES_APPLICATION_ID,
  LEASES_SCHEMA_VERSION,
  LeaseRows,
} from "./sqlite-rows.ts";
import type {
  AcquireRequest,
  HistoryEntry,
  Lease,
  LeaseStore,
  ReleaseRequest,
  Renewal,
  RenewalResult,
  StoreView,
} from "./store.ts";

/** A rollback journal that stays allocated: renewals go on when the disk is full (decision 020). */
const PRAGMAS = "PRAGMA journal_mode=PERSIST; PRAGMA trusted_schema=OFF";

export interface SqliteLeaseStoreOptions {
  /** `leases.sqlite` in the fleet's data directory. */
  path: string;
  log?: StoreLog;
  /** The clock of `HeldLease.until`. @default bootClock */
  clock?: Clock;
  /** Longest wait for other processes, per operation. @default LEASE.renewTimeoutMs */
  busyMs?: number;
}

/**
 * Leases in one SQLite file, for nodes on one machine. Calls are synchronous inside: use it on a
 * thread of its own ({@link LeaseAgent}) or in short commands.
 *
 * Which store this is (`storeId`) is a random id inside the file together with the file's inode, so a
 * deleted and recreated file, and an old copy moved into place, are other stores. An old content
 * written over the same inode is recognised by its count of writes going back, and gets a new id.
 */
export class SqliteLeaseStore implements LeaseStore {
  readonly kind = "sqlite";
  readonly #file: SqliteFile;
  readonly #rows: LeaseRows;
  readonly #clock: Clock;
  /** Highest count of writes seen, per store id. */
  readonly #seen = new Map<string, number>();

  constructor(options: SqliteLeaseStoreOptions) {
    this.#clock = options.clock ?? bootClock;
    this.#file = new SqliteFile({
      path: options.path,
      what: "lease database",
      applicationId: LEASES_APPLICATION_ID,
      schemaVersion: LEASES_SCHEMA_VERSION,
      pragmas: PRAGMAS,
      create: (db, identity) => createLeaseSchema(db, identity, false),
      busyMs: options.busyMs ?? LEASE.renewTimeoutMs,
      log: options.log ?? console,
    });
    this.#rows = new LeaseRows(this.#file);
  }

  async read(): Promise<StoreView> {
    const view = this.#transact("read", (storeId) => (storeId ? this.#view(storeId) : null));
    // An older content was put in place: the first to see it gives the store a new id.
    return view ?? this.#write("durable", (storeId) => this.#view(storeId));
  }

  async renew(renewal: Renewal): Promise<RenewalResult> {
    const { node, held } = renewal;
    const caller = { node: node.id, incarnation: node.incarnation };
    return this.#write("write", (storeId) => {
      const result = { kept: [] as string[], lost: [] as string[] };
      for (const lease of held) {
        const row = this.#rows.lease(lease.shard);
        const verdict = judgeHeld(row, lease, caller, this.#clock.now(), storeId);
        if (verdict === "lost") {
          result.lost.push(lease.shard);
          continue;
        }
        result.kept.push(lease.shard);
        this.#rows.putLease({
          shard: lease.shard,
          owner: node.id,
          incarnation: node.incarnation,
          epoch: lease.epoch,
          beat: (row?.beat ?? 0) + 1,
          release: verdict === "kept" && row ? row.release : node.release,
          position: lease.position,
          bootId: node.bootId,
          handTo: null,
          reason: null,
        });
      }
      this.#rows.putNode(node);
      return { ...result, view: this.#view(storeId) };
    });
  }

  async acquire(request: AcquireRequest): Promise<Lease | null> {
    return this.#write("durable", (storeId) => {
      const row = this.#rows.lease(request.shard);
      if (!mayAcquire(row, request, storeId)) return null;
      const lease: Lease = {
        shard: request.shard,
        owner: request.node,
        incarnation: request.incarnation,
        epoch: request.epoch,
        beat: (row?.beat ?? 0) + 1,
        release: request.release,
        position: row?.position ?? null,
        bootId: request.bootId,
        handTo: null,
        reason: null,
      };
      this.#rows.putLease(lease);
      return lease;
    });
  }

  async release(request: ReleaseRequest): Promise<boolean> {
    return this.#write("durable", () => {
      const row = this.#rows.lease(request.shard);
      if (
        row?.owner !== request.node ||
        row.incarnation !== request.incarnation ||
        row.epoch !== request.epoch
      ) {
        return false;
      }
      this.#rows.putLease({
        ...row,
        owner: null,
        incarnation: null,
        beat: row.beat + 1,
        position: request.position,
        bootId: null,
        handTo: request.handTo,
        reason: request.reason,
      });
      return true;
    });
  }

  async setPin(shard: string, node: string | null): Promise<void> {
    this.#write("durable", () => this.#rows.setPin(shard, node));
  }

  async setMaintenance(node: string, on: boolean): Promise<void> {
    const since = on ? new Date().toISOString() : null;
    this.#write("durable", () => this.#rows.setMaintenance(node, since));
  }

  async forgetNode(node: string): Promise<void> {
    this.#write("durable", () => this.#rows.forgetNode(node));
  }

  async appendHistory(entries: HistoryEntry[]): Promise<void> {
    this.#write("write", () => this.#rows.appendHistory(entries));
  }

  async history(limit: number): Promise<HistoryEntry[]> {
    return this.#transact("read", () => this.#rows.history(limit));
  }

  async close(): Promise<void> {
    this.#file.close();
  }

  #view(storeId: string): StoreView {
    const { pristine, home } = this.#rows.meta();
    return {
      storeId,
      // A copy of the first file knows nothing of the owners since.
      pristine: pristine === 1 && home === this.#file.identity,
      ...this.#rows.contents(),
    };
  }

  /** Runs `work` with the id of this store, or with null if its content is older than seen before. */
  #transact<T>(mode: TransactionMode, work: (storeId: string | null) => T): T {
    let seen: [string, number] | undefined;
    const result = this.#file.transaction(mode, () => {
      const before = this.#rows.meta();
      const older = before.writes < (this.#seen.get(before.store_id) ?? 0);
      if (mode !== "read") {
        if (older) this.#rows.rename();
        this.#rows.countWrite();
      }
      const meta = mode === "read" ? before : this.#rows.meta();
      if (!older || mode !== "read") seen = [meta.store_id, meta.writes];
      const known = older && mode === "read" ? null : `${meta.store_id}/${this.#file.identity}`;
      return work(known);
    });
    if (seen) this.#seen.set(...seen);
    return result;
  }

  #write<T>(mode: "write" | "durable", work: (storeId: string) => T): T {
    return this.#transact(mode, (storeId) => work(storeId as string));
  }
}

/**
 * Creates the lease database of a new fleet. Only here is a store `pristine`: a shard without a lease
 * has then never had an owner. Appears in one step or not at all; throws when the file exists.
 */
export function createPristine(path: string): void {
  const building = `${path}.new-${process.pid}`;
  rmSync(building, { force: true });
  rmSync(`${building}-journal`, { force: true });
  createEmpty(building);
  try {
    const db = new DatabaseSync(building);
    try {
      db.exec("BEGIN EXCLUSIVE");
      createLeaseSchema(db, fileIdentity(building) ?? "", true);
      db.exec(
        `PRAGMA application_id=${LEASES_APPLICATION_ID};
         PRAGMA user_version=${LEASES_SCHEMA_VERSION}; COMMIT`,
      );
    } finally {
      db.close();
    }
    // A journal that outlived a deleted database would be rolled back into the new one.
    if (!fileIdentity(path)) rmSync(`${path}-journal`, { force: true });
    linkSync(building, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") {
      throw new Error(
        `${path} exists: this fleet was created before. Remove the fleet first, or keep its leases`,
        { cause: error },
      );
    }
    throw error;
  } finally {
    rmSync(building, { force: true });
  }
  const directory = openSync(dirname(path), "r");
  fsyncSync(directory);
  closeSync(directory);
}
