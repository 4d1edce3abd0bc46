import { expect, test } from "vitest";
import { verdict } from "../../../cli/lib/verdict.ts";
import type { FleetStatus } from "../../../gateway/contract.ts";

const shard = (more: Partial<FleetStatus["shards"][number]>): FleetStatus["shards"][number] => ({
  id: "s1",
  agents: ["main"],
  owner: "a",
  epoch: 1,
  state: "serving",
  pid: 1,
  startedAt: null,
  restarts: 0,
  sessions: 0,
  memoryBytes: null,
  reason: null,
  ...more,
});
const status = (shards: FleetStatus["shards"]): FleetStatus => ({
  fleet: "dev",
  nodes: [],
  shards,
  store: { kind: "sqlite", ok: true },
  heldRequests: 0,
});

test("settings that are refused are noted with OpenClaw's words, while the shard serves", () => {
  const refused = shard({ reason: 'settings refused: agents.defaults: Unrecognized key: "x"' });
  expect(verdict(status([refused]), "dev").notes).toEqual([
    's1 runs with older settings, the new ones are refused: agents.defaults: Unrecognized key: "x" (mend them, ./fleet up)',
  ]);
  const other = shard({ reason: "crashed: signal SIGKILL", restarts: 1 });
  expect(verdict(status([other]), "dev").notes).toEqual([]);
});

test("an OpenClaw that is on its way is noted, and one that failed with its words", () => {
  const update = { to: "2.0.0", waiting: ["s1", "s2"], refused: null };
  const { level, notes } = verdict({ ...status([shard({})]), update }, "dev");
  expect(notes).toEqual(["s1, s2 will run OpenClaw 2.0.0 when every node has it, one by one"]);
  const refused = { shard: "s1", why: "exit code 78" };
  const failed = verdict({ ...status([shard({})]), update: { ...update, refused } }, "x");
  expect(failed.notes).toEqual([
    "OpenClaw 2.0.0 failed on s1, so s1, s2 keep the one before: exit code 78 (./fleet logs s1 --stack x)",
  ]);
  // People are served all the same.
  expect(failed.level).toBe(level);
});
