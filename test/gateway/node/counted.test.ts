import { expect, test } from "vitest";
import { countEvent, countTransitions } from "../../../gateway/node/counted.ts";
import { createMetrics, type FleetMetrics } from "../../../gateway/observe/metrics.ts";
import { World } from "../shard/world.ts";

async function counted({ registry }: FleetMetrics): Promise<string[]> {
  const text = await registry.metrics();
  return text
    .split("\n")
    .filter((line) => /^openclaw_fleet_(shard_transitions|turns_cut|gateway_restarts)/.test(line))
    .map((line) => line.slice("openclaw_fleet_".length))
    .sort();
}

function counting() {
  const metrics = createMetrics();
  const world = new World({
    onEvent: (event) => countEvent(metrics, "s1", event),
    onTransition: countTransitions(metrics),
  });
  return { metrics, world };
}

test("changes of state are counted; turns that a drain gave up, whether it leaves or restarts", async () => {
  const { metrics, world } = counting();
  await world.serving();
  world.gateway.active = 2;
  world.runner.restart("new plugins", 60_000);
  await world.time.pass(90_000);
  world.gateway.active = 3;
  world.runner.drain({ why: "stop", giveUpMs: 60_000 });
  await world.time.pass(90_000);
  world.runner.stop("drained");
  await world.time.pass(1_000);
  expect(await counted(metrics)).toEqual([
    'gateway_restarts_total{shard="s1",reason="requested"} 1',
    'shard_transitions_total{shard="s1",to="draining"} 2',
    'shard_transitions_total{shard="s1",to="idle"} 1',
    'shard_transitions_total{shard="s1",to="serving"} 2',
    'shard_transitions_total{shard="s1",to="starting"} 2',
    'shard_transitions_total{shard="s1",to="stopping"} 1',
    'turns_cut_total{shard="s1"} 5',
  ]);
});

test("what the table refuses, and what leaves a state as it is, is no change", async () => {
  const metrics = createMetrics();
  const count = countTransitions(metrics);
  count("s1", "idle", "drain", null);
  count("s1", "stopping", "stop", "stopping");
  expect(await counted(metrics)).toEqual([]);
});
