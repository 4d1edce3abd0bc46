/** Seeded random numbers (mulberry32): the same seed gives the same schedule on every machine. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** 0 ≤ x < 1. */
  unit(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from `low` to `high`, both included. */
  int(low: number, high: number): number {
    return low + Math.floor(this.unit() * (high - low + 1));
  }

  chance(probability: number): boolean {
    return this.unit() < probability;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.int(0, items.length - 1)];
    if (item === undefined) throw new Error("nothing to pick from");
    return item;
  }
}

/** Something the scheduler runs or does not: a process or a thread. */
export class Proc {
  alive = true;
  /** How many pauses overlap. */
  #pauses = 0;
  /** What fell due while it was paused, in order. */
  readonly backlog: (() => void)[] = [];
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  get paused(): boolean {
    return this.#pauses > 0;
  }

  pause(): void {
    this.#pauses++;
  }

  /** Ends one pause; `all` ends every one. */
  resume(all = false): void {
    this.#pauses = all ? 0 : Math.max(0, this.#pauses - 1);
  }
}

interface Entry {
  at: number;
  order: number;
  run: () => void;
}

/** True time of the simulated world, and what happens when. A binary heap; ties in order of entry. */
export class Timeline {
  now = 0;
  #heap: Entry[] = [];
  #order = 0;

  /** Runs in `delay` ms whatever happens. */
  after(delay: number, run: () => void): void {
    this.#push({ at: this.now + Math.max(0, delay), order: this.#order++, run });
  }

  /** Runs on `proc`: not at all when it is dead by then, after its wake when it is paused. */
  on(proc: Proc, delay: number, run: () => void): void {
    this.after(delay, () => {
      if (!proc.alive) return;
      if (proc.paused) proc.backlog.push(run);
      else run();
    });
  }

  resume(proc: Proc, all = false): void {
    if (!proc.alive || !proc.paused) return;
    proc.resume(all);
    if (proc.paused) return;
    for (const run of proc.backlog.splice(0)) this.on(proc, 0, run);
  }

  runUntil(end: number): void {
    for (;;) {
      const next = this.#heap[0];
      if (!next || next.at > end) break;
      this.#pop();
      this.now = next.at;
      next.run();
    }
    this.now = end;
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let i = heap.length;
    heap.push(entry);
    while (i > 0) {
      const up = (i - 1) >> 1;
      const parent = heap[up] as Entry;
      if (!before(entry, parent)) break;
      heap[i] = parent;
      i = up;
    }
    heap[i] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Entry;
    if (heap.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      const right = heap[child + 1];
      if (right && before(right, heap[child] as Entry)) child++;
      const least = heap[child] as Entry;
      if (!before(least, last)) break;
      heap[i] = least;
      i = child;
    }
    heap[i] = last;
  }
}

function before(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
