import { readFileSync } from "node:fs";
import { get } from "node:https";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../../../support/eventually.ts";
import { WatchWorld } from "./world.ts";

/** Everything starts and is asked a few times; on a loaded machine that takes long. */
const PATIENCE_MS = 120_000;

let world: WatchWorld;
beforeAll(async () => {
  world = await WatchWorld.start();
});
afterAll(() => world?.close());

const toldOf = (alertname: string, labels: Record<string, string> = {}) =>
  world.messages
    .filter(({ receiver }) => receiver === "/alerts")
    .flatMap(({ alerts }) => alerts)
    .find(
      (alert) =>
        alert.labels.alertname === alertname &&
        Object.entries(labels).every(([key, value]) => alert.labels[key] === value),
    );

test("everything that is watched answers, over certificates of the fleet", async () => {
  await eventually(async () => {
    const up = await world.query("up");
    const away = up.filter(({ value }) => value !== "1").map(({ metric }) => metric);
    expect(away).toEqual([]);
    const jobs = new Set(up.map(({ metric }) => metric.job));
    expect([...jobs].sort()).toEqual(
      "canary certificates front node openclaw-fleet redis watcher".split(" "),
    );
  }, PATIENCE_MS);
  await eventually(async () => {
    for (const expr of ["probe_success", "redis_up"]) {
      const series = await world.query(expr);
      expect(series.length, expr).toBeGreaterThan(0);
      for (const { metric, value } of series) expect([metric, value]).toEqual([metric, "1"]);
    }
  }, PATIENCE_MS);
});

test("what Debian's exporters show has the names that rules ask for", async () => {
  const list = join(import.meta.dirname, "../../fixtures/metrics/exporters.txt");
  const names = readFileSync(list, "utf8").trim().split("\n").slice(1);
  await eventually(async () => {
    for (const name of names.filter((each) => !each.startsWith("etcd_"))) {
      expect((await world.query(name)).length, name).toBeGreaterThan(0);
    }
    for (const name of ["node_memory_MemAvailable_bytes", "node_filesystem_avail_bytes"]) {
      expect((await world.query(name)).length, name).toBeGreaterThan(0);
    }
  }, PATIENCE_MS);
});

test("the canary's conversation is counted", async () => {
  await eventually(async () => {
    const [count] = await world.query("openclaw_fleet_canary_duration_seconds_count");
    expect(Number(count?.value)).toBeGreaterThan(0);
  }, PATIENCE_MS);
});

test("the heartbeat goes to its own address, and to nobody else", async () => {
  await eventually(() => {
    const calls = world.messages.filter(({ receiver }) => receiver === "/heartbeat");
    expect(calls.length).toBeGreaterThan(0);
  }, PATIENCE_MS);
  expect(toldOf("Watchdog")).toBeUndefined();
});

test("a router that goes away is told, with what to do, and so is its return", async () => {
  await world.stopRouter("a");
  await eventually(() => {
    const alert = toldOf("FleetRouterDown", { instance: "a" });
    expect(alert).toMatchObject({
      status: "firing",
      labels: { severity: "critical", fleet: "test" },
      annotations: {
        summary: "The router at a does not answer",
        runbook: "docs/operations.md#a-router-does-not-answer",
      },
    });
    // Its certificate cannot be asked for either, which is no certificate that ends.
    expect(toldOf("CertificateExpires")).toBeUndefined();
  }, PATIENCE_MS);
  await world.startRouter("a");
  await eventually(() => {
    const resolved = world.messages
      .flatMap(({ alerts }) => alerts)
      .filter(
        ({ labels, status }) => labels.alertname === "FleetRouterDown" && status === "resolved",
      );
    expect(resolved.length).toBeGreaterThan(0);
  }, PATIENCE_MS);
});

test("machine metrics are for holders of the fleet's certificates", async () => {
  const { address = "" } = world.hosts.hosts[0] ?? {};
  const ask = (more: object) =>
    new Promise<number>((resolve, reject) => {
      get(
        {
          host: address,
          port: world.ports.machine,
          path: "/metrics",
          ca: world.hosts.authority.cert,
          agent: false,
          ...more,
        },
        (res) => {
          res.resume();
          resolve(res.statusCode ?? 0);
        },
      ).on("error", reject);
    });
  await expect(ask({})).rejects.toThrow(/certificate|socket|reset|hang up/i);
  await expect(ask({ ...world.hosts.pair("b"), maxVersion: "TLSv1.2" })).rejects.toThrow(/version/);
  expect(await ask(world.hosts.pair("b"))).toBe(200);
});
