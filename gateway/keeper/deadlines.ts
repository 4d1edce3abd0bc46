import type { ShardId } from "../contract.ts";

/** Until when each running epoch may go on. Pure: the time is always an argument. */
export class Deadlines {
  /** How far ahead of now a deadline may be set, milliseconds. */
  readonly #maxAheadMs: number;
  readonly #held = new Map<ShardId, { epoch: number; deadline: number }>();

  /** @param maxAheadMs longest hold of a lease; a later deadline cannot be right and is cut to it */
  constructor(maxAheadMs: number) {
    this.#maxAheadMs = maxAheadMs;
  }

  get size(): number {
    return this.#held.size;
  }

  /** False, and nothing is held, when the deadline has already passed. */
  hold(shard: ShardId, epoch: number, deadline: number, now: number): boolean {
    const cut = Math.min(deadline, now + this.#maxAheadMs);
    // Written so that a deadline that is no number is refused.
    if (!(cut > now)) return false;
    this.#held.set(shard, { epoch, deadline: cut });
    return true;
  }

  /** Later deadlines of the same epoch count; one that has passed is never extended again. */
  extend(shards: Record<ShardId, number>, deadline: number, now: number): void {
    const cut = Math.min(deadline, now + this.#maxAheadMs);
    for (const [shard, epoch] of Object.entries(shards)) {
      const held = this.#held.get(shard);
      if (!held || held.epoch !== epoch || held.deadline <= now) continue;
      if (cut > held.deadline) held.deadline = cut;
    }
  }

  drop(shard: ShardId, epoch: number): void {
    if (this.#held.get(shard)?.epoch === epoch) this.#held.delete(shard);
  }

  /** Takes out what has passed. */
  takeExpired(now: number): { shard: ShardId; epoch: number; deadline: number }[] {
    const expired = [];
    for (const [shard, { epoch, deadline }] of this.#held) {
      if (deadline <= now) expired.push({ shard, epoch, deadline });
    }
    for (const { shard } of expired) this.#held.delete(shard);
    return expired;
  }

  /** The earliest deadline, null when nothing is held. */
  next(): number | null {
    let next: number | null = null;
    for (const { deadline } of this.#held.values()) {
      if (next === null || deadline < next) next = deadline;
    }
    return next;
  }
}
