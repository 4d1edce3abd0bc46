import type { Clock } from "../clock.ts";
import type { Timers } from "../shard/timers.ts";
import type { ReplicaTarget } from "./target.ts";

/** Room for what may be sent at once after a pause, seconds of the rate. */
const BURST_SECONDS = 1;

/** A share of a line that several targets send over: bytes are paid for before they are sent. */
export class Bandwidth {
  readonly #perSecond: number;
  readonly #clock: Clock;
  readonly #timers: Timers;
  #freeAt: number;

  /** @param perSecond Bytes. */
  constructor(perSecond: number, clock: Clock, timers: Timers) {
    this.#perSecond = perSecond;
    this.#clock = clock;
    this.#timers = timers;
    this.#freeAt = Number.NEGATIVE_INFINITY;
  }

  /** Resolves when so many bytes may go, in the order of asking. */
  pay(bytes: number): Promise<void> {
    const now = this.#clock.now();
    const from = Math.max(this.#freeAt, now - BURST_SECONDS * 1_000);
    this.#freeAt = from + (bytes / this.#perSecond) * 1_000;
    const waitMs = this.#freeAt - now;
    if (waitMs <= 0) return Promise.resolve();
    return new Promise((resolve) => this.#timers.after(waitMs, resolve));
  }
}

/** A target to which no more is sent than a bandwidth allows. What is read is not limited: a restore is urgent. */
export function limited(target: ReplicaTarget, bandwidth: Bandwidth): ReplicaTarget {
  return {
    name: target.name,
    refusesOldEpochs: target.refusesOldEpochs,
    async put(key, bytes, epoch) {
      await bandwidth.pay(bytes.length);
      return target.put(key, bytes, epoch);
    },
    get: (key) => target.get(key),
    list: (prefix) => target.list(prefix),
    remove: (keys, epoch) => target.remove(keys, epoch),
  };
}
