import fc from "fast-check";
import { afterEach, expect, test } from "vitest";
import { fleetCheckOf } from "../../cli/doctor/fleet.ts";
import { verdict } from "../../cli/lib/verdict.ts";
import { type FleetStatus, SHARD_STATES } from "../../gateway/contract.ts";
import { readiness } from "../../gateway/readiness.ts";
import { ADMIN_TOKEN } from "./router/fakes.ts";
import { ask, World } from "./router/world.ts";

const nodeOf = (
  state: "active" | "maintenance" | "lost",
  i: number,
): FleetStatus["nodes"][number] => ({
  id: `n${i}`,
  address: "127.0.0.1:1",
  pid: 1,
  state,
  shards: [],
  version: "1",
  memoryBytes: null,
  seenMsAgo: 0,
});
const shardOf = (
  state: (typeof SHARD_STATES)[number],
  i: number,
): FleetStatus["shards"][number] => ({
  id: `s${i}`,
  agents: ["main"],
  owner: "n0",
  epoch: 1,
  state,
  pid: 1,
  startedAt: null,
  restarts: 0,
  sessions: 0,
  memoryBytes: null,
  reason: null,
});
const statusOf = (
  nodes: ("active" | "maintenance" | "lost")[],
  shards: (typeof SHARD_STATES)[number][],
  ok = true,
): FleetStatus => ({
  fleet: "f",
  nodes: nodes.map(nodeOf),
  shards: shards.map(shardOf),
  store: { kind: "sqlite", ok },
  heldRequests: 0,
});

test.each([
  [
    "all well",
    statusOf(["active", "active"], ["serving", "serving"]),
    "ok",
    true,
    "2 of 2 shards serving, one node may be lost",
  ],
  [
    "one node only",
    statusOf(["active"], ["serving"]),
    "ok",
    true,
    "1 of 1 shards serving, one node: its loss stops the service",
  ],
  [
    "a drain still serves",
    statusOf(["active", "active"], ["draining"]),
    "ok",
    true,
    "1 of 1 shards serving, one node may be lost",
  ],
  [
    "a node lost",
    statusOf(["active", "lost"], ["serving"]),
    "degraded",
    false,
    "node n1 lost, 1 of 1 shards serving, one more loss stops the service",
  ],
  [
    "maintenance",
    statusOf(["active", "maintenance"], ["serving"]),
    "degraded",
    true,
    "1 of 1 shards serving",
  ],
  [
    "a shard failed",
    statusOf(["active"], ["serving", "failed"]),
    "degraded",
    false,
    "s1 failed, 1 of 2 shards serving",
  ],
  ["no store", statusOf(["active"], ["serving"], false), "degraded", false, "lease store down"],
  [
    "nothing serves",
    statusOf(["active"], ["starting"]),
    "down",
    false,
    "s0 starting, 0 of 1 shards serving",
  ],
  [
    "everything lost",
    statusOf(["lost"], ["idle"]),
    "down",
    false,
    "node n0 lost, s0 idle, 0 of 1 shards serving",
  ],
] as const)("%s", (_, status, level, ready, text) => {
  expect(readiness(status)).toMatchObject({ level, ready });
  expect(verdict(status, "dev").text).toContain(text);
});

const anyStatus = fc
  .tuple(
    fc.array(fc.constantFrom("active", "maintenance", "lost" as const), { maxLength: 4 }),
    fc.array(fc.constantFrom(...SHARD_STATES), { minLength: 1, maxLength: 6 }),
    fc.boolean(),
  )
  .map(([nodes, shards, ok]) =>
    statusOf(nodes as ("active" | "maintenance" | "lost")[], shards, ok),
  );

test("down if and only if nothing serves; ok only if nothing is amiss; every cause is named", () => {
  fc.assert(
    fc.property(anyStatus, (status) => {
      const { level, ready, serving, total, causes } = readiness(status);
      const serves = status.shards.some(({ state }) => state === "serving" || state === "draining");
      expect(level === "down").toBe(!serves);
      expect(level === "ok").toBe(causes.length === 0);
      if (level === "ok") expect(ready).toBe(true);
      if (ready) expect(serving).toBe(total);
      if (level !== "ok") expect(causes.length).toBeGreaterThan(0);
    }),
  );
});

test("status, doctor and the fleet's own word never differ", () => {
  fc.assert(
    fc.property(anyStatus, (status) => {
      const { level } = readiness(status);
      expect(verdict(status, "dev").level).toBe(level);
      const check = fleetCheckOf(status, "dev");
      expect(check.state).toBe(level === "ok" ? "ok" : "fail");
    }),
  );
});

let world: World;
afterEach(() => world?.close());

test("GET /api/v1/health says what GET /api/v1/fleet comes to", async () => {
  world = await World.start(["a"]);
  const { port } = world.node("a");
  const look = async () => {
    const fleet = await ask(port, "/api/v1/fleet", { token: ADMIN_TOKEN });
    const health = await ask(port, "/api/v1/health", { token: null });
    const { level, serving, total } = readiness(fleet.json);
    expect(health.json).toMatchObject({ status: level, shards: { serving, total } });
    expect(health.status).toBe(level === "down" ? 503 : 200);
    return level;
  };
  expect(await look()).toBe("down");
  await world.fleet.own("s1", "a");
  expect(await look()).toBe("degraded");
  await world.fleet.own("s2", "a");
  expect(await look()).toBe("ok");
  world.fleet.storeOk = false;
  expect(await look()).toBe("degraded");
});
