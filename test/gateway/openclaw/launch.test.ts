import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { GATEWAY_PORT_SPAN } from "../../../gateway/contract.ts";
import { OURS } from "../../../gateway/openclaw/config.ts";
import {
  checkMessage,
  configPath,
  freePortSpan,
  gatewayLaunch,
  newGatewayToken,
  writeGatewayConfig,
} from "../../../gateway/openclaw/launch.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "launch-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

describe("the command", () => {
  const launch = gatewayLaunch({
    release: { node: "/opt/node/bin/node", openclaw: "/opt/openclaw/openclaw.mjs" },
    stateDir: "/data/s1",
    port: 19_120,
    env: { MY_KEY: "k", OPENCLAW_STATE_DIR: "/elsewhere" },
    inherit: {
      PATH: "/usr/bin",
      TZ: "UTC",
      OPENCLAW_SKIP_CRON: "1",
      AWS_SECRET_ACCESS_KEY: "s",
      NODE_OPTIONS: "--inspect",
    },
  });

  test("has an environment of its own: no secrets of the node, no way around what we set", () => {
    expect(launch.env).toMatchObject({
      PATH: "/opt/node/bin:/usr/bin",
      TZ: "UTC",
      MY_KEY: "k",
      OPENCLAW_STATE_DIR: "/data/s1",
      OPENCLAW_CONFIG_READONLY: "1",
      OPENCLAW_GATEWAY_PORT: "19120",
    });
    expect(launch.env.AWS_SECRET_ACCESS_KEY).toBeUndefined();
    expect(launch.env.NODE_OPTIONS).toBeUndefined();
  });

  test("runs no jobs by itself where the node was told so", () => {
    expect(launch.env.OPENCLAW_SKIP_CRON).toBe("1");
  });

  test("shows no secret in its arguments", () => {
    expect(launch.args).toEqual([
      "/opt/openclaw/openclaw.mjs",
      "gateway",
      "run",
      "--port",
      "19120",
    ]);
    expect(newGatewayToken()).toMatch(/^[0-9a-f]{48}$/);
    expect(newGatewayToken()).not.toBe(newGatewayToken());
  });
});

test("a cache of compiled code is the one given, not one that an agent's settings name", () => {
  const launch = gatewayLaunch({
    release: { node: "/opt/node/bin/node", openclaw: "/opt/openclaw/openclaw.mjs" },
    stateDir: "/data/s1",
    port: 19_120,
    env: { NODE_COMPILE_CACHE: "/tmp/theirs" },
    compileCache: "/data/compile-cache",
    inherit: {},
  });
  expect(launch.env.NODE_COMPILE_CACHE).toBe("/data/compile-cache");
  // OpenClaw knows its own processes by these words, wherever they stand.
  expect(launch.args.slice(2)).toEqual([
    "/opt/openclaw/openclaw.mjs",
    "gateway",
    "run",
    "--port",
    "19120",
  ]);
});

describe("writing", () => {
  test("is private, leaves nothing beside it, and happens only on a change", async () => {
    expect(await writeGatewayConfig(dir, { a: 1 })).toBe(true);
    const before = await stat(configPath(dir));
    expect(before.mode & 0o777).toBe(0o600);
    expect(await writeGatewayConfig(dir, { a: 1 })).toBe(false);
    expect((await stat(configPath(dir))).ino).toBe(before.ino);
    expect(await writeGatewayConfig(dir, { a: 2 })).toBe(true);
    expect(JSON.parse(await readFile(configPath(dir), "utf8"))).toEqual({ a: 2 });
    expect((await readdir(dir)).sort()).toEqual(["openclaw.json", "tmp"]);
  });

  test("removes only files of ours", async () => {
    const path = join(dir, "workspaces", "main", "AGENTS.md");
    await writeGatewayConfig(dir, {}, [{ path, content: `${OURS}\nBe brief.\n` }]);
    expect(await writeGatewayConfig(dir, {}, [{ path, content: null }])).toBe(true);
    await expect(stat(path)).rejects.toThrow("ENOENT");
    await writeFile(path, "the agent's own");
    expect(await writeGatewayConfig(dir, {}, [{ path, content: null }])).toBe(false);
    expect(await readFile(path, "utf8")).toBe("the agent's own");
  });
});

test("a span with a used port, and one that is taken, is passed over", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const { port } = server.address() as AddressInfo;
    const base = port - 2;
    const free = await freePortSpan(base);
    expect(free).toBeGreaterThan(base);
    expect((free - base) % GATEWAY_PORT_SPAN).toBe(0);
    expect(await freePortSpan(base, new Set([free]))).toBeGreaterThan(free);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
});

test("OpenClaw's own words are what a person reads of a refused configuration", () => {
  const report = { valid: false, issues: [{ path: "agents", message: "no" }, { message: "bad" }] };
  expect(checkMessage(JSON.stringify(report), "")).toBe("agents: no; bad");
  expect(checkMessage('{"error":{"message":"cannot read"}}', "")).toBe("cannot read");
  expect(checkMessage("", "boom\n")).toBe("boom");
});
