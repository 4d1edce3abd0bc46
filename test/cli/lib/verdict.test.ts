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
