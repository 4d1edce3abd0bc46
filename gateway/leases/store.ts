import type { ChannelsReport, NodeId, ShardId } from "../contract.ts";

/** Who may run a shard. `owner` null: nobody does, and the next owner must use a higher epoch. */
export interface Lease {
  shard: ShardId;
  owner: NodeId | null;
  /** Random id of the owner's supervisor start. */
  incarnation: string | null;
  /** Fencing token; grows by one with each new owner, never falls. */
  epoch: number;
  /** Grows with each renewal. A watcher compares it, it is no time. */
  beat: number;
  /** The OpenClaw release the shard runs; a taker starts exactly that one. */
  release: string | null;
  /** Replication position last published by the owner; null on local state. */
  position: string | null;
  /** Boot of the machine the owner ran on. */
  bootId: string | null;
  /** On a released lease: the node it was handed to, which takes it at once. */
  handTo: NodeId | null;
  /** On a released lease: why it was given up, and by whom; for `history` and for failed shards. */
  reason: string | null;
}

/** What a node says of itself with each renewal. */
export interface NodeRecord {
  id: NodeId;
  incarnation: string;
  beat: number;
  bootId: string;
  /** Supervisor's pid and its start time (clock ticks since boot), to recognise it among reused pids. */
  pid: number;
  pidStart: string;
  keeperPid: number;
  keeperPidStart: string;
  /** `host:port` of its router for peers. */
  address: string;
  release: string;
  /** Per shard, what a person wants to see. Plain JSON, at most a few KiB. */
  shards: Record<ShardId, ShardReport>;
}

export interface ShardReport {
  state: string;
  /** True while requests may be brought to the node for this shard. */
  open: boolean;
  epoch: number;
  pid: number | null;
  startedAt: string | null;
  restarts: number;
  memoryBytes: number | null;
  reason: string | null;
  /** How its replica does; missing where it has none. */
  replica?: { lagMs: number; unreplicated: boolean };
  /** How its channels' bots do; missing where it has none, and before the first look at them. */
  channels?: ChannelsReport;
}

/** One event of the fleet's life, kept for `history` (the newest 1,000). */
export interface HistoryEntry {
  /** ISO 8601, for people only. */
  at: string;
  shard: ShardId | null;
  node: NodeId | null;
  event: string;
  detail: string;
}

/** Everything at one moment, from one transaction. */
export interface StoreView {
  /** Changes when the store is not the one seen before: recreated, swapped, restored. Watches start anew. */
  storeId: string;
  /**
   * True when this store was created as part of creating the fleet: a shard without a lease has then
   * never had an owner. False when it was recreated after a loss: an absent lease proves nothing, and a
   * taker must have watched the store for one TTL.
   */
  pristine: boolean;
  leases: Record<ShardId, Lease>;
  nodes: Record<NodeId, NodeRecord>;
  /** Pins set by `move`. */
  pins: Record<ShardId, NodeId>;
  /** Nodes asked to hold no shards. */
  maintenance: Record<NodeId, { since: string }>;
}

export interface Renewal {
  node: NodeRecord;
  /** Leases this node believes it holds. */
  held: HeldLease[];
}

export interface HeldLease {
  shard: ShardId;
  epoch: number;
  position: string | null;
  /** What the shard runs from now on. Missing: what the store says. */
  release?: string;
  /**
   * The caller's deadline for it on Clock.now(). Once it has passed, others may have taken the shard
   * in a store that has since been lost as well, so an absent or older row is then `lost` instead of
   * written anew. Missing: the caller vouches that it has not passed.
   */
  until?: number;
  /**
   * `storeId` of the store that last confirmed it. Past `until`, a row that looks like the caller's in
   * another store (an old copy) is no confirmation either. Missing: not compared.
   */
  storeId?: string;
}

export interface RenewalResult {
  /** Shards whose lease is still this incarnation's, beat moved. */
  kept: ShardId[];
  /** Shards that somebody holds under a later epoch, or under another name. */
  lost: ShardId[];
  view: StoreView;
}

/** Expected current state of a lease in a compare-and-set; null: no row at all. */
export type Expected = { epoch: number; beat: number; owner: NodeId | null } | null;

/**
 * Where ownership is decided. Every method is atomic and linearizable; none waits longer than
 * LEASE.renewTimeoutMs plus its own transport. Errors are `StoreUnavailable`; after one, nothing is
 * known about whether a write happened, and callers must treat it as not done for safety and as done
 * for liveness. Contract suite: test/contracts/lease-store.ts.
 */
export interface LeaseStore {
  readonly kind: string;
  read(): Promise<StoreView>;
  /**
   * Moves the beat of every held lease, and of the node (the store counts both; what the caller says
   * for `beat` is ignored). A lease that is absent, or stands at a lower epoch than the caller's, is
   * written anew while the caller's deadline has not passed (the store lost what the caller holds);
   * one that stands at a higher epoch, or at the same under another owner or incarnation, is `lost`.
   */
  renew(renewal: Renewal): Promise<RenewalResult>;
  /** Takes the lease if it is exactly as expected and `epoch` exceeds the stored one; else null. */
  acquire(request: {
    shard: ShardId;
    expected: Expected;
    node: NodeId;
    incarnation: string;
    bootId: string;
    epoch: number;
    release: string;
    /**
     * The store on which the decision to take was based. Another one answers null: what was watched
     * there says nothing about this one. Missing: not compared.
     */
    storeId?: string;
  }): Promise<Lease | null>;
  /** Gives the lease up if it is exactly this one. The epoch stays. Idempotent: a second call is false. */
  release(request: {
    shard: ShardId;
    node: NodeId;
    incarnation: string;
    epoch: number;
    position: string | null;
    handTo: NodeId | null;
    reason: string;
  }): Promise<boolean>;
  /** `node` null clears the pin (`move SHARD auto`). */
  setPin(shard: ShardId, node: NodeId | null): Promise<void>;
  setMaintenance(node: NodeId, on: boolean): Promise<void>;
  /** Forgets a node that was removed from the fleet. */
  forgetNode(node: NodeId): Promise<void>;
  appendHistory(entries: HistoryEntry[]): Promise<void>;
  history(limit: number): Promise<HistoryEntry[]>;
  close(): Promise<void>;
}

/** Arguments of {@link LeaseStore.acquire} and {@link LeaseStore.release}. */
export type AcquireRequest = Parameters<LeaseStore["acquire"]>[0];
export type ReleaseRequest = Parameters<LeaseStore["release"]>[0];

/** The store did not answer, or not in time. */
export class StoreUnavailable extends Error {
  override readonly name = "StoreUnavailable";
}
