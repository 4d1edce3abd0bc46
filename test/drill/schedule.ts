import { type FaultName, factsOf } from "./fault-names.ts";
import { seeded } from "./random.ts";

/** One fault to come. What it hits is drawn in advance, so that a seed repeats it. */
export interface Planned {
  n: number;
  name: FaultName;
  /** In [0, 1): picks the victim among those that are there when the fault comes. */
  victim: number;
  /** In [0, 1): how long a fault that lasts does last, between its bounds. */
  length: number;
  /** Quiet time before it, ms. */
  restMs: number;
}

/** Turns of minutes meet faults at any moment; a short rest keeps most of the time under fault. */
const REST_MS = { least: 2_000, most: 8_000 };

/**
 * Every fault once in random order, then again, without an end. Faults that need a second node are
 * left out of a fleet of one. Pure: the same seed gives the same schedule.
 */
export function* schedule(
  seed: number,
  names: readonly FaultName[],
  nodes: number,
): Generator<Planned> {
  const random = seeded(seed).fork("schedule");
  const possible = names.filter((name) => nodes >= factsOf(name).leastNodes);
  if (possible.length === 0) return;
  for (let n = 1; ; ) {
    for (const name of random.shuffle(possible)) {
      yield {
        n: n++,
        name,
        victim: random.next(),
        length: random.next(),
        restMs: random.between(REST_MS.least, REST_MS.most),
      };
    }
  }
}

export function pickBy<T>(items: readonly T[], share: number): T {
  const item = items[Math.min(items.length - 1, Math.floor(share * items.length))];
  if (item === undefined) throw new RangeError("there is nothing for this fault to hit");
  return item;
}

/** How long a planned fault lasts before it is healed, ms. */
export function holdOf(planned: Planned): number {
  const { least, most } = factsOf(planned.name).holdMs;
  return Math.round(least + planned.length * (most - least));
}
