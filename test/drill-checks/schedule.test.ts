import fc from "fast-check";
import { expect, test } from "vitest";
import { FAULT_NAMES } from "../drill/fault-names.ts";
import { type Planned, schedule } from "../drill/schedule.ts";

const take = (seed: number, count: number, nodes = 2) => {
  const faults = schedule(seed, FAULT_NAMES, nodes);
  return Array.from({ length: count }, () => faults.next().value as Planned);
};

test("a seed repeats its schedule, and another seed gives another", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 31 }), (seed) => {
      expect(take(seed, 40)).toEqual(take(seed, 40));
      expect(take(seed, 40)).not.toEqual(take(seed + 1, 40));
    }),
    { numRuns: 30 },
  );
});

test("every fault comes once before any comes again", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 31 }), (seed) => {
      const names = take(seed, FAULT_NAMES.length).map((planned) => planned.name);
      expect([...names].sort()).toEqual([...FAULT_NAMES].sort());
    }),
  );
});

test("a fleet of one node is spared what needs a second one", () => {
  const names = new Set(take(3, 100, 1).map((planned) => planned.name));
  expect(names.has("kill-node")).toBe(false);
  expect(names.has("kill-gateway")).toBe(true);
});
