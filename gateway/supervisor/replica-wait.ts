import type { Clock } from "../clock.ts";
import type { ShardId } from "../contract.ts";
import { isUnreplicated, type ReplicaPort } from "../replication/port.ts";

/** Pause between two looks at whether a replica has caught up, ms. */
const LOOK_EVERY_MS = 500;

/** Drains that wait until a shard's replica is current: only such a one can be handed over. */
export class ReplicaWait {
  readonly #replica: Pick<ReplicaPort, "condition"> | null;
  readonly #clock: Clock;
  /** How each is called off. */
  readonly #waiting = new Map<ShardId, () => void>();

  constructor(replica: Pick<ReplicaPort, "condition"> | null, clock: Clock) {
    this.#replica = replica;
    this.#clock = clock;
  }

  /** Whether the replica of a shard is not current; false where none is kept. */
  isBehind(shard: ShardId): boolean {
    const condition = this.#replica?.condition(shard);
    return condition != null && isUnreplicated(condition, this.#clock.now());
  }

  /** Calls back as soon as the replica is current, unless that is called off before. */
  whenCurrent(shard: ShardId, then: () => void): void {
    const timer = setInterval(() => {
      if (this.isBehind(shard)) return;
      this.callOff(shard);
      then();
    }, LOOK_EVERY_MS);
    this.#waiting.set(shard, () => clearInterval(timer));
  }

  callOff(shard: ShardId): void {
    this.#waiting.get(shard)?.();
    this.#waiting.delete(shard);
  }
}
