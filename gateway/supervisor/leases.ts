import type { NodeId, ShardId } from "../contract.ts";
import type { AcquireRequest, HistoryEntry, Lease, ReleaseRequest } from "../leases/store.ts";

/** The part of the lease thread that the supervisor uses; `LeaseAgent` has it. */
export interface LeasePort {
  /** What is renewed now. */
  held(): { shard: ShardId; epoch: number }[];
  /** Ends a holding here and now; nothing is renewed or extended for it any more. */
  drop(shard: ShardId): void;
  /**
   * On success the lease is renewed from now on. With it comes when the request was sent: its
   * deadline counts from there.
   */
  acquire(request: AcquireRequest): Promise<{ lease: Lease; sentAt: number } | null>;
  /** Drops, then gives the lease up. */
  release(request: ReleaseRequest): Promise<boolean>;
  setPin(shard: ShardId, node: NodeId | null): Promise<void>;
  setMaintenance(node: NodeId, on: boolean): Promise<void>;
  appendHistory(entries: HistoryEntry[]): Promise<void>;
  history(limit: number): Promise<HistoryEntry[]>;
}
