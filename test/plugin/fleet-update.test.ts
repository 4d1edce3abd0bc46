import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { fleetFile } from "../../plugin/files.ts";
import { FleetHandler } from "../../plugin/fleet.ts";
import { type FleetInputs, revision } from "../../plugin/fleet-inputs.ts";
import type { Props } from "../../plugin/values.ts";
import { FakeFleet } from "./fake-fleet.ts";
import { fakeLauncher } from "./fake-launcher.ts";

const idle = {
  memory: () => null,
  disk: () => null,
  port: async () => null,
  settings: async () => null,
};
const op = {
  signal: new AbortController().signal,
  say: () => {},
  programRuns: true,
  preview: false,
};

let home: string;
let dataDir: string;
let fleet: FakeFleet;
let world: ReturnType<typeof fakeLauncher>;
let handler: FleetHandler;
let state: Props;

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), "fleet-update-"));
  dataDir = join(home, "data");
  fleet = new FakeFleet();
  await fleet.listen();
  world = fakeLauncher();
  handler = new FleetHandler(world.launcher, idle, 0);
  ({ state } = await handler.create(inputs(), op));
  for (const node of ["a", "b"]) {
    mkdirSync(join(dataDir, "nodes", node), { recursive: true });
    world.alive.add(`${dataDir} ${node}`);
    fleet.nodes.set(node, "active");
  }
});
afterEach(() => {
  fleet.server.close();
  rmSync(home, { recursive: true, force: true });
});

function inputs(change: Partial<FleetInputs> = {}): Props {
  return {
    dataDir,
    fleet: "dev",
    target: "local",
    preset: "small",
    host: "127.0.0.1",
    port: fleet.port,
    keepData: false,
    memoryMiB: 100,
    diskMiB: 10,
    shards: { s1: { memoryMiB: 50, recycleMiB: 2560 } },
    agents: {
      main: {
        shards: ["s1"],
        homeShard: "s1",
        placement: "shared",
        channels: {},
        cron: [],
        env: {},
      },
    },
    models: "demo",
    openclaw: {},
    channelBinding: {},
    tokens: {},
    trustedProxies: [],
    scrapers: [],
    turnBudgetMs: 600_000,
    ...change,
  };
}
const models = { primary: "x/y", fallbacks: [], providers: {} };
const update = (change: Partial<FleetInputs>) => handler.update(dataDir, state, inputs(change), op);
const written = () => revision(readFileSync(fleetFile(dataDir), "utf8"));

test.each<[string, Partial<FleetInputs>]>([
  ["models", { models }],
  ["tokens", { tokens: { client: ["c".repeat(30)] } }],
  ["the budget of a turn", { turnBudgetMs: 1_000 }],
])("a change of %s ends with one answered chat", async (_, change) => {
  await update(change);
  expect(fleet.calls).toEqual(["chat"]);
});

test.each<[string, Partial<FleetInputs>]>([
  ["nothing", {}],
  ["what only the state holds", { keepData: true, diskMiB: 20 }],
])("a change of %s asks nobody", async (_, change) => {
  await update(change);
  expect(fleet.calls).toEqual([]);
});

test("settings that an interrupted update wrote are asked about all the same", async () => {
  await update({ models });
  await update({ models });
  expect(fleet.calls).toEqual(["chat", "chat"]);
});

test("an address that an interrupted update already opened is not taken for somebody else's", async () => {
  const asked: number[] = [];
  const port = async (_: string, number: number) => {
    asked.push(number);
    return asked.length > 1 ? "in use" : null;
  };
  handler = new FleetHandler(world.launcher, { ...idle, port }, 0);
  await update({ host: "localhost" });
  await update({ host: "localhost" });
  expect(asked).toHaveLength(1);
  // Nobody listens where no node runs.
  world.alive.clear();
  await expect(update({ host: "localhost" })).rejects.toThrow("in use");
});

test("the chat waits for every node to follow the new settings", async () => {
  const before = written();
  let looks = 0;
  const chatsAt: number[] = [];
  fleet.follows = (node) => {
    if (node === "a") return written();
    looks += 1;
    chatsAt.push(fleet.calls.length);
    return looks < 3 ? before : written();
  };
  await update({ models });
  expect(looks).toBe(3);
  expect(chatsAt).toEqual([0, 0, 0]);
  expect(fleet.calls).toEqual(["chat"]);
});

test("the chat waits for shards that start over", async () => {
  fleet.shard.state = "draining";
  let early: string[] | null = null;
  setTimeout(() => {
    early = [...fleet.calls];
    fleet.shard.state = "serving";
  }, 300);
  await update({ models });
  expect([early, fleet.calls]).toEqual([[], ["chat"]]);
});

test("a chat that is cut off is asked again", async () => {
  fleet.chat = { status: 502, body: { error: { message: "owner lost" } } };
  setTimeout(() => {
    fleet.chat = { status: 200, body: { reply: "OK" } };
  }, 300);
  await update({ models });
  expect(fleet.calls).toEqual(["chat", "chat"]);
});

test.each<[string, string[]]>([
  ["no node runs", ["a", "b"]],
  ["a node died, whose own change starts it and asks", ["b"]],
])("%s: nobody is asked", async (_, dead) => {
  for (const node of dead) world.kill(dataDir, node);
  await update({ models });
  expect(fleet.calls).toEqual([]);
});

test("where every node is set aside, settings are written and nobody is asked", async () => {
  for (const node of ["a", "b"]) fleet.nodes.set(node, "maintenance");
  Object.assign(fleet.shard, { state: "idle", owner: null });
  await update({ models });
  expect(fleet.calls).toEqual([]);
});
