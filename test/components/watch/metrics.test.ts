import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { knowingCost } from "../../../components/monitoring/plan.ts";
import { MACHINE_ROUTES } from "../../../components/watch/catalog.ts";
import { fleetDashboards, grafana } from "../../../components/watch/dashboards/index.ts";
import { METRICS, metric, quantile } from "../../../components/watch/metrics.ts";
import { clusterRules, hostsRules } from "../../../components/watch/rules/index.ts";
import { SHARD_STATES } from "../../../gateway/contract.ts";
import { PATTERNS, resolveTarget } from "../../../gateway/router/routes.ts";
import { page, tableRows } from "../../docs/pages.ts";
import { HOSTS, plan } from "../monitoring/sample.ts";

const { facts } = knowingCost(
  plan({}, { tokenPricesUsdPerMillion: { input: 3, output: 15 } }),
  812.5,
);
const dashboards = fleetDashboards(facts);
const expressions = [
  ...[...clusterRules(facts), ...hostsRules(facts, HOSTS, 10)].flatMap((group) =>
    group.alerts.map((alert) => alert.expr),
  ),
  ...dashboards.flatMap((d) => d.panels.flatMap((panel) => panel.queries.map((q) => q.expr))),
];

/** Words of PromQL that are no metric. */
const WORDS = new Set("and or unless on by without ignoring offset bool".split(" "));

/** Names of metrics in an expression, with the labels each is asked by. */
function namesIn(expr: string): { name: string; labels: string[] }[] {
  const grouped = expr.replace(/\b(by|on|ignoring|without)\s*\([^)]*\)/g, "");
  return [...grouped.matchAll(/(?<![\w"])([a-zA-Z_][a-zA-Z0-9_]*)(\{[^}]*\})?(?!\w)(?!\s*\()/g)]
    .map(([, name = "", labels = ""]) => ({
      name,
      labels: [...labels.matchAll(/(\w+)(?:=~|!~|!=|=)"/g)].map(([, label = ""]) => label),
    }))
    .filter(({ name }) => !WORDS.has(name) && name !== "Inf");
}

test("names and labels are found in an expression", () => {
  expect(
    namesIn('sum by (a) (rate(m_x{k="v",l=~"w.+"}[5m])) / max(y) > 0.2e3 or vector(0)'),
  ).toEqual([
    { name: "m_x", labels: ["k", "l"] },
    { name: "y", labels: [] },
  ]);
});

test("rules and dashboards name metrics of the list only, and ask by labels that these have", () => {
  const used = expressions.flatMap(namesIn);
  expect(used.length).toBeGreaterThan(50);
  for (const { name, labels } of used) {
    expect(Object.keys(METRICS)).toContain(name);
    const known = METRICS[name as keyof typeof METRICS] as readonly string[];
    for (const label of labels) expect(known, name).toContain(label);
  }
});

test("every metric of the list is used", () => {
  const used = new Set(expressions.flatMap(namesIn).map(({ name }) => name));
  expect(Object.keys(METRICS).filter((name) => !used.has(name))).toEqual([]);
});

const SUFFIX = /_(bucket|count|sum)$/;

test("the fleet's own metrics are those that docs/metrics.md tells, with its labels", () => {
  const told = new Map(
    ["metric", "metric of the canary"]
      .flatMap((table) => tableRows(page("docs/metrics.md"), table))
      .map(([name = "", kind = "", labels = ""]) => [
        name,
        { kind, labels: labels === "–" ? [] : labels.split(", ") },
      ]),
  );
  for (const [name, labels] of Object.entries(METRICS)) {
    if (!name.startsWith("openclaw_fleet_")) continue;
    const metric = told.get(name) ?? told.get(name.replace(SUFFIX, ""));
    expect(metric, name).toBeDefined();
    if (SUFFIX.test(name) && !told.has(name)) expect(metric?.kind).toBe("histogram");
    expect([...(metric?.labels ?? [])].sort(), name).toEqual(
      labels.filter((label) => label !== "le").sort(),
    );
  }
});

function fixture(name: string): string[] {
  const file = join(import.meta.dirname, "..", "fixtures", "metrics", `${name}.txt`);
  return readFileSync(file, "utf8").trimEnd().split("\n").slice(1);
}

test("OpenClaw's metrics are in the pinned version's list, as the collector names them", () => {
  const told = new Map(
    fixture("openclaw").map((line) => {
      const [name = "", kind = ""] = line.split(" ");
      return [name.replaceAll(".", "_"), kind];
    }),
  );
  const own = Object.keys(METRICS).filter((name) => /^openclaw_(?!fleet_)/.test(name));
  for (const name of own) {
    const kind = told.get(name) ?? told.get(name.replace(SUFFIX, ""));
    expect([name, kind !== undefined]).toEqual([name, true]);
    expect([name, kind === "histogram"]).toEqual([name, SUFFIX.test(name)]);
  }
});

test("the other exporters' metrics are in the pinned chart's own rules, or in what Debian's show", () => {
  const told = new Set([...fixture("kube-prometheus-stack"), ...fixture("exporters")]);
  const others = Object.keys(METRICS).filter((name) => !/^openclaw_|^up$/.test(name));
  expect(others.filter((name) => !told.has(name))).toEqual([]);
});

test("states that are asked for exist", () => {
  for (const [, state = ""] of expressions
    .join("\n")
    .matchAll(/shard_state\{state=~?"([\w|]+)"/g)) {
    for (const each of state.split("|")) expect(SHARD_STATES).toContain(each);
  }
});

test("requests of machines are those that routers answer about themselves", () => {
  const kinds = ["healthz", "readyz", "startupz", "health", "metrics"];
  const asked = PATTERNS.filter((path) => path !== "other" && path !== "/").filter((path) =>
    kinds.includes(kindOf(path)),
  );
  expect([...MACHINE_ROUTES].sort()).toEqual(asked.sort());
});

function kindOf(path: string): string {
  try {
    return resolveTarget(path, "GET").kind;
  } catch {
    return "not for GET";
  }
}

test("selectors and quantiles as PromQL writes them", () => {
  expect(metric("up")).toBe("up");
  expect(metric("up", { job: 'a"b', instance: { re: "x|y" } })).toBe(
    'up{job="a\\"b",instance=~"x|y"}',
  );
  expect(metric("up", { job: { notRe: "x" } })).toBe('up{job!~"x"}');
  expect(metric("up", { job: { not: "x" } })).toBe('up{job!="x"}');
  expect(quantile(0.5, "b", "5m", ["p"])).toBe(
    "histogram_quantile(0.5, sum by (le, p) (rate(b[5m])))",
  );
});

test("there is a dashboard for the fleet, models, agents, queues, failovers and cost", () => {
  expect(dashboards.map((d) => d.uid)).toEqual([
    "openclaw-overview",
    "openclaw-models",
    "openclaw-agents",
    "openclaw-queues",
    "openclaw-failovers",
    "openclaw-cost",
  ]);
});

test("no panel overlaps another or leaves the grid; each says what it means and what no data looks like", () => {
  for (const dashboard of dashboards) {
    const { panels, templating } = grafana(dashboard);
    expect(templating.list[0]).toMatchObject({ type: "datasource", name: "datasource" });
    const taken = new Set<string>();
    for (const { gridPos, datasource, description, fieldConfig, title } of panels) {
      expect(datasource.uid).toBe("$" + "{datasource}");
      expect(description.length, title).toBeGreaterThan(10);
      expect(fieldConfig.defaults.noValue).toBe("no data");
      const { x, y, w, h } = gridPos;
      expect(x + w).toBeLessThanOrEqual(24);
      for (let i = x; i < x + w; i++) {
        for (let j = y; j < y + h; j++) {
          expect(taken.has(`${i},${j}`), title).toBe(false);
          taken.add(`${i},${j}`);
        }
      }
    }
  }
});

test("costs: machines as planned, tokens at the person's prices; what is not known is not shown", () => {
  const titles = (monthlyUsd: number | null, settings: Record<string, unknown>) =>
    fleetDashboards(knowingCost(plan({}, settings), monthlyUsd).facts)
      .find((d) => d.uid === "openclaw-cost")
      ?.panels.map((p) => p.title);
  expect(titles(100, { tokenPricesUsdPerMillion: { input: 3 } })).toHaveLength(4);
  expect(titles(null, {})).toEqual(["Models in 24 hours, as OpenClaw reports"]);
  const cost = dashboards.find((d) => d.uid === "openclaw-cost");
  expect(cost?.panels[0]?.queries[0]?.expr).toBe("vector(812.5)");
});
