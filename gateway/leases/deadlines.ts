/**
 * Memory that the main thread and the lease thread share: until when each held shard may serve, and
 * when the main thread last gave a sign of life. All times are Clock.now(), whole milliseconds.
 *
 * A slot belongs to one *grant*: a number that is never used again. What the lease thread does for an
 * earlier grant therefore cannot touch the next one, whichever shard has the slot by then.
 */
export class Deadlines {
  readonly buffer: SharedArrayBuffer;
  readonly #lock: Int32Array;
  readonly #words: BigInt64Array;

  /** Slots for this many shards on one node. */
  static readonly SLOTS = 1_024;

  constructor(buffer?: SharedArrayBuffer) {
    this.buffer = buffer ?? new SharedArrayBuffer(8 * (FIRST_SLOT + 2 * Deadlines.SLOTS));
    this.#lock = new Int32Array(this.buffer, 0, 1);
    this.#words = new BigInt64Array(this.buffer);
  }

  /** Main thread: it is alive. */
  signOfLife(now: number): void {
    this.#store(LIFE, now);
  }

  lastSignOfLife(): number {
    return this.#load(LIFE);
  }

  /** Lease thread: a renewal sent `holdMs` before this went well. */
  setStore(deadline: number): void {
    this.#store(STORE, deadline);
  }

  /** Past this, no renewal has gone well for the hold time. 0 before the first. */
  store(): number {
    return this.#load(STORE);
  }

  /** Main thread: gives a slot to a new grant. */
  grant(slot: number, grant: number, deadline: number): void {
    this.#store(at(slot) + 1, deadline);
    this.#store(at(slot), grant);
  }

  /** Main thread: ends the grant in a slot. See {@link barrier}. */
  revoke(slot: number): void {
    this.#store(at(slot), 0);
    this.#store(at(slot) + 1, 0);
  }

  granted(slot: number, grant: number): boolean {
    return this.#load(at(slot)) === grant;
  }

  /** 0 for a free slot and for a lost lease. */
  deadline(slot: number): number {
    return this.#load(at(slot) + 1);
  }

  /** Lease thread, inside {@link locked}. Deadlines only grow, except to 0 for a lost lease. */
  setDeadline(slot: number, grant: number, deadline: number): void {
    if (!this.granted(slot, grant)) return;
    if (deadline !== 0 && deadline <= this.deadline(slot)) return;
    this.#store(at(slot) + 1, deadline);
  }

  /** Lease thread: runs `work` so that {@link barrier} waits for its end. */
  locked<T>(work: () => T): T {
    Atomics.store(this.#lock, 0, 1);
    try {
      return work();
    } finally {
      Atomics.store(this.#lock, 0, 0);
      Atomics.notify(this.#lock, 0);
    }
  }

  /**
   * Main thread, after {@link revoke}: waits until an extension that may have been under way is
   * written, so that none follows. Bounded: a keeper that does not read its pipe must not hold the
   * main thread.
   */
  barrier(timeoutMs = 50): void {
    if (Atomics.load(this.#lock, 0) === 1) Atomics.wait(this.#lock, 0, 1, timeoutMs);
  }

  /** Main thread, when the lease thread is gone: it may have ended inside {@link locked}. */
  unlock(): void {
    Atomics.store(this.#lock, 0, 0);
  }

  #load(index: number): number {
    return Number(Atomics.load(this.#words, index));
  }

  #store(index: number, value: number): void {
    Atomics.store(this.#words, index, BigInt(Math.floor(value)));
  }
}

const LIFE = 1;
const STORE = 2;
const FIRST_SLOT = 3;
const at = (slot: number) => FIRST_SLOT + 2 * slot;
