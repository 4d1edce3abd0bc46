import type { ShardId } from "../contract.ts";
import type { StateMarker, StateStore } from "../state/store.ts";
import type { HistoryLost } from "./manifest.ts";

/** What an owner knows beside its marker when it restores a shard. */
export interface Known {
  /**
   * Epoch of the lease before its own; 0: there never was one. What was published goes before it: it names the
   * last epoch that may have served.
   */
  before: number;
  /** The lease's position before its own, as it stands there. */
  published: string | null;
  release: string;
}

export interface Opened {
  stateDir: string;
  position: string;
  from: "local" | "replica" | "nothing";
  /** Not null: answers that people got are missing. To be logged and counted as `history_lost`. */
  lost: HistoryLost | null;
  /** Bytes brought here. */
  bytes: number;
}

/** Which moment to go back to, and where it is kept. Plain data. */
export interface GoBack {
  /** `<directory>/<number>`: names it among all of the shard. */
  place: string;
  /** Host that keeps it; null: the fleet's one target. */
  site: string | null;
}

/** How the replica of a shard that is open here does. Plain data. */
export interface Condition {
  epoch: number;
  /** To be published with each renewal. */
  position: string;
  /** A manifest of the present epoch is in place. */
  replicated: boolean;
  /** The last step failed. */
  failing: boolean;
  /** Clock.now() since when something has not been replicated; null: the replica has everything. */
  behindSince: number | null;
}

/**
 * A {@link StateStore} with a replica elsewhere. `open` is `claim` and `restore` in one; a runner does them apart,
 * since a restore may take longer than a lease lasts:
 *
 * 1. with the lease: `claim`, quick, writes the epoch beside the state;
 * 2. when nothing of an older owner runs here any more: `restore`; until it returned, the position that the
 *    lease had is published on;
 * 3. `replicate` when OpenClaw has booted (its migrations end it where a reader is in their way); it
 *    serves when that has a manifest and a position with it is published, or after 5 s;
 * 4. healthy: `discardAside`;
 * 5. planned: gateway gone, then `finish`; its answer is published with the release. Otherwise `abandon`.
 */
export interface ReplicaPort extends StateStore {
  claim(marker: Omit<StateMarker, "final">): Promise<{ stateDir: string }>;
  /** Throws when the state cannot be had; what was here before is then untouched. */
  restore(shard: ShardId, epoch: number, known: Known): Promise<Opened>;
  replicate(shard: ShardId): void;
  /** Null: nothing is open here. */
  condition(shard: ShardId): Condition | null;
  abandon(shard: ShardId): Promise<void>;
  /** Puts an earlier moment in the place of the state, which becomes a moment itself first. Nothing may run on it. */
  goBack(shard: ShardId, epoch: number, where: GoBack): Promise<void>;
  /** The same with a copy of a directory. */
  adopt(shard: ShardId, epoch: number, directory: string): Promise<void>;
  /**
   * Brings the present state to the target, as a moment of its own, and looks at nothing until the next `replicate`;
   * what comes then is of `release`. Nothing may run on it. Throws when that failed; then it goes on as before.
   */
  hold(shard: ShardId, epoch: number, release: string): Promise<void>;
  /** Removes the states that a restore moved aside. Returns their number. */
  discardAside(shard: ShardId): Promise<number>;
}

/** Without a replica for this long a shard serves as `unreplicated`. */
export const UNREPLICATED_AFTER_MS = 5_000;

/** Milliseconds for which something has been waiting to be replicated. */
export function lagOf(condition: Condition, now: number): number {
  return condition.behindSince === null ? 0 : Math.max(0, now - condition.behindSince);
}

/** True while nothing could be replicated for too long: shown in status, counted, alerted. */
export function isUnreplicated(condition: Condition, now: number): boolean {
  if (lagOf(condition, now) < UNREPLICATED_AFTER_MS) return false;
  return condition.failing || !condition.replicated;
}
