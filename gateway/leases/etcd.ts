import { bootClock, type Clock } from "../clock.ts";
import type { StoresConfig } from "../config.ts";
import { LEASE } from "../contract.ts";
import { StoresFile } from "../stores-file.ts";
import { EtcdClient } from "./etcd-client.ts";
import { Keys, type Row, readHistory, type StoredLease, storeIdOf, viewOf } from "./etcd-rows.ts";
import { type Decision, EtcdTransactions } from "./etcd-transactions.ts";
import { encode, type Operation, put, type RangeResponse, under } from "./etcd-wire.ts";
import { judgeHeld, mayAcquire } from "./rules.ts";
import type { StoreLog } from "./sqlite-file.ts";
import { HISTORY_LIMIT } from "./sqlite-rows.ts";
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
import type { EtcdLeaseStoreOptions } from "./thread-protocol.ts";

export interface EtcdStoreParts extends Omit<EtcdLeaseStoreOptions, "kind"> {
  log?: StoreLog;
  /** The clock of `HeldLease.until`. @default bootClock */
  clock?: Clock;
  /** Longest wait, per operation. @default LEASE.renewTimeoutMs */
  timeoutMs?: number;
  /** How often the certificates' files, and the one with the endpoints, are looked at, ms. @default 10000 */
  lookEveryMs?: number;
}

/**
 * Leases in etcd. Each operation is one transaction that compares the rows it was decided on (by their
 * revisions, which never come back) and the key that says which store this is, and brings back everything
 * anew. It is decided on what the last answer said: a renewal that nobody interfered with is one round trip.
 *
 * Every write carries a random id. A request may be carried out although its answer was lost, and members
 * are asked side by side when one is slow; who then finds their own id in the rows knows that it was done.
 */
export class EtcdLeaseStore implements LeaseStore {
  readonly kind = "etcd";
  readonly #client: EtcdClient;
  readonly #keys: Keys;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #transactions: EtcdTransactions;
  readonly #stores: StoresFile | null;

  constructor(parts: EtcdStoreParts) {
    const { endpoints, tls, lookEveryMs } = parts;
    const warn = (message: string) => (parts.log ?? console).warn(message);
    this.#clock = parts.clock ?? bootClock;
    this.#timeoutMs = parts.timeoutMs ?? LEASE.renewTimeoutMs;
    this.#keys = new Keys(parts.prefix);
    this.#client = new EtcdClient({
      endpoints,
      tls,
      ...(lookEveryMs === undefined ? {} : { lookEveryMs }),
      warn,
    });
    this.#transactions = new EtcdTransactions(this.#client, this.#keys, this.#timeoutMs, warn);
    this.#stores =
      parts.follow === undefined
        ? null
        : new StoresFile(parts.follow, { warn, ...(lookEveryMs ? { everyMs: lookEveryMs } : {}) });
    const follow = ({ etcd }: StoresConfig) => etcd && this.#client.useEndpoints(etcd);
    // A store that is opened again is given the endpoints of the process's start.
    if (this.#stores) follow(this.#stores.current);
    this.#stores?.watch(follow);
  }

  async read(): Promise<StoreView> {
    return viewOf(await this.#transactions.read());
  }

  async renew({ node, held }: Renewal): Promise<RenewalResult> {
    const caller = { node: node.id, incarnation: node.incarnation };
    return this.#transactions.change<RenewalResult>((state, op) => {
      const result = { kept: [] as string[], lost: [] as string[] };
      const looked: [string, string][] = [];
      const writes: Operation[] = [];
      for (const lease of held) {
        const row = state.leases.get(lease.shard);
        const key = this.#keys.lease(lease.shard);
        looked.push([key, row?.modRevision ?? "0"]);
        const verdict = judgeHeld(row?.value, lease, caller, this.#clock.now(), storeIdOf(state));
        if (verdict === "lost") {
          result.lost.push(lease.shard);
          continue;
        }
        result.kept.push(lease.shard);
        const value: StoredLease = {
          owner: node.id,
          incarnation: node.incarnation,
          epoch: lease.epoch,
          release: lease.release ?? (verdict === "kept" && row ? row.value.release : node.release),
          position: lease.position,
          bootId: node.bootId,
          handTo: null,
          reason: null,
        };
        writes.push(put(key, { value, op }));
      }
      writes.push(put(this.#keys.node(node.id), { value: node, op }));
      return {
        looked,
        writes,
        done: (after) =>
          after.nodes.get(node.id)?.op === op &&
          result.kept.every((shard) => after.leases.get(shard)?.op === op),
        answer: (after) => ({ ...result, view: viewOf(after) }),
      };
    });
  }

  async acquire(request: AcquireRequest): Promise<Lease | null> {
    const { shard } = request;
    return this.#transactions.change<Lease | null>((state, op) => {
      const row = state.leases.get(shard);
      if (!mayAcquire(row?.value, request, storeIdOf(state))) return { answer: null };
      return this.#putLease(row, shard, op, {
        owner: request.node,
        incarnation: request.incarnation,
        epoch: request.epoch,
        release: request.release,
        position: row?.value.position ?? null,
        bootId: request.bootId,
        handTo: null,
        reason: null,
      });
    });
  }

  async release(request: ReleaseRequest): Promise<boolean> {
    const { shard, node, incarnation, epoch, position, handTo, reason } = request;
    const released = await this.#transactions.change<Lease | null>((state, op) => {
      const row = state.leases.get(shard);
      const lease = row?.value;
      if (lease?.owner !== node || lease.incarnation !== incarnation || lease.epoch !== epoch) {
        return { answer: null };
      }
      const nobody = { owner: null, incarnation: null, bootId: null };
      const { release } = lease;
      return this.#putLease(row, shard, op, {
        ...nobody,
        epoch,
        release,
        position,
        handTo,
        reason,
      });
    });
    return released !== null;
  }

  async setPin(shard: string, node: string | null): Promise<void> {
    const key = this.#keys.pin(shard);
    await this.#transactions.change((_, op) =>
      blind(node === null ? remove(key) : put(key, { value: node, op })),
    );
  }

  async setMaintenance(node: string, on: boolean): Promise<void> {
    const key = this.#keys.maintenance(node);
    await this.#transactions.change<undefined>((state, op) => {
      if (!on) return blind(remove(key));
      if (state.maintenance.has(node)) return { answer: undefined };
      return {
        looked: [[key, "0"]],
        writes: [put(key, { value: { since: new Date().toISOString() }, op })],
        done: (after) => after.maintenance.get(node)?.op === op,
        answer: () => undefined,
      };
    });
  }

  async forgetNode(node: string): Promise<void> {
    await this.#transactions.change((state) => {
      const pins = [...state.pins].filter(([, { value }]) => value === node);
      const keys = pins.map(([shard, row]): [string, string] => [
        this.#keys.pin(shard),
        row.modRevision,
      ]);
      const all = [
        this.#keys.node(node),
        this.#keys.maintenance(node),
        ...keys.map(([key]) => key),
      ];
      return { ...blind(...all.map(remove)), looked: keys };
    }, "now");
  }

  async appendHistory(entries: HistoryEntry[]): Promise<void> {
    const newest = entries.slice(-HISTORY_LIMIT);
    if (newest.length === 0) return;
    await this.#transactions.change((state, op) => {
      const first = state.history.value;
      const count = first + newest.length;
      return {
        looked: [[this.#keys.historyCount, state.history.modRevision]],
        writes: [
          {
            request_put: {
              key: encode(this.#keys.entries(first)),
              value: encode(JSON.stringify(newest)),
            },
          },
          put(this.#keys.historyCount, { value: count, op }),
          // One key holds at most a limit's worth: what begins two limits ago ended one limit ago.
          ...(count > 2 * HISTORY_LIMIT
            ? [
                {
                  request_delete_range: {
                    key: encode(this.#keys.history),
                    range_end: encode(this.#keys.entries(count - 2 * HISTORY_LIMIT)),
                  },
                },
              ]
            : []),
        ],
        done: (after) => after.history.op === op,
        answer: () => undefined,
      };
    });
  }

  async history(limit: number): Promise<HistoryEntry[]> {
    const wanted = Math.min(limit, HISTORY_LIMIT);
    if (wanted <= 0) return [];
    const response = await this.#client.call<RangeResponse>(
      "/v3/kv/range",
      {
        ...under(this.#keys.history),
        limit: String(wanted),
        sort_order: "DESCEND",
        sort_target: "KEY",
      },
      this.#timeoutMs,
    );
    const batches = readHistory(this.#keys, response);
    return batches.flatMap(({ entries }) => entries).slice(-wanted);
  }

  /**
   * Makes a store, by default that of a new fleet: only then is it `pristine`, and a shard without a lease has
   * never had an owner. False when there is one already.
   */
  async create(pristine = true): Promise<boolean> {
    return this.#transactions.create(pristine);
  }

  async close(): Promise<void> {
    this.#stores?.close();
    this.#client.close();
  }

  #putLease(
    row: Row<Lease> | undefined,
    shard: string,
    op: string,
    value: StoredLease,
  ): Decision<Lease | null> {
    const key = this.#keys.lease(shard);
    return {
      looked: [[key, row?.modRevision ?? "0"]],
      writes: [put(key, { value, op })],
      done: (after) => after.leases.get(shard)?.op === op,
      answer: (after) => after.leases.get(shard)?.value ?? null,
    };
  }
}

const remove = (key: string): Operation => ({ request_delete_range: { key: encode(key) } });

/** Writes that are right whatever stands there, and may be repeated. */
const blind = (...writes: Operation[]): Exclude<Decision<undefined>, { answer: undefined }> => ({
  looked: [],
  writes,
  done: () => false,
  answer: () => undefined,
});
