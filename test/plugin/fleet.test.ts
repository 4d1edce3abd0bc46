import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { fleetConfig } from "../../gateway/config.ts";
import { FleetHandler, type Preflight } from "../../plugin/fleet.ts";
import type { FleetInputs } from "../../plugin/fleet-inputs.ts";
import { isSecret, type Props, reveal, secret, UNKNOWN } from "../../plugin/values.ts";
import { fakeLauncher } from "./fake-launcher.ts";

let home: string;
let dataDir: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "fleet-plugin-"));
  dataDir = join(home, "data");
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const idle = {
  memory: () => null,
  disk: () => null,
  port: async () => null,
  settings: async () => null,
};
const said: string[] = [];
const op = {
  signal: new AbortController().signal,
  say: (m: string) => said.push(m),
  programRuns: true,
};
const real = { ...op, preview: false };

function inputs(change: Partial<FleetInputs> = {}): Props {
  return {
    dataDir,
    fleet: "dev",
    target: "local",
    preset: "small",
    host: "127.0.0.1",
    port: 18789,
    keepData: false,
    memoryMiB: 100,
    diskMiB: 10,
    shards: { s1: { memoryMiB: 50, recycleMiB: 2560 }, s2: { memoryMiB: 50, recycleMiB: 2560 } },
    agents: { main: agent(["s1", "s2"], "s1") },
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
const agent = (shards: string[], homeShard: string) => ({
  shards,
  homeShard,
  placement: "shared" as const,
  channels: {},
  cron: [],
  env: {},
});
const handler = (preflight: Partial<Preflight> = {}, fake = fakeLauncher()) => ({
  ...fake,
  fleet: new FleetHandler(fake.launcher, { ...idle, ...preflight }),
});
const onDisk = () =>
  fleetConfig.parse(JSON.parse(readFileSync(join(dataDir, "fleet.json"), "utf8")));

describe("create", () => {
  test("writes fleet.json for its owner only, a pristine lease store, and makes tokens", async () => {
    const { fleet, calls } = handler();
    const { id, state } = await fleet.create(inputs(), real);
    expect(id).toBe(dataDir);
    expect(calls).toEqual(["leases"]);
    expect(statSync(join(dataDir, "fleet.json")).mode & 0o777).toBe(0o600);
    expect(onDisk().shards.map((s) => s.agents)).toEqual([["main"], ["main"]]);
    for (const name of ["clientTokens", "adminToken", "peerToken"]) {
      expect(isSecret(state[name]), name).toBe(true);
    }
    expect(onDisk().tokens.admin).toBe(reveal(state.adminToken));
    expect(onDisk().tokens.admin.length).toBeGreaterThanOrEqual(24);
  });

  test("takes tokens from the settings", async () => {
    const own = "o".repeat(30);
    await handler().fleet.create(inputs({ tokens: { client: [own], admin: `${own}a` } }), real);
    expect(onDisk().tokens).toMatchObject({ client: [own], admin: `${own}a` });
  });

  test("a preview touches nothing and shows tokens as unknown secrets", async () => {
    const { fleet, calls } = handler();
    const { state } = await fleet.create(inputs(), { ...op, preview: true });
    expect(existsSync(dataDir)).toBe(false);
    expect(calls).toEqual([]);
    expect(state.adminToken).toEqual(secret(UNKNOWN));
  });

  test("says every fault of the machine at once and starts nothing, in a preview too", async () => {
    const { fleet } = handler({ memory: () => "no memory", port: async () => "no port" });
    for (const preview of [true, false]) {
      await expect(fleet.create(inputs(), { ...op, preview })).rejects.toThrow(
        "no memory\nno port",
      );
    }
    expect(existsSync(dataDir)).toBe(false);
  });

  test("writes nothing of what OpenClaw refuses, and says its words", async () => {
    const { fleet } = handler({ settings: async (config) => `no ${config.shards.length}` });
    for (const preview of [true, false]) {
      await expect(fleet.create(inputs(), { ...op, preview })).rejects.toThrow("no 2");
    }
    expect(existsSync(dataDir)).toBe(false);
  });

  test("refuses a directory that holds something else", async () => {
    mkdirSync(dataDir);
    writeFileSync(join(dataDir, "photo.jpg"), "");
    await expect(handler().fleet.create(inputs(), real)).rejects.toThrow(
      /holds no fleet.*OPENCLAW_DATA_DIR/,
    );
  });

  test("refuses another fleet's directory and names both", async () => {
    await handler().fleet.create(inputs({ fleet: "prod" }), real);
    await expect(handler().fleet.create(inputs(), real)).rejects.toThrow(
      /holds the data of fleet prod, not of dev/,
    );
  });

  test("refuses a fleet of the same name that runs", async () => {
    const { fleet, launcher, alive } = handler();
    await fleet.create(inputs(), real);
    mkdirSync(join(dataDir, "nodes", "a"), { recursive: true });
    alive.add(`${dataDir} a`);
    await expect(new FleetHandler(launcher, idle).create(inputs(), real)).rejects.toThrow(
      /already runs in .* \(nodes a\)/,
    );
  });

  test("goes on with what an interrupted creation or a kept fleet left", async () => {
    const first = await handler().fleet.create(inputs(), real);
    const { fleet, calls } = handler();
    const second = await fleet.create(inputs(), real);
    expect(reveal(second.state)).toEqual(reveal(first.state));
    expect(calls).toEqual([]);
  });

  test("no pristine lease store beside the state of shards", async () => {
    await handler().fleet.create(inputs(), real);
    rmSync(join(dataDir, "leases.sqlite"));
    mkdirSync(join(dataDir, "shards"));
    const { fleet, calls } = handler();
    await fleet.create(inputs(), real);
    expect(calls).toEqual([]);
  });
});

describe("check", () => {
  test("keeps every agent where it lives when shards are added", () => {
    const olds = inputs({ agents: { main: agent(["s1", "s2"], "s1"), x: agent(["s2"], "s2") } });
    const news = inputs({
      shards: Object.fromEntries(
        ["s1", "s2", "s3"].map((s) => [s, { memoryMiB: 1, recycleMiB: 1 }]),
      ),
      agents: { main: agent(["s1", "s2", "s3"], "s1"), x: agent(["s3"], "s3") },
    });
    const { inputs: kept, failures } = handler().fleet.check(olds, news);
    expect(failures).toEqual([]);
    expect(kept.agents).toMatchObject({
      main: { shards: ["s1", "s2", "s3"], homeShard: "s1" },
      x: { shards: ["s2"], homeShard: "s2" },
    });
  });

  test("a home whose shard is taken away moves to one that is left", () => {
    const olds = inputs({ agents: { main: agent(["s1", "s2"], "s2"), x: agent(["s2"], "s2") } });
    const news = inputs({
      shards: { s1: { memoryMiB: 1, recycleMiB: 1 } },
      agents: { main: agent(["s1"], "s1"), x: agent(["s1"], "s1") },
    });
    const { inputs: kept } = handler().fleet.check(olds, news);
    expect(kept.agents).toMatchObject({ main: { homeShard: "s1" }, x: { homeShard: "s1" } });
  });

  test("a fleet does not move, and a broken input is named", () => {
    const { failures } = handler().fleet.check(inputs(), {
      ...inputs(),
      dataDir: "/elsewhere",
      port: "x",
    });
    expect(failures.map((f) => f.property).sort()).toEqual(["dataDir", "port"]);
  });
});

describe("diff", () => {
  const table: [string, Partial<FleetInputs>, string[]][] = [
    ["nothing", {}, []],
    [
      "a prompt",
      { agents: { main: { ...agent(["s1", "s2"], "s1"), systemPrompt: "hi" } } },
      ["agents.main.systemPrompt"],
    ],
    ["a port", { port: 1 }, ["port"]],
    ["the memory of one more node", { memoryMiB: 400, diskMiB: 20 }, []],
    ["models", { models: { primary: "a/b", fallbacks: [], providers: {} } }, ["models"]],
  ];
  test.each(table)("%s", async (_, change, paths) => {
    const { fleet } = handler();
    const { state } = await fleet.create(inputs(), real);
    const { changes, replaces } = fleet.diff(state, inputs(), inputs(change));
    expect(changes.map((c) => c.path)).toEqual(paths);
    expect(replaces).toEqual([]);
  });

  test("a file edited by hand is seen by refresh and put right by update", async () => {
    const { fleet } = handler();
    const { state } = await fleet.create(inputs(), real);
    const good = readFileSync(join(dataDir, "fleet.json"), "utf8");
    writeFileSync(join(dataDir, "fleet.json"), good.replace("18789", "18790"));
    const seen = await fleet.read(dataDir, state, inputs());
    const diff = fleet.diff(seen?.state ?? {}, inputs(), inputs());
    expect(diff.changes.map((c) => c.path)).toEqual(["revision"]);
    await fleet.update(dataDir, state, inputs(), real);
    expect(readFileSync(join(dataDir, "fleet.json"), "utf8")).toBe(good);
  });
});

describe("read", () => {
  test("a fleet whose data is gone is gone", async () => {
    expect(await handler().fleet.read(dataDir, inputs(), inputs())).toBeNull();
  });

  test("an import finds the settings in the file and marks the secrets", async () => {
    const bot = { ...agent(["s1"], "s1"), env: { KEY: "v" } };
    const { fleet } = handler();
    await fleet.create(inputs({ agents: { main: agent(["s1", "s2"], "s1"), bot } }), real);
    const found = await fleet.read(dataDir, undefined, undefined);
    expect(found?.inputs).toMatchObject({ fleet: "dev", port: 18789 });
    expect(found?.inputs.agents).toMatchObject({ bot: { env: { KEY: secret("v") } } });
    expect(fleet.check(undefined, found?.inputs ?? {}).failures).toEqual([]);
  });
});

describe("update and delete", () => {
  test("an update keeps the tokens", async () => {
    const { fleet } = handler();
    const { state } = await fleet.create(inputs(), real);
    const next = await fleet.update(dataDir, state, inputs({ port: 18790 }), real);
    expect(reveal(next.adminToken)).toBe(reveal(state.adminToken));
    expect(onDisk().port).toBe(18790);
  });

  test("more shards than the memory holds change nothing", async () => {
    const { fleet } = handler({ memory: (mib) => (mib > 100 ? `no ${mib}` : null) });
    const { state } = await fleet.create(inputs(), real);
    const grown = inputs({
      shards: { ...(inputs().shards as object), s3: { memoryMiB: 101, recycleMiB: 200 } },
    });
    await expect(fleet.update(dataDir, state, grown, real)).rejects.toThrow("no 101");
    expect(onDisk().shards).toHaveLength(2);
  });

  test("what OpenClaw would refuse changes nothing, in a preview too", async () => {
    const bad = { openclaw: { agents: { defaults: { nonsense: 1 } } } };
    const asked: unknown[] = [];
    const { fleet } = handler({
      settings: async ({ openclaw }) => {
        asked.push(openclaw);
        return Object.keys(openclaw).length > 0 ? "Unrecognized key" : null;
      },
    });
    const { state } = await fleet.create(inputs(), real);
    for (const preview of [true, false]) {
      await expect(fleet.update(dataDir, state, inputs(bad), { ...op, preview })).rejects.toThrow(
        "Unrecognized key",
      );
    }
    expect(onDisk().openclaw).toEqual({});
    expect(asked).toEqual([{}, bad.openclaw, bad.openclaw]);
  });

  test("OpenClaw is not asked about what it never reads", async () => {
    const { fleet } = handler({ settings: async ({ port }) => (port === 1 ? "asked" : null) });
    const { state } = await fleet.create(inputs(), real);
    await fleet.update(dataDir, state, inputs({ port: 1 }), real);
    expect(onDisk().port).toBe(1);
  });

  test("delete stops nodes nobody knows of and removes the data", async () => {
    const { fleet, calls } = handler();
    const { id, state } = await fleet.create(inputs(), real);
    mkdirSync(join(dataDir, "nodes", "z"), { recursive: true });
    await fleet.delete(id, state, op);
    expect(calls).toContain("stop z");
    expect(existsSync(dataDir)).toBe(false);
  });

  test("delete keeps the data when told so", async () => {
    const { fleet } = handler();
    const { id, state } = await fleet.create(inputs({ keepData: true }), real);
    await fleet.delete(id, state, op);
    expect(existsSync(join(dataDir, "fleet.json"))).toBe(true);
  });

  test("delete removes nothing of another fleet", async () => {
    const { fleet } = handler();
    const { state } = await fleet.create(inputs(), real);
    const text = readFileSync(join(dataDir, "fleet.json"), "utf8");
    writeFileSync(join(dataDir, "fleet.json"), text.replace('"fleet": "dev"', '"fleet": "prod"'));
    await expect(fleet.delete(dataDir, state, op)).rejects.toThrow(/belongs to fleet prod/);
    expect(existsSync(dataDir)).toBe(true);
  });
});
