import { afterEach, beforeEach, expect, test } from "vitest";
import { processStart } from "../../gateway/keeper/process.ts";
import { portHolder } from "../../plugin/preflight.ts";
import { eventually } from "../support/eventually.ts";
import { FastFleet, ownerOf } from "./fleet.ts";

let fleet: FastFleet;

beforeEach(async () => {
  fleet = await FastFleet.start();
}, 120_000);

afterEach(async () => {
  await fleet?.remove();
}, 60_000);

const kill = (pid: number, signal: NodeJS.Signals) => process.kill(pid, signal);

test("a killed gateway starts again in place, and the session goes on", {
  timeout: 150_000,
}, async () => {
  const { shard } = await fleet.chat("one", "s");
  const { node, pid } = ownerOf(await fleet.status(), shard);
  kill(pid, "SIGKILL");
  expect((await fleet.chat("two", "s")).reply).toBe("echo 2: two");
  const after = ownerOf(await fleet.served(), shard);
  expect(after.node).toBe(node);
  expect(after.pid).not.toBe(pid);
  const [first, second] = fleet.starts(shard);
  expect(second?.epoch).toBe(first?.epoch);
  expect(fleet.faults()).toEqual([]);
});

test("a killed keeper takes its gateways with it; the peer goes on, the node comes back", {
  timeout: 150_000,
}, async () => {
  const { shard } = await fleet.chat("one", "s");
  const { node, pid } = ownerOf(await fleet.status(), shard);
  const family = fleet.family(node);
  kill(fleet.keeperPid(node), "SIGKILL");
  expect((await fleet.chat("two", "s")).reply).toBe("echo 2: two");
  await eventually(() => expect(family.filter((each) => processStart(each) !== null)).toEqual([]));
  expect(processStart(pid)).toBeNull();
  await fleet.startNode(node);
  await fleet.served();
  expect(fleet.starts(shard).at(-1)?.epoch).toBeGreaterThan(
    fleet.starts(shard)[0]?.epoch as number,
  );
  expect(fleet.faults()).toEqual([]);
});

test("a killed supervisor costs its gateways, and is started again", {
  timeout: 150_000,
}, async () => {
  const { shard } = await fleet.chat("one", "s");
  const { node } = ownerOf(await fleet.status(), shard);
  const before = fleet.supervisorPid(node);
  kill(before, "SIGKILL");
  expect((await fleet.chat("two", "s")).reply).toBe("echo 2: two");
  await fleet.served();
  expect(fleet.supervisorPid(node)).not.toBe(before);
  expect(fleet.faults()).toEqual([]);
});

test("a stopped supervisor loses its shards, and nothing of it lives on", {
  timeout: 150_000,
}, async () => {
  const { shard } = await fleet.chat("one", "s");
  const { node, pid } = ownerOf(await fleet.status(), shard);
  const before = fleet.supervisorPid(node);
  kill(before, "SIGSTOP");
  expect((await fleet.chat("two", "s")).reply).toBe("echo 2: two");
  await eventually(() => expect(processStart(pid)).toBeNull());
  await fleet.served();
  expect(fleet.supervisorPid(node)).not.toBe(before);
  expect(fleet.faults()).toEqual([]);
});

test.each([
  ["and held the port", true],
  ["while another held the port", false],
])(
  "a node that slept beyond its leases %s finds nothing of its own left",
  { timeout: 150_000 },
  async (_, holds) => {
    const holder = portHolder(fleet.port)?.pid;
    const asleep = fleet.nodes.find((node) => (fleet.supervisorPid(node) === holder) === holds);
    const { session, shard } = await fleet.sessionOn(asleep as string);
    const { node, pid } = ownerOf(await fleet.status(), shard);
    const family = fleet.family(node);
    for (const each of family) kill(each, "SIGSTOP");
    expect((await fleet.chat("two", session)).reply).toBe("echo 2: two");
    expect(ownerOf(await fleet.status(), shard).node).not.toBe(node);
    for (const each of family) if (processStart(each) !== null) kill(each, "SIGCONT");
    await eventually(() => expect(processStart(pid)).toBeNull());
    await fleet.served();
    expect((await fleet.chat("three", session)).reply).toBe("echo 3: three");
    expect(fleet.faults()).toEqual([]);
  },
);

test("everything killed at once and started again knows its sessions", {
  timeout: 150_000,
}, async () => {
  const { shard } = await fleet.chat("one", "s");
  await fleet.killAll();
  await Promise.all(fleet.nodes.map((node) => fleet.startNode(node)));
  await fleet.served();
  const again = await fleet.chat("two", "s");
  expect(again).toMatchObject({ shard, reply: "echo 2: two" });
  expect(fleet.faults()).toEqual([]);
});
