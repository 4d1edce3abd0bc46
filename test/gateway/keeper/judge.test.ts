import { expect, test } from "vitest";
import { START_SECONDS } from "../../../components/node/unit.ts";
import { judge, SUPERVISOR_BOOT_MS } from "../../../gateway/keeper/supervisor-process.ts";

test.each([
  ["pings", { now: 60_000, lastPing: 59_500, pinged: true, passedAt: null }, null],
  [
    "silent, not long enough",
    { now: 69_999, lastPing: 60_000, pinged: true, passedAt: null },
    null,
  ],
  ["silent for 10 s", { now: 70_000, lastPing: 60_000, pinged: true, passedAt: null }, /10000 ms/],
  ["loads its code for long", { now: 89_999, lastPing: 0, pinged: false, passedAt: null }, null],
  ["never pinged", { now: 90_000, lastPing: 0, pinged: false, passedAt: null }, /90000 ms/],
  [
    "silent since before all deadlines passed",
    { now: 67_000, lastPing: 60_000, pinged: true, passedAt: 66_900 },
    /every deadline/,
  ],
  [
    "lost its store, but pings",
    { now: 67_000, lastPing: 66_950, pinged: true, passedAt: 66_900 },
    null,
  ],
  [
    "lost its store long ago, busy for 4 s",
    { now: 94_000, lastPing: 90_000, pinged: true, passedAt: 66_900 },
    null,
  ],
])("a supervisor that %s", (_title, seen, verdict) => {
  if (verdict === null) expect(judge(seen)).toBeNull();
  else expect(judge(seen)).toMatch(verdict);
});

test("a start that is still hoped for is not given up by systemd before", () => {
  expect(SUPERVISOR_BOOT_MS + 20_000).toBeLessThan(START_SECONDS * 1_000);
});
