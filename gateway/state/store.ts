import type { NodeId, ShardId } from "../contract.ts";

/** Who last had a shard's state directory, written into it before anything starts on it. */
export interface StateMarker {
  fleet: string;
  shard: ShardId;
  node: NodeId;
  incarnation: string;
  epoch: number;
  bootId: string;
  /** How to find and end what that owner started: the cage's name as the keeper gave it. */
  cage: string | null;
  /** True once the owner stopped cleanly and everything was on disk. */
  final: boolean;
}

/**
 * The state directory of a shard, and what is known of its history. Contract suite:
 * test/contracts/state-store.ts.
 */
export interface StateStore {
  readonly kind: string;
  /** Highest epoch this store ever saw for the shard; 0 when it never saw one. */
  highestEpoch(shard: ShardId): Promise<number>;
  marker(shard: ShardId): Promise<StateMarker | null>;
  /**
   * Makes the newest state of the shard available here under a new epoch and returns its directory.
   * Refuses an epoch at or below the highest seen, and a directory that is another fleet's or shard's.
   */
  open(marker: Omit<StateMarker, "final">): Promise<{ stateDir: string; position: string | null }>;
  /** Records the cage of a running epoch. */
  setCage(shard: ShardId, epoch: number, cage: string): Promise<void>;
  /** Marks a clean end of an epoch; returns the last position. */
  finish(shard: ShardId, epoch: number): Promise<string | null>;
  /** Removes all state of a shard. Refuses while its marker is not final, unless forced. */
  remove(shard: ShardId, options?: { force?: boolean }): Promise<void>;
}

/** The directory holds something that is not this shard's state. Names both. */
export class ForeignState extends Error {
  override readonly name = "ForeignState";
}
