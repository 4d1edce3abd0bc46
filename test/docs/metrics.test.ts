import { expect, test } from "vitest";
import { createMetrics } from "../../gateway/observe/metrics.ts";
import { page, tableRows } from "./pages.ts";

test("every metric is told with its kind, labels and meaning", async () => {
  const { registry } = createMetrics();
  const real = (await registry.getMetricsAsJSON()).map(({ name, type, help }) => {
    const metric = registry.getSingleMetric(name) as unknown as { labelNames?: string[] };
    return [name, String(type), metric.labelNames?.join(", ") || "–", help];
  });
  expect(tableRows(page("docs/metrics.md"), "metric").sort()).toEqual(real.sort());
});

test("what is to be watched is measured", () => {
  const { text } = page("docs/metrics.md");
  const names = new Set(
    createMetrics()
      .registry.getMetricsAsArray()
      .map(({ name }) => name),
  );
  for (const [name] of text.matchAll(/openclaw_fleet_\w+/g)) expect(names).toContain(name);
});
