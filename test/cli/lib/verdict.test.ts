import { expect, test } from "vitest";
import { bringBack, verdict } from "../../../cli/lib/verdict.ts";
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

const node = (
  state: FleetStatus["nodes"][number]["state"],
  i: number,
): FleetStatus["nodes"][number] => ({
  id: `n${i}`,
  address: `192.0.2.${i}:7000`,
  pid: 1,
  state,
  shards: [],
  version: "1",
  memoryBytes: null,
  seenMsAgo: 0,
});

test.each([
  ["three hosts", 3, 0, ["active", "active", "active"], "one node may be lost"],
  ["a lost one of three", 3, 1, ["active", "active", "lost"], "one more loss stops the service"],
  ["two and a witness", 3, 0, ["active", "active"], "one node may be lost"],
  ["two alone", 1, 0, ["active", "active"], "one host alone votes: its loss stops the service"],
  ["the other of two", 1, 0, ["active", "lost"], "one more loss stops the service"],
  ["a lost one of five", 5, 1, ["active", "active", "active", "active", "lost"], "may be lost"],
  ["two of five", 5, 2, ["active", "active", "active", "lost", "lost"], "one more loss stops"],
  ["one without a vote", 3, 0, ["active", "active", "active", "lost"], "one node may be lost"],
  ["a voter in maintenance", 3, 0, ["active", "active", "maintenance"], "one node may be lost"],
] as const)("the next loss by who votes: %s", (_, total, lost, states, said) => {
  const looked = {
    ...status([shard({})]),
    nodes: states.map(node),
    store: { kind: "etcd", ok: true, voters: { total, lost } },
  };
  expect(verdict(looked, "dev").text).toContain(said);
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

test("a lost node is brought back by what it runs on", () => {
  const looked = { ...status([shard({})]), nodes: [node("active", 0), node("lost", 1)] };
  const note = (target?: string) => verdict(looked, "x", target).notes.join();
  expect(note()).toBe("node n1 is lost (./fleet up --stack x)");
  expect(note("hosts")).toContain('power its host on; docs/operations.md, "A host is lost"');
  expect(note("hosts")).not.toContain("./fleet up");
  expect(note("ec2")).toContain('"A machine on EC2 is lost"; ./fleet up --stack x');
  expect(bringBack("b", "dev", "local")).toBe("./fleet up");
});

test("a store that does not answer sends nobody in a circle", () => {
  const looked = { ...status([shard({})]), store: { kind: "etcd", ok: false } };
  const { notes } = verdict(looked, "x", "hosts");
  expect(notes.join()).toContain("journalctl -u openclaw-fleet-etcd");
  expect(notes.join()).not.toContain("doctor");
});
