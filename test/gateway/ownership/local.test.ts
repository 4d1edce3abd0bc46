import { test } from "vitest";
import { expectLife, explore } from "./sim/explore.ts";
import { KINDS } from "./sim/faults.ts";

test("nodes of one machine keep every law under random faults", { timeout: 600_000 }, () => {
  const totals = explore(true);
  expectLife(totals, [...KINDS, "fenced", "homecoming", "released", "stopped", "forgotten owner"]);
});
