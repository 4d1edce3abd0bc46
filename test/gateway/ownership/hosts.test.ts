import { test } from "vitest";
import { expectLife, explore } from "./sim/explore.ts";
import { KINDS } from "./sim/faults.ts";

test("nodes on machines of their own keep every law", { timeout: 600_000 }, () => {
  const totals = explore(false);
  expectLife(totals, [...KINDS, "fenced", "homecoming", "drain maintenance", "drain move"]);
});
