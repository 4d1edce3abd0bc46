import { closeSync, fsyncSync, openSync } from "node:fs";
import { dirname } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { bootClock, type Clock } from "../clock.ts";
import { LEASE } from "../contract.ts";
import { judgeHeld, mayAcquire } from "./rules.ts";
import { SqliteFile, type StoreLog, type TransactionMode } from "./sqlite-file.ts";
import { buildDatabase, publishDatabase } from "./sqlite-publish.ts";
import {
  createLeaseSchema,
  giveNewId,
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

const FORMAT = { applicationId: LEASES_APPLICATION_ID, schemaVersion: LEASES_SCHEMA_VERSION };

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
      ...FORMAT,
      pragmas: PRAGMAS,
      create: (db, identity) => createLeaseSchema(db, identity, false),
      busyMs: options.busyMs ?? LEASE.renewTimeoutMs,
      log: options.log ?? console,
    });
    this.#rows = new LeaseRows(this.#file);
  }

  async read(): Promise<StoreView> {
    return this.#transact("read", (storeId) => this.#view(storeId));
  }

  async renew(renewal: Renewal): Promise<RenewalResult> {
    const { node, held } = renewal;
    const caller = { node: node.id, incarnation: node.incarnation };
    return this.#transact("write", (storeId) => {
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
          release: lease.release ?? (verdict === "kept" && row ? row.release : node.release),
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
    return this.#transact("durable", (storeId) => {
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
    return this.#transact("durable", () => {
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
    this.#transact("durable", () => this.#rows.setPin(shard, node));
  }

  async setMaintenance(node: string, on: boolean): Promise<void> {
    const since = on ? new Date().toISOString() : null;
    this.#transact("durable", () => this.#rows.setMaintenance(node, since));
  }

  async forgetNode(node: string): Promise<void> {
    this.#transact("durable", () => this.#rows.forgetNode(node));
  }

  async appendHistory(entries: HistoryEntry[]): Promise<void> {
    this.#transact("write", () => this.#rows.appendHistory(entries));
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

  /** Runs `work` with the id of this store. */
  #transact<T>(mode: TransactionMode, work: (storeId: string) => T): T {
    try {
      return this.#transactOnce(mode, work);
    } catch (error) {
      if (!(error instanceof OlderContent)) throw error;
      this.#file.replaceByCopy(giveNewId);
      return this.#transactOnce(mode, work);
    }
  }

  #transactOnce<T>(mode: TransactionMode, work: (storeId: string) => T): T {
    let seen: [string, number] | undefined;
    const result = this.#file.transaction(mode, () => {
      const { store_id: id, writes } = this.#rows.meta();
      if (writes < (this.#seen.get(id) ?? 0)) throw new OlderContent();
      if (mode !== "read") this.#rows.countWrite();
      seen = [id, mode === "read" ? writes : writes + 1];
      return work(`${id}/${this.#file.identity}`);
    });
    if (seen) this.#seen.set(...seen);
    return result;
  }
}

/** The file holds less than this process has seen in it before. */
class OlderContent extends Error {
  override readonly name = "OlderContent";
}

/**
 * Creates the lease database of a new fleet. Only here is a store `pristine`: a shard without a lease
 * has then never had an owner. Appears in one step or not at all; throws when the file exists.
 */
export function createPristine(path: string): void {
  try {
    publishDatabase(path, "new", (building) => {
      const create = (db: DatabaseSync, home: string) => createLeaseSchema(db, home, true);
      buildDatabase(building, { ...FORMAT, create });
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    throw new Error(
      `${path} exists: this fleet was created before. Remove the fleet first, or keep its leases`,
      { cause: error },
    );
  }
  const directory = openSync(dirname(path), "r");
  fsyncSync(directory);
  closeSync(directory);
}
