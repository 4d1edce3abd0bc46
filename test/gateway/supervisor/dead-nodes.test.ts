import { expect, test } from "vitest";
import { bootId } from "../../../gateway/clock.ts";
import { thisProcess } from "../../../gateway/keeper/process.ts";
import type { StoreView } from "../../../gateway/leases/store.ts";
import { deadNodes } from "../../../gateway/supervisor/dead-nodes.ts";

const boot = bootId();
const alive = thisProcess();
const self = { node: "a", incarnation: "a2", bootId: boot, startedHere: null };

const view = (
  nodes: Record<string, { incarnation: string; pidStart: string; bootId: string }>,
  leases: Record<string, { owner: string | null; incarnation: string | null }> = {},
): StoreView =>
  ({
    nodes: Object.fromEntries(
      Object.entries(nodes).map(([id, rest]) => [id, { id, pid: alive.pid, ...rest }]),
    ),
    leases,
  }) as unknown as StoreView;

test.each([
  ["a supervisor that lives", { incarnation: "b1", pidStart: alive.pidStart, bootId: boot }, []],
  [
    "another process under its pid",
    { incarnation: "b1", pidStart: "1", bootId: boot },
    [{ node: "b", incarnation: "b1" }],
  ],
  [
    "a record of another boot: not the kernel's to say",
    { incarnation: "b1", pidStart: "1", bootId: "other" },
    [],
  ],
])("%s", (_, record, expected) => {
  expect(deadNodes(view({ b: record }), self)).toEqual(expected);
});

test("an older incarnation of this node is gone, also without a record; nobody else's is", () => {
  const leases = {
    s1: { owner: "a", incarnation: "a1" },
    s2: { owner: "a", incarnation: "a2" },
    s3: { owner: "b", incarnation: "b0" },
    s4: { owner: null, incarnation: null },
  };
  expect(deadNodes(view({}, leases), self)).toEqual([{ node: "a", incarnation: "a1" }]);
});

test("with nodes on several machines, only what was started in this node's directory is known to be gone", () => {
  const elsewhere = { ...self, startedHere: new Set(["a1", "a2"]) };
  const stranger = { incarnation: "b1", pidStart: "1", bootId: boot };
  const leases = {
    s1: { owner: "a", incarnation: "a1" },
    // A host that had this name before, and may still run.
    s2: { owner: "a", incarnation: "a0" },
    s3: { owner: "b", incarnation: "b1" },
  };
  expect(deadNodes(view({ b: stranger }, leases), elsewhere)).toEqual([
    { node: "a", incarnation: "a1" },
  ]);
});
