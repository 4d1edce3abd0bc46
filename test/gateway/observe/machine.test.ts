import { expect, test } from "vitest";
import { MachineNumbers, type NodeNumbers } from "../../../gateway/observe/machine.ts";
import { createMetrics } from "../../../gateway/observe/metrics.ts";

const KNOWN = {
  owners: new Map([
    ["s1", "a"],
    ["s2", "b"],
  ]),
  agents: new Set(["main", "other"]),
};

function aNode(node: string, incarnation = `${node}#1`) {
  const metrics = createMetrics();
  const says = async (): Promise<NodeNumbers> => {
    const numbers = await metrics.registry.getMetricsAsJSON();
    return JSON.parse(JSON.stringify({ node, incarnation, numbers }));
  };
  return { metrics, says };
}

/** Values of a text, by series. */
function series(text: string): Record<string, number> {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  const found = lines.map((line) => line.slice("openclaw_fleet_".length).split(" "));
  const names = found.map(([name]) => name);
  expect(names, "no series twice").toHaveLength(new Set(names).size);
  return Object.fromEntries(found.map(([name, value]) => [name, Number(value)]));
}

test("counters and histograms are summed; each metric is told once, as a node alone tells it", async () => {
  const [a, b] = [aNode("a"), aNode("b")];
  for (const { metrics } of [a, b]) {
    metrics.tokens.inc({ agent: "main", kind: "input" }, 5);
    metrics.requestDuration.observe(0.2);
    metrics.heldRequests.set(2);
    metrics.sessionsActive.set({ agent: "main" }, 3);
  }
  b.metrics.requestDuration.observe(20);
  b.metrics.turnsCut.inc({ shard: "s1" }, 4);
  const merged = new MachineNumbers().merge(await a.says(), [await b.says()], KNOWN);
  const text = await merged.metrics();
  expect(series(text)).toMatchObject({
    'tokens_total{agent="main",kind="input"}': 10,
    'turns_cut_total{shard="s1"}': 4,
    'request_duration_seconds_bucket{le="0.25"}': 2,
    'request_duration_seconds_bucket{le="30"}': 3,
    'request_duration_seconds_bucket{le="+Inf"}': 3,
    request_duration_seconds_count: 3,
    held_requests: 4,
    'sessions_active{agent="main"}': 6,
  });
  const told = (all: string) => all.split("\n").filter((line) => /^# (HELP|TYPE) /.test(line));
  expect(told(text)).toEqual(told(await a.metrics.registry.metrics()));
});

test("a shard's gauges are its owner's, whatever another node still believes", async () => {
  const [a, b] = [aNode("a"), aNode("b")];
  for (const [{ metrics }, state, epoch] of [
    [a, "stopping", 1],
    [b, "serving", 2],
  ] as const) {
    metrics.setShardState("s2", state);
    metrics.leaseEpoch.set({ shard: "s2" }, epoch);
    metrics.replicaLag.set({ shard: "s2" }, epoch);
  }
  const merged = new MachineNumbers().merge(await a.says(), [await b.says()], KNOWN);
  expect(series(await merged.metrics())).toMatchObject({
    'shard_state{shard="s2",state="serving"}': 1,
    'shard_state{shard="s2",state="stopping"}': 0,
    'lease_epoch{shard="s2"}': 2,
    'replica_lag_seconds{shard="s2"}': 2,
  });
});

test("the store is up when every node reaches it; nodes are as the one that answers sees them", async () => {
  const [a, b] = [aNode("a"), aNode("b")];
  a.metrics.storeUp.set(1);
  b.metrics.storeUp.set(0);
  a.metrics.setNodeStates([{ id: "b", state: "active" }]);
  b.metrics.setNodeStates([{ id: "b", state: "maintenance" }]);
  const merged = new MachineNumbers().merge(await a.says(), [await b.says()], KNOWN);
  expect(series(await merged.metrics())).toMatchObject({
    store_up: 0,
    'node_state{node="b",state="active"}': 1,
    'node_state{node="b",state="maintenance"}': 0,
  });
});

test("no sum falls when a peer is silent, comes back or starts anew", async () => {
  const machine = new MachineNumbers();
  const [a, b] = [aNode("a"), aNode("b")];
  const tokens = async (...peers: NodeNumbers[]) => {
    const text = await machine.merge(await a.says(), peers, KNOWN).metrics();
    return series(text)['tokens_total{agent="main",kind="input"}'];
  };
  a.metrics.tokens.inc({ agent: "main", kind: "input" }, 1);
  b.metrics.tokens.inc({ agent: "main", kind: "input" }, 10);
  expect(await tokens(await b.says())).toBe(11);
  expect(await tokens()).toBe(11);
  b.metrics.tokens.inc({ agent: "main", kind: "input" }, 10);
  expect(await tokens(await b.says())).toBe(21);
  for (const incarnation of ["b#2", "b#3"]) {
    const next = aNode("b", incarnation);
    next.metrics.tokens.inc({ agent: "main", kind: "input" }, 100);
    await tokens(await next.says());
  }
  expect(await tokens()).toBe(221);
});

test("gauges of a silent peer, and all of what left the fleet, are left out", async () => {
  const machine = new MachineNumbers();
  const [a, b] = [aNode("a"), aNode("b")];
  b.metrics.setShardState("s2", "serving");
  b.metrics.failovers.inc({ shard: "s2", reason: "x" });
  b.metrics.tokens.inc({ agent: "gone", kind: "input" }, 7);
  machine.merge(await a.says(), [await b.says()], KNOWN);
  const silent = await machine.merge(await a.says(), [], KNOWN).metrics();
  expect(silent).toContain('failovers_total{shard="s2",reason="x"} 1');
  expect(silent).not.toContain("shard_state{");
  expect(silent).not.toContain("gone");
  const owners = new Map([["s1", "a"]]);
  expect(await machine.merge(await a.says(), [], { ...KNOWN, owners }).metrics()).not.toContain(
    "s2",
  );
});

test("metrics of another release that this one does not know are left out", async () => {
  const [a, b] = [aNode("a"), aNode("b")];
  const said = await b.says();
  const [first] = said.numbers;
  const strange = { ...first, name: "openclaw_fleet_later", aggregator: "median" };
  const numbers = [...said.numbers, strange] as NodeNumbers["numbers"];
  const merged = new MachineNumbers().merge(await a.says(), [{ ...said, numbers }], KNOWN);
  expect(await merged.metrics()).not.toContain("later");
});
