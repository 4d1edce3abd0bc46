import { expect, test } from "vitest";
import { CHARTS } from "../../components/charts.ts";
import { chartKeys, unknownValues } from "./fixtures/chart-keys.ts";
import { sampleValues } from "./fixtures/chart-values.ts";

const samples = Object.entries(sampleValues());

/** Charts whose pinned version's files could not be read: the newest that could, and why it will do. */
const NEAREST: Record<string, string> = {
  // 3.6 adds keys to 3.5 and takes none away that we set; write the fixture anew with its files.
  "aws-load-balancer-controller": "3.5.0",
};

test.each(samples)(
  "%s: every value that we set is a key of the chart, of its kind",
  (name, all) => {
    const keys = chartKeys(name);
    for (const values of all) expect(unknownValues(values, keys)).toEqual([]);
  },
);

test("an unknown key, a section in a scalar's place and a wrong kind are found", () => {
  const keys = chartKeys("aws-load-balancer-controller");
  expect(
    unknownValues(
      {
        clustername: "x",
        region: "eu-central-1",
        serviceAccount: { name: "x", nam: "x" },
        keepTLSSecret: "yes",
        ingressClassParams: true,
        podDisruptionBudget: { whatever: 1 },
      },
      keys,
    ),
  ).toEqual([
    "clustername is no key of the chart",
    "serviceAccount.nam is no key of the chart",
    "keepTLSSecret is string, and boolean in the chart",
    "ingressClassParams is boolean, and has keys in the chart",
  ]);
});

test("every chart that gets values has a fixture of its pinned version", () => {
  const pinned = Object.values(CHARTS).filter(({ chart }) => chart !== "prometheus-operator-crds");
  expect(pinned.map(({ chart }) => chart).sort()).toEqual(samples.map(([name]) => name).sort());
  for (const { chart, version } of pinned) {
    expect([chart, chartKeys(chart).version]).toEqual([chart, NEAREST[chart] ?? version]);
  }
});

test("a pin is exact, from an https repository, with its source and the day it was checked", () => {
  for (const pin of Object.values(CHARTS)) {
    expect(pin.version).toMatch(/^v?\d+\.\d+\.\d+$/);
    expect(pin.repository).toMatch(/^https:\/\//);
    expect(pin.source).toMatch(/^github\.com\//);
    expect(pin.checked).toMatch(/^\d{4}-\d\d-\d\d$/);
  }
});
