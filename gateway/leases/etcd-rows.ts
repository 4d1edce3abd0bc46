import { decode, type KeyValue, type RangeResponse } from "./etcd-wire.ts";
import type { HistoryEntry, Lease, NodeRecord, StoreView } from "./store.ts";

/** Which store this is. */
export interface Meta {
  id: string;
  /** Made by the deployment together with the fleet. */
  pristine: boolean;
  /** Id of the cluster in which it was made. */
  home: string;
}

/** A stored lease; its beat is the count of writes to its key, which etcd keeps. */
export type StoredLease = Omit<Lease, "shard" | "beat">;

/** A value with the random id of the write that made it, to know one's own after a lost answer. */
export interface Written<T> {
  value: T;
  op: string;
}

export interface Row<T> {
  value: T;
  op: string;
  modRevision: string;
}

/** Everything but the history, at one revision. */
export interface State {
  revision: number;
  clusterId: string;
  meta: Meta | null;
  /** As stored, to compare with. */
  metaBytes: string;
  leases: Map<string, Row<Lease>>;
  nodes: Map<string, Row<NodeRecord>>;
  pins: Map<string, Row<string>>;
  maintenance: Map<string, Row<{ since: string }>>;
  /** Number of history entries ever written. */
  history: Row<number>;
}

/** Newest history entries in one key, and therefore kept beyond the limit at most. */
export const HISTORY_DIGITS = 15;

/** Names of a fleet's keys. */
export class Keys {
  readonly state: string;
  readonly meta: string;
  readonly historyCount: string;
  readonly history: string;
  constructor(prefix: string) {
    this.state = `${prefix}/state/`;
    this.meta = `${this.state}meta`;
    this.historyCount = `${this.state}history`;
    this.history = `${prefix}/history/`;
  }
  lease(shard: string): string {
    return `${this.state}leases/${shard}`;
  }
  node(id: string): string {
    return `${this.state}nodes/${id}`;
  }
  pin(shard: string): string {
    return `${this.state}pins/${shard}`;
  }
  maintenance(node: string): string {
    return `${this.state}maintenance/${node}`;
  }
  /** Entries from the `first`-ever on; sorted as numbers. */
  entries(first: number): string {
    return this.history + String(Math.max(0, first)).padStart(HISTORY_DIGITS, "0");
  }
}

/** What one range over {@link Keys.state} says. */
export function readState(keys: Keys, response: RangeResponse): State {
  const state: State = {
    revision: Number(response.header.revision ?? 0),
    clusterId: response.header.cluster_id ?? "",
    meta: null,
    metaBytes: "",
    leases: new Map(),
    nodes: new Map(),
    pins: new Map(),
    maintenance: new Map(),
    history: { value: 0, op: "", modRevision: "0" },
  };
  for (const kv of response.kvs ?? []) {
    const key = decode(kv.key);
    if (key === keys.meta) {
      state.meta = JSON.parse(decode(kv.value)) as Meta;
      state.metaBytes = kv.value ?? "";
    } else if (key === keys.historyCount) state.history = row<number>(kv);
    else place(state, key.slice(keys.state.length), kv);
  }
  return state;
}

function place(state: State, name: string, kv: KeyValue): void {
  const slash = name.indexOf("/");
  const id = name.slice(slash + 1);
  const beat = Number(kv.version ?? 0);
  switch (name.slice(0, slash)) {
    case "leases": {
      const { value, ...rest } = row<StoredLease>(kv);
      state.leases.set(id, { ...rest, value: { shard: id, ...value, beat } });
      return;
    }
    case "nodes": {
      const { value, ...rest } = row<NodeRecord>(kv);
      state.nodes.set(id, { ...rest, value: { ...value, beat } });
      return;
    }
    case "pins":
      state.pins.set(id, row<string>(kv));
      return;
    case "maintenance":
      state.maintenance.set(id, row<{ since: string }>(kv));
  }
}

function row<T>(kv: KeyValue): Row<T> {
  const { value, op } = JSON.parse(decode(kv.value)) as Written<T>;
  return { value, op, modRevision: kv.mod_revision ?? "0" };
}

/** Changes when the store is another one: its meta key was made anew, or it lives in another cluster. */
export function storeIdOf({ meta, clusterId }: State): string {
  return `${meta?.id ?? ""}/${clusterId}`;
}

export function viewOf(state: State): StoreView {
  const values = <T>(rows: Map<string, Row<T>>): Record<string, T> =>
    Object.fromEntries([...rows].map(([id, { value }]) => [id, value]));
  return {
    storeId: storeIdOf(state),
    // Restored into another cluster it knows nothing of the owners since.
    pristine: state.meta?.pristine === true && state.meta.home === state.clusterId,
    leases: values(state.leases),
    nodes: values(state.nodes),
    pins: values(state.pins),
    maintenance: values(state.maintenance),
  };
}

/** Entries of the given keys, oldest first, with how many were ever written before and with them. */
export function readHistory(
  keys: Keys,
  response: RangeResponse,
): { first: number; entries: HistoryEntry[] }[] {
  return (response.kvs ?? [])
    .map((kv) => ({
      first: Number(decode(kv.key).slice(keys.history.length)),
      entries: JSON.parse(decode(kv.value)) as HistoryEntry[],
    }))
    .sort((a, b) => a.first - b.first);
}
