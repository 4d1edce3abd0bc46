import { HOLD } from "../contract.ts";

/** Pause between two released batches of a shard that has just become ready. */
export const BATCH_EVERY_MS = 250;
/** Longest pause before an owner that could not be reached is tried again unasked. */
export const MAX_DOUBT_MS = 1_000;
const FIRST_DOUBT_MS = 50;

/** A request in line. Lower `seq` came first; a request keeps its number when it comes back. */
export interface Held {
  readonly seq: number;
  /** Requests of one session keep their order; null: belongs to none. */
  readonly session: string | null;
  readonly bytes: number;
  /** Milliseconds on the queue's clock after which it is given up. */
  readonly deadline: number;
}

export interface HoldLimits {
  maxRequests: number;
  maxBytes: number;
  firstBatch: number;
}

/**
 * The line before one shard. Pure: time comes in as an argument, effects go out as return values.
 *
 * open: the shard serves and nobody waits, everything passes.
 * closed: no owner, or one in doubt; everything waits.
 * releasing: the shard serves again; batches leave, 8 at first, then double, until the line is empty.
 */
export class HoldQueue<T extends Held> {
  readonly #limits: HoldLimits;
  readonly #waiting: T[] = [];
  /** Sessions with a request that was released and has not reached its gateway yet. */
  readonly #leaving = new Map<string, number>();
  #bytes = 0;
  #serving: boolean;
  #batch: number;
  #nextBatchAt = Number.NEGATIVE_INFINITY;
  #doubtUntil = Number.NEGATIVE_INFINITY;
  #doubts = 0;

  constructor(serving: boolean, limits: Partial<HoldLimits> = {}) {
    this.#serving = serving;
    this.#limits = { ...HOLD, ...limits };
    this.#batch = this.#limits.firstBatch;
  }

  get size(): number {
    return this.#waiting.length;
  }

  /** `pass`: go on now. `held`: wait until it is returned by `release` or `expire`. */
  enter(item: T, now: number): "pass" | "held" | "full" {
    const behindOwn = item.session !== null && this.#leaving.has(item.session);
    if (this.#open(now) && this.#waiting.length === 0 && !behindOwn) return "pass";
    if (
      this.#waiting.length >= this.#limits.maxRequests ||
      this.#bytes + item.bytes > this.#limits.maxBytes
    ) {
      return "full";
    }
    this.#insert(item);
    return "held";
  }

  /** It was let go, could not be delivered, and wants its old place; never refused. */
  again(item: T): void {
    this.arrived(item);
    this.#insert(item);
  }

  /** It reached its gateway, or is over: the next of its session may follow. */
  arrived(item: T): void {
    if (item.session === null) return;
    if (this.#leaving.get(item.session) === item.seq) this.#leaving.delete(item.session);
  }

  /** The owner answered: doubts are forgotten. */
  trust(): void {
    this.#doubts = 0;
    this.#doubtUntil = Number.NEGATIVE_INFINITY;
  }

  /** The owner could not be reached: hold everything for a moment, longer each time. */
  doubt(now: number, forMs = 0): void {
    const pause = Math.min(MAX_DOUBT_MS, FIRST_DOUBT_MS * 2 ** Math.min(this.#doubts, 10));
    this.#doubts += 1;
    this.#doubtUntil = Math.max(
      this.#doubtUntil,
      now + Math.max(pause, Math.min(forMs, MAX_DOUBT_MS)),
    );
    this.#batch = this.#limits.firstBatch;
  }

  /** The route changed: what was in doubt is looked at anew. */
  setServing(serving: boolean, now: number): void {
    this.#doubtUntil = Number.NEGATIVE_INFINITY;
    if (serving && !this.#serving) {
      this.#batch = this.#limits.firstBatch;
      this.#nextBatchAt = now;
    }
    this.#serving = serving;
  }

  /** Requests that may go now, first come first. */
  release(now: number): T[] {
    if (this.#waiting.length === 0 || !this.#open(now) || now < this.#nextBatchAt) return [];
    const released: T[] = [];
    for (let index = 0; index < this.#waiting.length && released.length < this.#batch; ) {
      const item = this.#waiting[index] as T;
      if (item.session !== null && this.#leaving.has(item.session)) {
        index += 1;
        continue;
      }
      this.#waiting.splice(index, 1);
      this.#bytes -= item.bytes;
      this.#leave(item);
      released.push(item);
    }
    if (released.length === 0) return released;
    if (this.#waiting.length === 0) {
      this.#batch = this.#limits.firstBatch;
      this.#nextBatchAt = Number.NEGATIVE_INFINITY;
    } else {
      this.#batch *= 2;
      this.#nextBatchAt = now + BATCH_EVERY_MS;
    }
    return released;
  }

  /** Removes and returns what waited too long. */
  expire(now: number): T[] {
    return this.#drop((item) => item.deadline <= now);
  }

  /** Removes one whose client left; false when it was not waiting. */
  remove(item: T): boolean {
    return this.#drop((other) => other === item).length > 0;
  }

  /** Removes everything: the shard was given up. */
  clear(): T[] {
    return this.#drop(() => true);
  }

  /** When `release` or `expire` will have something to do by time alone; null when never. */
  nextWake(now: number): number | null {
    if (this.#waiting.length === 0) return null;
    let wake = Math.min(...this.#waiting.map((item) => item.deadline));
    if (this.#serving) {
      const free = this.#waiting.some(
        (item) => item.session === null || !this.#leaving.has(item.session),
      );
      if (free) wake = Math.min(wake, Math.max(this.#nextBatchAt, this.#doubtUntil, now));
    }
    return wake;
  }

  #open(now: number): boolean {
    return this.#serving && now >= this.#doubtUntil;
  }

  #leave(item: T): void {
    if (item.session !== null) this.#leaving.set(item.session, item.seq);
  }

  #insert(item: T): void {
    let index = this.#waiting.length;
    while (index > 0 && (this.#waiting[index - 1] as T).seq > item.seq) index -= 1;
    this.#waiting.splice(index, 0, item);
    this.#bytes += item.bytes;
  }

  #drop(which: (item: T) => boolean): T[] {
    const dropped: T[] = [];
    for (let index = this.#waiting.length - 1; index >= 0; index -= 1) {
      const item = this.#waiting[index] as T;
      if (!which(item)) continue;
      this.#waiting.splice(index, 1);
      this.#bytes -= item.bytes;
      dropped.unshift(item);
    }
    return dropped;
  }
}
