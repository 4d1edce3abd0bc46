/** An object of a target, as a listing shows it. */
export interface StoredObject {
  key: string;
  bytes: number;
  /** When the target stored it, milliseconds since 1970 by its own clock; for collecting only. */
  storedAtMs: number;
}

/**
 * Where the replica of one shard is kept: a flat set of objects that are written once. Contract suite:
 * test/contracts/replica-target.ts. In words:
 *
 * 1. An object is there whole or not at all. Nobody ever sees a part of one, whatever dies when.
 * 2. A key is written once: a second put is `exists` and changes nothing.
 * 3. What put reported as stored, get and list show from then on, to every client, also after a power cut.
 * 4. Writes carry the writer's epoch. A target that can remember refuses, with {@link StaleEpoch}, every
 *    write that begins after it was shown a later one (`refusesOldEpochs`). One that cannot is safe as
 *    well: what is written after a seal is never read.
 * 5. What cannot be reached throws {@link TargetUnavailable}; whether a write happened is then unknown,
 *    and it may still happen later.
 *
 * Keys are of lower-case letters, digits, `.`, `_`, `-` and `/`, at most 200 characters.
 */
export interface ReplicaTarget {
  /** For people: what it is and where. */
  readonly name: string;
  readonly refusesOldEpochs: boolean;
  put(key: string, bytes: Uint8Array, epoch: number): Promise<"stored" | "exists">;
  /** Null: there is no such object. */
  get(key: string): Promise<Buffer | null>;
  /** All objects whose key begins with `prefix`, which ends in `/` or is empty, in no order. */
  list(prefix: string): Promise<StoredObject[]>;
  /** For collecting only. What is not there counts as removed. */
  remove(keys: readonly string[], epoch: number): Promise<void>;
}

/** A later owner has shown its epoch to the target; the writer has been replaced. */
export class StaleEpoch extends Error {
  override readonly name = "StaleEpoch";
  readonly highest: number;
  constructor(target: string, epoch: number, highest: number) {
    super(`${target} takes no writes of epoch ${epoch}: it was shown epoch ${highest}`);
    this.highest = highest;
  }
}

/** The target did not answer, or not with sense. */
export class TargetUnavailable extends Error {
  override readonly name = "TargetUnavailable";
}
