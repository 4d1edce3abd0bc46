import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type FleetConfig, fleetConfig } from "../../../gateway/config.ts";
import type { ConfigCheck } from "../../../gateway/openclaw/launch.ts";
import { Gateways, SettingsRefused } from "../../../gateway/supervisor/gateways.ts";

let dir: string;
let current: FleetConfig;
let gateways: Gateways;
let asked: string[];
let answer: () => Promise<ConfigCheck>;

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
  asked = [];
  answer = async () => ({ ok: true });
  gateways = new Gateways({
    config: () => current,
    portBase: 20_000,
    modelBaseUrl: () => "http://m",
    check: (_release, { session }) => {
      asked.push((session as { mark: string }).mark);
      return answer();
    },
  });
  await gateways.launch("s1", RELEASE, dir);
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const refuse = async (): Promise<ConfigCheck> => ({ ok: false, message: "no such mark" });

test("OpenClaw is asked about new settings before they are written, not about those of the start", async () => {
  expect(asked).toEqual([]);
  answer = async () => {
    expect(file().session.mark).toBe("first");
    return { ok: true };
  };
  current = settings({ session: { mark: "second" } });
  expect(await gateways.update("s1")).toEqual({ changed: true, restart: false });
  expect(asked).toEqual(["second"]);
  expect(file().session.mark).toBe("second");
  expect(gateways.fault("s1")).toBeNull();
});

test("each start has a token of its own, and OpenClaw's settings are those of the start before", async () => {
  const path = file().secrets.providers["openclaw-fleet"].path as string;
  const first = readFileSync(path, "utf8");
  const before = stamp();
  const { token, env } = await gateways.launch("s1", RELEASE, dir);
  expect(token).not.toBe(first);
  expect(readFileSync(path, "utf8")).toBe(token);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(stamp()).toBe(before);
  expect(JSON.stringify([env, file()])).not.toContain(token);
});

test("a change that touches nothing of the shard is not asked about", async () => {
  const before = stamp();
  current = { ...settings({ session: { mark: "first" } }), scrapers: ["10.0.0.1"] };
  expect(await gateways.update("s1")).toEqual({ changed: false, restart: false });
  expect(asked).toEqual([]);
  expect(stamp()).toBe(before);
});

test("refused settings are never written, and a restart in place does without them", async () => {
  answer = refuse;
  current = settings({ session: { mark: "bad" } });
  await expect(gateways.update("s1")).rejects.toThrow(new SettingsRefused("no such mark"));
  expect(file().session.mark).toBe("first");
  expect(gateways.fault("s1")).toBe("no such mark");
  expect(await gateways.update("s1")).toEqual({ changed: false, restart: false });
  await gateways.launch("s1", RELEASE, dir);
  expect(file().session.mark).toBe("first");
  expect(gateways.fault("s1")).toBe("no such mark");
});

test("the next settings end a refusal", async () => {
  answer = refuse;
  current = settings({ session: { mark: "bad" } });
  await expect(gateways.update("s1")).rejects.toThrow();
  answer = async () => ({ ok: true });
  current = settings({ session: { mark: "mended" } });
  expect(gateways.fault("s1")).toBeNull();
  expect((await gateways.update("s1")).changed).toBe(true);
  expect(file().session.mark).toBe("mended");
});

test("a refusal that comes late does not hold back what was set meanwhile", async () => {
  let say: (said: ConfigCheck) => void = () => {};
  answer = () => new Promise((resolve) => (say = resolve));
  current = settings({ session: { mark: "bad" } });
  const late = expect(gateways.update("s1")).rejects.toThrow("no such mark");
  answer = async () => ({ ok: true });
  current = settings({ session: { mark: "mended" } });
  say(await refuse());
  await late;
  expect(gateways.fault("s1")).toBeNull();
  await gateways.update("s1");
  expect(file().session.mark).toBe("mended");
});

test("an OpenClaw that gives no answer holds nothing up", async () => {
  answer = () => Promise.reject(new Error("too busy"));
  current = settings({ session: { mark: "second" } });
  expect((await gateways.update("s1")).changed).toBe(true);
});

test("settings that cannot even be rendered are told, and the old ones stay", async () => {
  const twice = settings({});
  const [main] = twice.agents;
  current = {
    ...twice,
    shards: [{ id: "s1", agents: ["main", "bob"], recycleMiB: 1 }],
    agents: [main as never, { ...(main as object), name: "bob", env: { A: "2" } } as never],
  };
  await expect(gateways.update("s1")).rejects.toThrow(/env\.A to different values/);
  expect(gateways.fault("s1")).toMatch(/env\.A/);
  await gateways.launch("s1", RELEASE, dir);
  expect(file().session.mark).toBe("first");
});
