import { expect, test } from "vitest";
import { LIFETIMES, lifetimeOf } from "../../components/lifetime.ts";

test("prod stays protected whatever keepData says", () => {
  for (const keep of [undefined, true, false]) {
    expect(lifetimeOf("prod", keep)).toEqual(LIFETIMES.prod);
  }
});

test("without keepData nothing outlives a stack that is not prod", () => {
  for (const keep of [undefined, false]) {
    expect(lifetimeOf("staging", keep)).toMatchObject({ forceDestroy: true, finalSnapshot: false });
  }
});

test("the first step out of prod lifts the protection and loses nothing", () => {
  const step = lifetimeOf("staging", true);
  expect(step).toMatchObject({ protect: false, deletionProtection: false });
  expect(step).toMatchObject({ finalSnapshot: true, forceDestroy: false });
  // Turning automatic backups off would delete them.
  expect(step.backupDays).toBe(LIFETIMES.prod.backupDays);
});
