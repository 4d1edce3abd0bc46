import { expect, test } from "vitest";
import type { StoreView } from "../../../gateway/leases/store.ts";
import { waitForCompany } from "../../../gateway/node/company.ts";

/** What the store shows at each moment; null: it does not answer. */
async function waited(
  shows: (atMs: number) => Partial<StoreView> | null,
  expected: number | null,
  stopAt = Number.POSITIVE_INFINITY,
): Promise<number> {
  let now = 0;
  await waitForCompany({
    read: async () => {
      const view = shows(now);
      if (view === null) throw new Error("away");
      return { pristine: true, leases: {}, nodes: {}, ...view } as StoreView;
    },
    clock: { now: () => now },
    expected,
    stopping: () => now >= stopAt,
    pause: async (ms) => {
      now += ms;
    },
  });
  return now;
}
const nodes = (count: number) =>
  ({
    nodes: Object.fromEntries(Array.from({ length: count }, (_, n) => [`n${n}`, {}])),
  }) as unknown as Partial<StoreView>;

test("a fleet that ever had an owner is not waited for", async () => {
  expect(await waited(() => ({ ...nodes(1), pristine: false }), null)).toBe(0);
  const leases = { s1: {} } as never;
  expect(await waited(() => ({ ...nodes(1), leases }), 3)).toBe(0);
});

test("on one machine a second node is company, and two seconds are enough", async () => {
  expect(await waited(() => nodes(2), null)).toBe(0);
  expect(await waited(() => nodes(1), null)).toBe(2_000);
  expect(await waited(() => null, null)).toBe(2_000);
});

test("on several machines all nodes of the fleet are waited for, some minutes at most", async () => {
  expect(await waited((at) => nodes(at < 60_000 ? 2 : 3), 3)).toBe(60_000);
  expect(await waited(() => nodes(2), 3)).toBe(180_000);
  expect(await waited(() => nodes(1), 1)).toBe(0);
  // A store that nobody made for this fleet may be a new one all the same.
  expect(await waited(() => ({ ...nodes(2), pristine: false }), 3)).toBe(180_000);
});

test("the wait begins with the store's first answer, and ends when the node is to stop", async () => {
  expect(await waited((at) => (at < 600_000 ? null : nodes(2)), 3)).toBeGreaterThanOrEqual(779_750);
  expect(await waited(() => null, 3, 5_000)).toBe(5_000);
});
