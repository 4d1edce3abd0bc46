import type { ShardId } from "../contract.ts";
import type {
  AcquireRequest,
  HistoryEntry,
  NodeRecord,
  ReleaseRequest,
  Renewal,
  StoreView,
} from "./store.ts";

/** Which lease store, as plain data: it crosses into a thread. */
export type LeaseStoreOptions = { kind: "sqlite"; path: string } | EtcdLeaseStoreOptions;

/** Leases in etcd, for nodes on several machines. Contents of the named files are read on each change. */
export interface EtcdLeaseStoreOptions {
  kind: "etcd";
  /** Client URLs of all members, `https://address:2379`; the nearest first. At least one. */
  endpoints: string[];
  /** A `stores.json` whose `etcd` replaces them while it runs. @default they stay */
  follow?: string;
  /** Paths of PEM files: the authority of both sides, and this client's certificate and key. Null: plain HTTP. */
  tls: { ca: string; cert: string; key: string } | null;
  /** Keys of this fleet begin with it: `/openclaw-fleet/<fleet>`. Without a slash at the end. */
  prefix: string;
}

export interface LeaseTimings {
  /** @default LEASE.renewEveryMs */
  renewEveryMs: number;
  /** @default LEASE.renewTimeoutMs */
  renewTimeoutMs: number;
  /** @default LEASE.holdMs */
  holdMs: number;
  /** Pause before the next try after a renewal failed. @default 500 */
  retryEveryMs: number;
  /** Pause between two looks at the store between renewals. @default 500 */
  viewEveryMs: number;
  /** A main thread silent for this long is hung: no more renewals. @default 10000 */
  mainSilenceMs: number;
}

/** What the lease thread is started with. */
export interface LeaseThreadData {
  store: LeaseStoreOptions;
  deadlines: SharedArrayBuffer;
  /** The keeper's pipe; null when there is none. */
  extendFd: number | null;
  timings: LeaseTimings;
}

/** What the node says of itself; the store counts the beat. */
export type NodeReport = Omit<NodeRecord, "beat">;

export interface HeldSlot {
  shard: ShardId;
  epoch: number;
  position: string | null;
  release?: string;
  slot: number;
  grant: number;
  /** Store in which it was acquired. */
  storeId: string | undefined;
}

/** Calls that the lease thread answers, by name: arguments and result. */
export interface LeaseCalls {
  read: { args: []; result: StoreView };
  acquire: {
    args: [AcquireRequest];
    result: { lease: import("./store.ts").Lease | null; sentAt: number };
  };
  release: { args: [ReleaseRequest]; result: boolean };
  setPin: { args: [ShardId, string | null]; result: undefined };
  setMaintenance: { args: [string, boolean]; result: undefined };
  forgetNode: { args: [string]; result: undefined };
  appendHistory: { args: [HistoryEntry[]]; result: undefined };
  history: { args: [number]; result: HistoryEntry[] };
}

export type ToThread =
  | { type: "held"; held: HeldSlot[] }
  | { type: "report"; report: NodeReport }
  | { type: "call"; id: number; call: keyof LeaseCalls; args: unknown[] }
  | { type: "stop" };

export type FromThread =
  | {
      type: "renewed";
      sentAt: number;
      /** Exactly what the renewal had sent. */
      held: Renewal["held"];
      kept: ShardId[];
      lost: ShardId[];
      view: StoreView;
    }
  | { type: "view"; view: StoreView }
  /** A renewal or a look at the store failed. */
  | { type: "unavailable"; message: string }
  /** The keeper's end of the pipe is closed, or it does not read: nothing is extended any more. */
  | { type: "keeper-lost"; message: string }
  | { type: "log"; level: "warn" | "error"; message: string }
  | { type: "answer"; id: number; value: unknown }
  | { type: "fault"; id: number; unavailable: boolean; message: string };
