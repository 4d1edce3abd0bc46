import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { sessionAt } from "../../../gateway/canary/ask.ts";
import { Canary } from "../../../gateway/canary/canary.ts";
import { type CanaryConfig, readCanaryConfig } from "../../../gateway/canary/config.ts";
import { CANARY_FAILURES, canaryMetrics } from "../../../gateway/canary/metrics.ts";
import { CLIENT_TOKEN } from "../router/fakes.ts";
import { World } from "../router/world.ts";

const cleanUp: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const clean of cleanUp.splice(0).reverse()) await clean();
});

const config = (endpoints: string[], over: Partial<CanaryConfig> = {}): CanaryConfig => ({
  version: 1,
  endpoints,
  token: CLIENT_TOKEN,
  agent: "main",
  message: "ping",
  everyMs: 3_600_000,
  timeoutMs: 20_000,
  slowSeconds: 6,
  listen: { host: "127.0.0.1", port: 0 },
  ...over,
});

/** Starts one, waits for its first attempt, and reads its metrics as Prometheus does. */
async function measured(of: CanaryConfig): Promise<{ text: string; canary: Canary }> {
  const canary = new Canary(of);
  const port = await canary.start();
  cleanUp.push(() => canary.stop());
  await canary.attempt();
  const response = await fetch(`http://127.0.0.1:${port}/metrics`);
  return { text: await response.text(), canary };
}

async function serve(listener: RequestListener): Promise<string> {
  const server: Server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanUp.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const failures = (reason: string, n: number) =>
  `openclaw_fleet_canary_failures_total{reason="${reason}"} ${n}`;

describe("through a real router", () => {
  test("an answer is timed, and nothing failed", async () => {
    const world = await World.start(["a"]);
    cleanUp.push(() => world.close());
    await world.fleet.own("s1", "a");
    await world.fleet.own("s2", "a");
    const { text } = await measured(config([`http://127.0.0.1:${world.node("a").port}`]));
    expect(text).toContain("openclaw_fleet_canary_duration_seconds_count 1");
    for (const reason of CANARY_FAILURES) expect(text).toContain(failures(reason, 0));
    expect(text).not.toContain("openclaw_fleet_canary_answered_timestamp_seconds 0\n");
  });

  test("a token that is not the fleet's is a failure, not an answer", async () => {
    const world = await World.start(["a"]);
    cleanUp.push(() => world.close());
    await world.fleet.own("s1", "a");
    const endpoint = `http://127.0.0.1:${world.node("a").port}`;
    const { text } = await measured(config([endpoint], { token: "x".repeat(24) }));
    expect(text).toContain(failures("status", 1));
    expect(text).toContain("openclaw_fleet_canary_duration_seconds_count 0");
  });
});

describe("what goes wrong is told by kind", () => {
  test("nobody there", async () => {
    const { text } = await measured(config(["http://127.0.0.1:1"]));
    expect(text).toContain(failures("unreachable", 1));
  });

  test("an answer that takes too long", async () => {
    const endpoint = await serve(() => {});
    const { text } = await measured(config([endpoint], { timeoutMs: 50 }));
    expect(text).toContain(failures("timeout", 1));
  });

  test.each([
    ["another program's page", "<html>"],
    ["a blank reply", '{"reply":"  "}'],
  ])("200 with %s", async (_, body) => {
    const endpoint = await serve((_req, res) => res.end(body));
    const { text } = await measured(config([endpoint]));
    expect(text).toContain(failures("empty", 1));
  });

  test("a redirect is not followed: the token stays here", async () => {
    const asked: string[] = [];
    const thief = await serve((req, res) => {
      asked.push(req.url ?? "");
      res.end('{"reply":"x"}');
    });
    const endpoint = await serve((_req, res) => res.writeHead(307, { location: thief }).end());
    const { text } = await measured(config([endpoint]));
    expect(text).toContain(failures("unreachable", 1));
    expect(asked).toEqual([]);
  });
});

test("endpoints take turns, and while one message waits there is no second", async () => {
  const asked: string[] = [];
  const answering =
    (name: string): RequestListener =>
    (_req, res) => {
      asked.push(name);
      res.end('{"reply":"x"}');
    };
  const one = await serve(answering("one"));
  const two = await serve(answering("two"));
  const { canary } = await measured(config([one, two]));
  await Promise.all([canary.attempt(), canary.attempt()]);
  await canary.attempt();
  expect(asked).toEqual(["one", "two", "one"]);
});

test("a conversation lasts an hour", () => {
  expect(sessionAt(new Date("2026-03-04T05:59:59Z"))).toBe("canary-2026-03-04-05");
  expect(sessionAt(new Date("2026-03-04T06:00:00Z"))).toBe("canary-2026-03-04-06");
});

test("the bound of slow is a bound of the histogram, whatever it is", async () => {
  for (const slow of [6, 7.5]) {
    expect(await canaryMetrics(slow).registry.metrics()).toContain(`le="${slow}"`);
  }
});

test("a bad configuration is told without its token", () => {
  const folder = mkdtempSync(join(tmpdir(), "openclaw-fleet-canary-"));
  cleanUp.push(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "canary.json");
  const secret = "top-secret";
  writeFileSync(file, JSON.stringify({ ...config(["nonsense"]), token: secret }));
  const read = () => readCanaryConfig(file);
  expect(read).toThrow(/endpoints\.0: .*; token: /);
  expect(read).not.toThrow(secret);
  writeFileSync(file, `{"token":"${secret}`);
  expect(read).toThrow("is not JSON");
  expect(read).not.toThrow(secret);
  writeFileSync(file, JSON.stringify(config(["https://fleet.example.org"])));
  expect(read().endpoints).toEqual(["https://fleet.example.org"]);
});
