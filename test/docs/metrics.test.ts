import { expect, test } from "vitest";
import { canaryMetrics } from "../../gateway/canary/metrics.ts";
import { createMetrics } from "../../gateway/observe/metrics.ts";
import { page, tableRows } from "./pages.ts";

test.each([
  ["metric", createMetrics().registry],
  ["metric of the canary", canaryMetrics(6).registry],
])("every %s is told with its kind, labels and meaning", async (table, registry) => {
  const real = (await registry.getMetricsAsJSON()).map(({ name, type, help }) => {
    const metric = registry.getSingleMetric(name) as unknown as { labelNames?: string[] };
    return [name, String(type), metric.labelNames?.join(", ") || "–", help];
  });
  expect(tableRows(page("docs/metrics.md"), table).sort()).toEqual(real.sort());
});

test("what is to be watched is measured", () => {
  const { text } = page("docs/metrics.md");
  const names = new Set(
    [createMetrics(), canaryMetrics(6)].flatMap(({ registry }) =>
      registry.getMetricsAsArray().map(({ name }) => name),
    ),
  );
  for (const [name] of text.matchAll(/openclaw_fleet_\w+/g)) expect(names).toContain(name);
});
