import { afterEach, beforeEach, expect, test } from "vitest";
import { portFault, portHolder } from "../../plugin/preflight.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free-ports.ts";
import { FastFleet, isServed, ownerOf } from "./fleet.ts";

let fleet: FastFleet;

beforeEach(async () => {
  fleet = await FastFleet.start();
}, 120_000);

afterEach(async () => {
  await fleet?.remove();
}, 60_000);

const pids = () => fleet.shards.map((shard) => fleet.starts(shard).map(({ pid }) => pid));

test("move, drain and resume bring shards where they were asked to", {
  timeout: 150_000,
}, async () => {
  const { shard } = await fleet.chat("one", "s");
  const { node } = ownerOf(await fleet.status(), shard);
  const other = node === "a" ? "b" : "a";
  await fleet.command("move", { shard, to: other });
  await fleet.until("it moved", (status) =>
    status.shards.some((s) => s.id === shard && s.owner === other && s.state === "serving"),
  );
  const turn = fleet.chat("two [[delay=2000]]", "s");
  await eventually(() => expect(fleet.traces(shard).at(-1)?.event).toBe("turn"));
  await fleet.command("drain", { node: other });
  await fleet.until("the node is empty", (status) =>
    status.shards.every((s) => s.owner === node && s.state === "serving"),
  );
  expect((await turn).reply).toBe("echo 2: two [[delay=2000]]");
  await fleet.command("resume", { node: other });
  await fleet.served();
  await fleet.command("move", { shard, to: other });
  await fleet.until("it moved again", (status) =>
    status.shards.some((s) => s.id === shard && s.owner === other && s.state === "serving"),
  );
  expect((await fleet.chat("three", "s")).reply).toBe("echo 3: three");
  // Each node has a shard now, and one of the two holds the port.
  const metrics = await (await fleet.fetch("/metrics")).text();
  for (const id of fleet.shards) {
    expect(metrics).toContain(`openclaw_fleet_shard_state{shard="${id}",state="serving"} 1\n`);
    expect(metrics).toMatch(
      new RegExp(`openclaw_fleet_shard_transitions_total\\{shard="${id}",to="serving"\\} [1-9]`),
    );
  }
  expect(fleet.faults()).toEqual([]);
  expect(fleet.traces(shard).filter(({ event }) => event === "stop").length).toBeGreaterThan(0);
});

test("a planned stop hands everything over, and no turn is cut", { timeout: 150_000 }, async () => {
  const { shard } = await fleet.chat("one", "s");
  const { node } = ownerOf(await fleet.status(), shard);
  const turn = fleet.chat("two [[delay=1500]]", "s");
  await eventually(() => expect(fleet.traces(shard).at(-1)?.event).toBe("turn"));
  const stopping = fleet.stopNode(node);
  expect((await turn).reply).toBe("echo 2: two [[delay=1500]]");
  await stopping;
  const other = node === "a" ? "b" : "a";
  await fleet.until(
    "the other serves all, and the one that stopped is not active",
    (now) =>
      now.shards.every((s) => s.owner === other && s.state === "serving") &&
      now.nodes.find(({ id }) => id === node)?.state !== "active",
  );
  expect((await fleet.chat("three", "s")).reply).toBe("echo 3: three");
  expect(fleet.traces(shard).filter(({ event }) => event === "turn")).toHaveLength(3);
  expect(fleet.faults()).toEqual([]);
});

test("a node joins without moving what serves, and a removed one is forgotten", {
  timeout: 150_000,
}, async () => {
  const before = pids();
  await fleet.startNode("c");
  await fleet.served(3);
  expect(pids()).toEqual(before);
  await fleet.command("drain", { node: "a" });
  await fleet.until("a is empty", (now) =>
    now.shards.every((s) => s.owner !== "a" && s.state === "serving"),
  );
  await fleet.stopNode("a");
  await fleet.forgetNode("a");
  await fleet.until(
    "a is unknown",
    (now) => now.nodes.map(({ id }) => id).join() === "b,c" && isServed(now, fleet.shards, 2),
  );
  expect(fleet.faults()).toEqual([]);
});

test("a shard is added and removed while the others serve on", { timeout: 150_000 }, async () => {
  await fleet.chat("one", "s");
  const before = pids();
  fleet.shards.push("s3");
  fleet.writeConfig(fleet.makeConfig());
  await fleet.served();
  fleet.shards.pop();
  expect(pids()).toEqual(before);
  fleet.writeConfig(fleet.makeConfig());
  await fleet.served();
  await eventually(() => expect(fleet.traces("s3").at(-1)?.event).toBe("stop"), 60_000);
  expect(pids()).toEqual(before);
  expect(fleet.faults()).toEqual([]);
});

test("a fleet.json that cannot be understood changes nothing, and is told of once a node", {
  timeout: 150_000,
}, async () => {
  const before = pids();
  fleet.writeRaw("{ this is not JSON");
  await eventually(() => {
    const told = fleet.logs().match(/fleet\.json cannot be read as JSON/g) ?? [];
    expect(told).toHaveLength(2);
  });
  fleet.writeConfig({ ...fleet.makeConfig(), port: "x" as unknown as number });
  await eventually(() => expect(fleet.logs()).toMatch(/fleet\.json is not what this runtime/));
  expect((await fleet.chat("one", "s")).reply).toBe("echo 1: one");
  fleet.writeConfig(fleet.makeConfig());
  await fleet.served();
  expect(pids()).toEqual(before);
});

test("a roll from release to release, node by node, cuts no turn", {
  timeout: 400_000,
}, async () => {
  let asking = true;
  let count = 0;
  const asks = (async () => {
    while (asking) {
      count++;
      expect((await fleet.chat(`m${count} [[delay=200]]`, "s")).reply).toMatch(`echo ${count}:`);
    }
  })();
  for (const node of fleet.nodes) {
    await fleet.rollNode(node, "2.0.0");
    await fleet.served();
  }
  await fleet.until("every shard is updated", ({ update }) => update === undefined);
  asking = false;
  await asks;
  expect(fleet.faults()).toEqual([]);
  const turns = fleet.shards
    .flatMap((shard) => fleet.traces(shard))
    .filter(({ event }) => event === "turn");
  // And one of the fleet's own before each shard may serve with it.
  expect(turns).toHaveLength(count + fleet.shards.length);
});

test("another port is listened on at once, and no gateway is restarted", {
  timeout: 150_000,
}, async () => {
  await fleet.chat("one", "s");
  const before = pids();
  const old = fleet.port;
  fleet.port = await freePort();
  fleet.writeConfig(fleet.makeConfig());
  await fleet.served();
  expect((await fleet.chat("two", "s")).reply).toBe("echo 2: two");
  expect(pids()).toEqual(before);
  await eventually(() =>
    expect(fetch(`http://127.0.0.1:${old}/healthz`)).rejects.toThrow("fetch failed"),
  );
  expect(await portFault("127.0.0.1", fleet.port)).toMatch(/\(node, of fleet fast\)/);
  // The other node waits for the new port, and has it when this one's is gone.
  const holder = portHolder(fleet.port)?.pid as number;
  process.kill(holder, "SIGKILL");
  expect((await fleet.chat("three", "s")).reply).toBe("echo 3: three");
  await fleet.served();
});
