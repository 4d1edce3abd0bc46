import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type FleetConfig, fleetConfig } from "../../../gateway/config.ts";
import { Gateways } from "../../../gateway/supervisor/gateways.ts";

let dir: string;
let current: FleetConfig;
let gateways: Gateways;

const RELEASE = { id: "1", node: "/n/node", openclaw: "/o/openclaw.mjs", runtime: "/r" };

function settings(openclaw: object, agents: object[] = []): FleetConfig {
  return fleetConfig.parse({
    version: 1,
    fleet: "test",
    target: "local",
    preset: "small",
    port: 1,
    shards: [{ id: "s1", agents: ["main"], recycleMiB: 1 }],
    agents: [{ name: "main", shards: ["s1"], homeShard: "s1", env: { A: "1" } }, ...agents],
    models: "demo",
    openclaw,
    tokens: { client: ["c".repeat(24)], admin: "a".repeat(24), peer: "p".repeat(24) },
  });
}
const file = () => JSON.parse(readFileSync(join(dir, "openclaw.json"), "utf8"));
const stamp = () => statSync(join(dir, "openclaw.json")).ino;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "fleet-gateways-"));
  current = settings({ session: { mark: "first" } });
  gateways = new Gateways({
    config: () => current,
    portBase: 20_000,
    modelBaseUrl: () => "http://m",
  });
  await gateways.launch("s1", RELEASE, dir);
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test("settings of the start need no judgement; new ones do, until OpenClaw took them", async () => {
  expect(gateways.unjudged("s1")).toBe(false);
  current = settings({ session: { mark: "second" } });
  expect(await gateways.update("s1")).toEqual({ changed: true, restart: false });
  expect(gateways.unjudged("s1")).toBe(true);
  gateways.accept("s1");
  expect(gateways.unjudged("s1")).toBe(false);
  expect(gateways.fault("s1")).toBeNull();
});

test("a change that touches nothing of the shard is not asked about", async () => {
  const before = stamp();
  current = { ...settings({ session: { mark: "first" } }), scrapers: ["10.0.0.1"] };
  expect(await gateways.update("s1")).toEqual({ changed: false, restart: false });
  expect(gateways.unjudged("s1")).toBe(false);
  expect(stamp()).toBe(before);
});

test("refused settings are taken back, and a restart in place does without them", async () => {
  current = settings({ session: { mark: "bad" } });
  await gateways.update("s1");
  expect(file().session.mark).toBe("bad");
  await gateways.refuse("s1", "no such mark");
  expect(file().session.mark).toBe("first");
  expect(gateways.fault("s1")).toBe("no such mark");
  expect(gateways.unjudged("s1")).toBe(false);
  await gateways.launch("s1", RELEASE, dir);
  expect(file().session.mark).toBe("first");
  expect(gateways.fault("s1")).toBe("no such mark");
});

test("the next settings end a refusal", async () => {
  current = settings({ session: { mark: "bad" } });
  await gateways.update("s1");
  await gateways.refuse("s1", "no such mark");
  current = settings({ session: { mark: "mended" } });
  expect(gateways.fault("s1")).toBeNull();
  expect((await gateways.update("s1")).changed).toBe(true);
  gateways.accept("s1");
  expect(file().session.mark).toBe("mended");
});

test("a refusal that comes late does not hold back what was set meanwhile", async () => {
  current = settings({ session: { mark: "bad" } });
  await gateways.update("s1");
  current = settings({ session: { mark: "mended" } });
  await gateways.refuse("s1", "no such mark");
  expect(gateways.fault("s1")).toBeNull();
  await gateways.update("s1");
  expect(file().session.mark).toBe("mended");
});

test("settings that cannot even be written are told, and the old ones stay", async () => {
  const twice = settings({});
  const [main] = twice.agents;
  current = {
    ...twice,
    shards: [{ id: "s1", agents: ["main", "bob"], recycleMiB: 1 }],
    agents: [main as never, { ...(main as object), name: "bob", env: { A: "2" } } as never],
  };
  await expect(gateways.update("s1")).rejects.toThrow(/env\.A to different values/);
  gateways.blame("s1", "two values");
  expect(gateways.fault("s1")).toBe("two values");
  await gateways.launch("s1", RELEASE, dir);
  expect(file().session.mark).toBe("first");
});
