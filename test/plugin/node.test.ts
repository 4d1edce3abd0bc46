import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { fleetFile, writePrivate } from "../../plugin/files.ts";
import { PartlyDone } from "../../plugin/handler.ts";
import { NodeHandler } from "../../plugin/node.ts";
import type { Props } from "../../plugin/values.ts";
import { FakeFleet } from "./fake-fleet.ts";
import { fakeLauncher } from "./fake-launcher.ts";

let home: string;
let dataDir: string;
let fleet: FakeFleet;
beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), "fleet-node-"));
  dataDir = join(home, "data");
  fleet = new FakeFleet();
  await fleet.listen();
  const token = "t".repeat(30);
  const config = {
    version: 1,
    fleet: "dev",
    target: "local",
    preset: "small",
    port: fleet.port,
    shards: [{ id: "s1", agents: ["main"], recycleMiB: 2560 }],
    agents: [{ name: "main", shards: ["s1"], homeShard: "s1" }],
    models: "demo",
    tokens: { client: [token], admin: token, peer: token },
  };
  writePrivate(fleetFile(dataDir), JSON.stringify(config));
});
afterEach(() => {
  fleet.server.close();
  rmSync(home, { recursive: true, force: true });
});

const inputs = (node = "a", id = "1"): Props => ({
  dataDir,
  node,
  release: { id, node: "/node", openclaw: "/openclaw.mjs", runtime: `/runtime-${id}` },
  gatewayPortBase: 19_000,
  protected: false,
});
const op = (signal = new AbortController().signal, programRuns = true) => ({
  signal,
  say: () => {},
  programRuns,
  preview: false,
});
const idOf = (node: string) => join(dataDir, "nodes", node);

describe("create", () => {
  test("starts the node, waits until all shards serve, and asks for one answer", async () => {
    const { launcher, calls } = fakeLauncher();
    fleet.nodes.set("a", "active");
    const { id, state } = await new NodeHandler(launcher).create(inputs(), op());
    expect(id).toBe(idOf("a"));
    expect(state.state).toBe("running");
    expect(calls).toEqual(["start a 1"]);
    expect(fleet.calls).toEqual(["chat"]);
    expect(JSON.parse(readFileSync(join(id, "node.json"), "utf8"))).toMatchObject({ id: "a" });
  });

  test("a preview starts nothing", async () => {
    const { launcher, calls } = fakeLauncher();
    await new NodeHandler(launcher).create(inputs(), { ...op(), preview: true });
    expect(calls).toEqual([]);
    expect(existsSync(idOf("a"))).toBe(false);
  });

  test.each<[string, () => void, RegExp]>([
    [
      "a shard that gave up is named with its reason",
      () => Object.assign(fleet.shard, { state: "failed", reason: "exit 78" }),
      /shard s1 cannot run: exit 78/,
    ],
    [
      "a chat without an answer says why",
      () => Object.assign(fleet.chat, { status: 502, body: { error: { message: "bad key" } } }),
      /a chat got no answer: .*502: bad key.*models/,
    ],
  ])("%s, and the node stays known", async (_, breakIt, message) => {
    const { launcher } = fakeLauncher();
    fleet.nodes.set("a", "active");
    breakIt();
    const creating = new NodeHandler(launcher).create(inputs(), op());
    await expect(creating).rejects.toThrow(message);
    await expect(creating).rejects.toBeInstanceOf(PartlyDone);
    await expect(creating).rejects.toMatchObject({ id: idOf("a"), state: { state: "incomplete" } });
  });

  test("a node that ends is noticed at once, with its last lines", async () => {
    const fake = fakeLauncher();
    const launcher = { ...fake.launcher, running: () => false };
    await expect(new NodeHandler(launcher).create(inputs(), op())).rejects.toThrow(
      /node a ended\. Last lines of its log:\nlog line of a/,
    );
  });

  test("an interruption ends the wait and keeps the node in the state", async () => {
    const { launcher, calls } = fakeLauncher();
    const stop = new AbortController();
    const creating = new NodeHandler(launcher).create(inputs(), op(stop.signal));
    await expect.poll(() => calls, { timeout: 20_000 }).toEqual(["start a 1"]);
    stop.abort();
    await expect(creating).rejects.toThrow(/interrupted while waiting for node a/);
    await expect(creating).rejects.toBeInstanceOf(PartlyDone);
  });
});

describe("diff", () => {
  const { launcher, alive } = fakeLauncher();
  beforeEach(() => alive.add(`${dataDir} a`));
  test.each<[string, Props, Props, string[], string[]]>([
    ["nothing", { state: "running" }, {}, [], []],
    ["a dead node", { state: "dead" }, {}, ["state"], []],
    ["an incomplete node", { state: "incomplete" }, {}, ["state"], []],
    ["another name", { state: "running" }, { node: "b" }, ["node"], ["node"]],
    ["other cores", { state: "running" }, { cores: 2 }, ["cores"], []],
  ])("%s", (_, state, change, paths, replaces) => {
    const before = { ...inputs(), ...state };
    const diff = new NodeHandler(launcher).diff(before, inputs(), { ...inputs(), ...change });
    expect(diff.changes.map((c) => c.path)).toEqual(paths);
    expect(diff.replaces).toEqual(replaces);
  });

  test("a node that died since the last look is changed without a refresh", () => {
    alive.clear();
    const diff = new NodeHandler(launcher).diff(
      { ...inputs(), state: "running" },
      inputs(),
      inputs(),
    );
    expect(diff.changes).toEqual([{ path: "state", kind: "update" }]);
    expect(diff.replaces).toEqual([]);
  });
});

describe("read", () => {
  test("tells a dead node from a running one, and from none", async () => {
    const fake = fakeLauncher();
    fleet.nodes.set("a", "active");
    const node = new NodeHandler(fake.launcher);
    const { id, state } = await node.create(inputs(), op());
    expect((await node.read(id, state, inputs()))?.state.state).toBe("running");
    fake.kill(dataDir, "a");
    expect((await node.read(id, state, inputs()))?.state.state).toBe("dead");
    expect((await node.read(id, undefined, undefined))?.inputs).toEqual(inputs());
    rmSync(dataDir, { recursive: true });
    expect(await node.read(id, state, inputs())).toBeNull();
  });
});

describe("update", () => {
  test("another release drains, stops, starts and resumes, one node after the other", async () => {
    const { launcher, calls } = fakeLauncher();
    const node = new NodeHandler(launcher);
    for (const id of ["a", "b"]) {
      fleet.nodes.set(id, "active");
      await node.create(inputs(id), op());
    }
    calls.length = 0;
    fleet.calls.length = 0;
    await Promise.all(
      ["a", "b"].map((id) =>
        node.update(idOf(id), { ...inputs(id), state: "running" }, inputs(id, "2"), op()),
      ),
    );
    expect(calls).toEqual(["stop a", "start a 2", "stop b", "start b 2"]);
    expect(fleet.calls).toEqual([
      ...["drain a", "resume a", "chat"],
      ...["drain b", "resume b", "chat"],
    ]);
  });

  const roll = async (heard: (line: string) => void) => {
    const node = new NodeHandler(fakeLauncher().launcher);
    fleet.nodes.set("a", "active");
    await node.create(inputs(), op());
    const olds = { ...inputs(), state: "running" };
    await node.update(idOf("a"), olds, inputs("a", "2"), { ...op(), say: heard });
  };
  const waiting = { to: "2", waiting: ["s1"], refused: null };

  test("once every node has a new OpenClaw, the shards are waited for until they have it", async () => {
    Object.assign(fleet, { version: "2+x", update: waiting });
    const said: string[] = [];
    await roll((line) => {
      said.push(line);
      if (line.startsWith("updating")) fleet.update = undefined;
    });
    expect(said).toContain("updating OpenClaw to 2: s1");
  });

  test("while another node has the old one nobody waits for them", async () => {
    Object.assign(fleet, { version: "1+x", update: waiting });
    const said: string[] = [];
    await roll((line) => said.push(line));
    expect(said.join()).not.toContain("updating");
  });

  test("an OpenClaw that failed on a shard is told of, with its words", async () => {
    const refused = { shard: "s1", why: "exit code 78: no such table" };
    Object.assign(fleet, { version: "2+x", update: { ...waiting, refused } });
    await expect(roll(() => {})).rejects.toThrow(/2 failed on shard s1.*no such table/);
  });

  test("a node that fails keeps the others from being touched", async () => {
    const { launcher, calls } = fakeLauncher();
    const node = new NodeHandler(launcher);
    for (const id of ["a", "b"]) {
      fleet.nodes.set(id, "active");
      await node.create(inputs(id), op());
    }
    calls.length = 0;
    fleet.chat = { status: 500, body: {} };
    const [a, b] = await Promise.allSettled(
      ["a", "b"].map((id) =>
        node.update(idOf(id), { ...inputs(id), state: "running" }, inputs(id, "2"), op()),
      ),
    );
    expect(a?.status).toBe("rejected");
    expect((b as PromiseRejectedResult).reason.message).toMatch(
      /node b was not touched, because node a failed/,
    );
    expect(calls).not.toContain("stop b");
  });

  test("the only node is not drained: nobody could take its shards", async () => {
    const { launcher } = fakeLauncher();
    const node = new NodeHandler(launcher);
    fleet.nodes.set("a", "active");
    await node.create(inputs(), op());
    await node.update(idOf("a"), { ...inputs(), state: "running" }, inputs("a", "2"), op());
    expect(fleet.calls).not.toContain("drain a");
  });

  test("protection alone touches no process", async () => {
    const { launcher, calls } = fakeLauncher();
    const node = new NodeHandler(launcher);
    fleet.nodes.set("a", "active");
    const { state } = await node.create(inputs(), op());
    calls.length = 0;
    await node.update(idOf("a"), state, { ...inputs(), protected: true }, op());
    expect(calls).toEqual([]);
  });

  test("a dead node is started again without a drain", async () => {
    const fake = fakeLauncher();
    fleet.nodes.set("a", "active").set("b", "active");
    const node = new NodeHandler(fake.launcher);
    await node.create(inputs(), op());
    fake.kill(dataDir, "a");
    await node.update(idOf("a"), { ...inputs(), state: "dead" }, inputs(), op());
    expect(fake.calls).toEqual(["start a 1", "stop a", "start a 1"]);
    expect(fleet.calls).not.toContain("drain a");
  });

  test("a dead node is back before a running one is drained", async () => {
    const fake = fakeLauncher();
    fleet.nodes.set("a", "active").set("b", "active");
    const node = new NodeHandler(fake.launcher);
    for (const id of ["a", "b"]) await node.create(inputs(id), op());
    fake.kill(dataDir, "b");
    fake.calls.length = 0;
    const roll = (id: string, state: string) =>
      node.update(idOf(id), { ...inputs(id), state }, inputs(id, "2"), op());
    await Promise.all([roll("a", "running"), roll("b", "dead")]);
    expect(fake.calls).toEqual(["stop b", "start b 2", "stop a", "start a 2"]);
  });

  test.each([
    ["cut off before is back before", ["a", "b"], ["stop b", "start b 2", "stop a", "start a 2"]],
    ["set aside is not waited for by", ["a"], ["stop a", "start a 2"]],
  ])("a node that was %s the one that has the shards", async (_, changed, order) => {
    const fake = fakeLauncher();
    fleet.nodes.set("a", "active").set("b", "active");
    const node = new NodeHandler(fake.launcher);
    for (const id of ["a", "b"]) await node.create(inputs(id), op());
    fleet.nodes.set("b", "maintenance");
    fake.calls.length = 0;
    const roll = (id: string) =>
      node.update(idOf(id), { ...inputs(id), state: "running" }, inputs(id, "2"), op());
    await Promise.all(changed.map(roll));
    expect(fake.calls).toEqual(order);
    expect(fleet.calls.includes("drain a")).toBe(changed.includes("b"));
  });
});

describe("delete", () => {
  test.each([
    [true, ["drain b"]],
    [false, []],
  ])("in a change (%s) a node hands its shards over first", async (programRuns, drained) => {
    const { launcher, calls } = fakeLauncher();
    const node = new NodeHandler(launcher);
    for (const id of ["a", "b"]) {
      fleet.nodes.set(id, "active");
      await node.create(inputs(id), op());
    }
    fleet.calls.length = 0;
    await node.delete(idOf("b"), {}, op(undefined, programRuns));
    expect(fleet.calls).toEqual(drained);
    expect(calls.slice(-2)).toEqual(["stop b", "forget b"]);
    expect(existsSync(idOf("b"))).toBe(false);
  });

  test("a protected node goes by a resize, not with the whole fleet", async () => {
    const { launcher, calls } = fakeLauncher();
    const node = new NodeHandler(launcher);
    fleet.nodes.set("a", "active");
    const { state } = await node.create({ ...inputs(), protected: true }, op());
    await expect(node.delete(idOf("a"), state, op(undefined, false))).rejects.toThrow(
      /environment prod. Set it to staging or dev/,
    );
    expect(calls).toEqual(["start a 1"]);
    await node.delete(idOf("a"), state, op());
    expect(calls).toContain("stop a");
  });

  test("an interruption does not wait for the turns of a node that stops", async () => {
    const fake = fakeLauncher();
    const stop = new AbortController();
    const launcher = { ...fake.launcher, stop: () => new Promise<void>(() => stop.abort()) };
    fleet.nodes.set("a", "active");
    const node = new NodeHandler(launcher);
    await node.create(inputs(), op());
    await expect(node.delete(idOf("a"), {}, op(stop.signal, false))).rejects.toThrow(
      /interrupted while stopping node a/,
    );
  });
});
