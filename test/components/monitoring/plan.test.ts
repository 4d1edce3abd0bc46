import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PRICE_REGIONS } from "../../../components/cost.ts";
import { ConfigError } from "../../../components/errors.ts";
import { LINES, PRICED } from "../../../components/monitoring/catalog.ts";
import { tierMonitoring } from "../../../components/monitoring/plan.ts";
import { monitoringSettings } from "../../../components/watch/settings.ts";
import { need, plan } from "./sample.ts";

test("three nodes, six shards, three hundred users", () => {
  expect(plan()).toMatchObject({
    metrics: { replicas: 2, series: 30_000 + 3 * 4000 + 6 * 2100, days: 15, volumeGiB: 20 },
    logs: { days: 3, mibPerDay: 3 * 50 + 300 * 2, volumeGiB: 20 },
    traces: { days: 3, volumeGiB: 20 },
    notes: [],
  });
});

test("a year of metrics: samples of 2 bytes every 30 s, half as much again for the log", () => {
  const { metrics } = plan({}, { metricsDays: 365 });
  const bytes = 54_600 * ((365 * 86_400) / 30) * 2 * 1.5;
  expect(bytes / 2 ** 30).toBeCloseTo(160.4, 1);
  expect(metrics.volumeGiB).toBe(320);
});

test.each([
  ["small", 3, 4, 200],
  ["medium", 5, 20, 1000],
  ["enterprise", 5, 40, 2000],
])(
  "a fleet as in %s has the first step of every volume: resizing replaces none",
  (_, nodes, shards, users) => {
    const { metrics, logs, traces } = plan({
      nodes: Array.from({ length: nodes }, (_, i) => `n${i}`),
      shards: Array.from({ length: shards }, (_, i) => ({ id: `s${i}`, recycleMiB: 2560 })),
      users,
    });
    expect([metrics.volumeGiB, logs.volumeGiB, traces?.volumeGiB]).toEqual([20, 20, 20]);
  },
);

test("what a person says of the logs goes before the estimate", () => {
  expect(plan({}, { logMiBPerDay: 20_000 }).logs).toEqual({
    days: 3,
    mibPerDay: 20_000,
    // 26.4 GiB
    volumeGiB: 40,
  });
});

test("without traces there is no volume for them, and less is asked of the nodes", () => {
  const without = plan({}, { traces: false });
  expect(without.traces).toBeNull();
  expect(without.load.memoryMiB).toBe(plan().load.memoryMiB - 512);
});

test("when nobody is told, the plan says so", () => {
  expect(plan({}, { alerts: {} }).notes).toEqual([
    "monitoring.alerts names nobody: alerts are seen in Grafana only",
  ]);
});

describe("bad settings", () => {
  test("secrets of another name cannot be read: all are named at once", () => {
    const wrong = () =>
      plan(
        { fleet: "staging" },
        { alerts: { slack: { channel: "#x", secret: "slack" }, pagerDuty: { secret: "prod-pd" } } },
      );
    expect(wrong).toThrow(ConfigError);
    expect(wrong).toThrow(
      /monitoring\.alerts\.slack\.secret is slack, .*staging-slack[\s\S]*pagerDuty\.secret is prod-pd/,
    );
  });

  test("an account at the mail server needs its password's secret", () => {
    const email = { to: ["a@b.org"], from: "a@b.org", smarthost: "m:25", username: "x" };
    expect(() => plan({}, { alerts: { email } })).toThrow(/alerts\.email\.secret is missing/);
  });

  test.each([
    [
      "a webhook's address in a secret's place",
      { alerts: { slack: { channel: "#x", secret: "https://h/x y" } } },
    ],
    ["a channel without its #", { alerts: { slack: { channel: "x", secret: "prod-x" } } }],
    ["an unknown key", { alerts: { teams: {} } }],
    ["no day at all", { metricsDays: 0 }],
  ])("%s is refused", (_, settings) => {
    expect(monitoringSettings.safeParse(settings).success).toBe(false);
  });
});

describe("laws", () => {
  const size = fc.record({
    users: fc.integer({ min: 1, max: 20_000 }),
    nodes: fc.integer({ min: 1, max: 40 }),
    shards: fc.integer({ min: 1, max: 400 }),
  });
  const of = ({ users, nodes, shards }: { users: number; nodes: number; shards: number }) =>
    plan({
      users,
      nodes: Array.from({ length: nodes }, (_, i) => `n${i}`),
      shards: Array.from({ length: shards }, (_, i) => ({ id: `s${i}`, recycleMiB: 2560 })),
    });
  const bill = (each: ReturnType<typeof of>) =>
    tierMonitoring(each, "us-east-1").costs.reduce((sum, c) => sum + c.quantity * c.priceUsd, 0);

  test("more users, nodes or shards never get smaller volumes or a smaller bill", () => {
    fc.assert(
      fc.property(size, size, (a, more) => {
        const b = {
          users: a.users + more.users,
          nodes: a.nodes + more.nodes,
          shards: a.shards + more.shards,
        };
        const [small, large] = [of(a), of(b)];
        return (
          large.metrics.volumeGiB >= small.metrics.volumeGiB &&
          large.logs.volumeGiB >= small.logs.volumeGiB &&
          large.load.memoryMiB >= small.load.memoryMiB &&
          bill(large) >= bill(small)
        );
      }),
      { numRuns: 50 },
    );
  });

  test("what is kept fits its volume", () => {
    fc.assert(
      fc.property(size, (a) => {
        const { metrics } = of(a);
        const bytes = metrics.series * ((metrics.days * 86_400) / 30) * 2;
        return bytes <= metrics.volumeGiB * 2 ** 30;
      }),
      { numRuns: 50 },
    );
  });
});

describe("costs", () => {
  test.each(PRICE_REGIONS)("%s: every line of the bill has a price", (region) => {
    const { costs } = tierMonitoring(plan(), region);
    expect(costs.map((c) => c.what).sort()).toEqual(Object.values(LINES).sort());
    for (const line of costs) expect(line.priceUsd).toBeGreaterThan(0);
  });

  test("two metrics volumes of 20 GiB at 0.0952 are 3.81 a month", () => {
    const [metrics] = tierMonitoring(plan(), "eu-central-1").costs;
    expect(metrics).toMatchObject({ quantity: 40, priceUsd: 0.0952, unit: "GB-month" });
  });

  test("a region without prices costs nothing that could be said", () => {
    expect(tierMonitoring(plan(), "ap-south-1").costs).toEqual([]);
  });

  test("types name lines that exist", () => {
    const lines = Object.values(PRICED).flatMap((by) => ("lines" in by ? by.lines : []));
    expect(new Set(lines)).toEqual(new Set(Object.values(LINES)));
  });
});

test("the row says what the loss of a zone means", () => {
  expect(tierMonitoring(plan(), "us-east-1").survives).toMatch(/^the loss of one zone/);
  expect(tierMonitoring(plan(need({ survivesZone: false })), "us-east-1").survives).toMatch(
    /^no loss/,
  );
});
