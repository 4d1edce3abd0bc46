import fc from "fast-check";
import { expect, test } from "vitest";
import { share } from "./share.ts";

test("a share is the same all day, moves on each day, and in time holds everything", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 9 }), (count, size) => {
      const all = Array.from({ length: count }, (_, i) => i);
      expect(share(all, size, 7, false)).toEqual(share(all, size, 7, false));
      const days = Array.from({ length: count }, (_, day) => share(all, size, day, false)).flat();
      expect(new Set(days).size).toBe(count);
    }),
  );
});

test("a full run takes all", () => {
  expect(share([1, 2, 3], 1, 0, true)).toEqual([1, 2, 3]);
});
