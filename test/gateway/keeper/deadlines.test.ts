import fc from "fast-check";
import { expect, test } from "vitest";
import { Deadlines } from "../../../gateway/keeper/deadlines.ts";

test("a deadline holds until it passes, then it is taken once", () => {
  const deadlines = new Deadlines(7_000);
  expect(deadlines.hold("s1", 1, 500, 0)).toBe(true);
  expect(deadlines.takeExpired(499)).toEqual([]);
  expect(deadlines.takeExpired(500)).toEqual([{ shard: "s1", epoch: 1, deadline: 500 }]);
  expect(deadlines.takeExpired(501)).toEqual([]);
  expect(deadlines.next()).toBeNull();
});

test.each([0, -1, Number.NaN])("a deadline of %d is refused", (deadline) => {
  const deadlines = new Deadlines(7_000);
  expect(deadlines.hold("s1", 1, deadline, 0)).toBe(false);
  expect(deadlines.size).toBe(0);
});

test("no deadline is further away than a lease can hold", () => {
  const deadlines = new Deadlines(7_000);
  deadlines.hold("s1", 1, Number.POSITIVE_INFINITY, 0);
  expect(deadlines.next()).toBe(7_000);
  deadlines.extend({ s1: 1 }, 1e12, 1_000);
  expect(deadlines.next()).toBe(8_000);
});

test("only the same epoch is extended, only later, never after it passed", () => {
  const deadlines = new Deadlines(7_000);
  deadlines.hold("s1", 1, 1_000, 0);
  deadlines.extend({ s1: 2, s2: 1 }, 5_000, 0);
  expect(deadlines.next()).toBe(1_000);
  deadlines.extend({ s1: 1 }, 500, 0);
  expect(deadlines.next()).toBe(1_000);
  deadlines.extend({ s1: 1 }, Number.NaN, 0);
  expect(deadlines.next()).toBe(1_000);
  deadlines.extend({ s1: 1 }, 2_000, 1_000);
  expect(deadlines.next()).toBe(1_000);
});

test("law: nothing outlives its last good extension", () => {
  const step = fc.record({
    wait: fc.integer({ min: 0, max: 4_000 }),
    extend: fc.boolean(),
    ahead: fc.integer({ min: -2_000, max: 20_000 }),
    epoch: fc.integer({ min: 1, max: 2 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const deadlines = new Deadlines(7_000);
      let now = 0;
      let until = 3_000;
      deadlines.hold("s1", 1, until, now);
      for (const { wait, extend, ahead, epoch } of steps) {
        now += wait;
        if (extend) {
          if (epoch === 1 && now < until)
            until = Math.max(until, Math.min(now + ahead, now + 7_000));
          deadlines.extend({ s1: epoch }, now + ahead, now);
        }
        const expired = deadlines.takeExpired(now).length > 0;
        expect(expired).toBe(now >= until);
        if (expired) return;
      }
    }),
  );
});
