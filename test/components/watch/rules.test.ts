import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { fleetDashboards } from "../../../components/watch/dashboards/index.ts";
import {
  type Alert,
  clusterRules,
  hostsRules,
  ruleFile,
} from "../../../components/watch/rules/index.ts";
import { page } from "../../docs/pages.ts";
import { promtool } from "../../support/promtool.ts";
import { HOSTS, plan } from "../monitoring/sample.ts";
import { CASES } from "./rule-cases.ts";

// promtool reckons with hours of samples: 20 s for one rule on a machine that does other things too.
vi.setConfig({ testTimeout: 120_000 });

const { facts } = plan();
/** How often hosts are asked, s. */
const SCRAPE = 10;
const rulesOf = { cluster: clusterRules(facts), hosts: hostsRules(facts, HOSTS, SCRAPE) };
const places = ["cluster", "hosts"] as const;
const alerts = new Map<string, Alert>(
  places.flatMap((where) =>
    rulesOf[where].flatMap((group) => group.alerts.map((alert) => [alert.name, alert] as const)),
  ),
);

let tool: string;
let folder: string;
beforeAll(async () => {
  tool = await promtool();
  // The tool compares sentences too; which alerts fire is asked for without them.
  const bare = new Map<string, ReturnType<typeof ruleFile>["groups"][number]["rules"][number]>();
  folder = mkdtempSync(join(tmpdir(), "openclaw-fleet-rules-"));
  for (const where of places) {
    const { groups } = ruleFile(rulesOf[where]);
    writeFileSync(join(folder, `${where}.json`), JSON.stringify({ groups }));
    for (const { rules } of groups) for (const rule of rules) bare.set(rule.alert, rule);
  }
  const rules = [...bare.values()].map(({ annotations: _, ...rule }) => rule);
  writeFileSync(
    join(folder, "all-bare.json"),
    JSON.stringify({ groups: [{ name: "all", rules }] }),
  );
}, 300_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("promtool finds nothing wrong with the rules", () => {
  for (const where of places) {
    execFileSync(
      tool,
      ["check", "rules", "--lint=all", "--lint-fatal", join(folder, `${where}.json`)],
      {
        stdio: "pipe",
      },
    );
  }
});

test("promtool can read every query of every dashboard", () => {
  const file = join(folder, "queries.json");
  const priced = plan({}, { tokenPricesUsdPerMillion: { input: 3, output: 15 } });
  const rules = fleetDashboards(priced.facts).flatMap(({ uid, panels }) =>
    panels.flatMap(({ queries }, i) =>
      queries.map(({ expr }, j) => ({
        record: `${uid.replaceAll("-", "_")}:panel_${i}:query_${j}`,
        expr,
      })),
    ),
  );
  writeFileSync(file, JSON.stringify({ groups: [{ name: "queries", rules }] }));
  execFileSync(tool, ["check", "rules", file], { stdio: "pipe" });
  expect(rules.length).toBeGreaterThan(30);
});

test.each(CASES)("$alert: $title", ({ alert, series, at, fires, every = "15s" }) => {
  const { severity } = alerts.get(alert) as Alert;
  const file = join(folder, `${alert}-${CASES.findIndex((c) => c.series === series)}.json`);
  const test = {
    rule_files: [join(folder, "all-bare.json")],
    evaluation_interval: every,
    tests: [
      {
        interval: "15s",
        input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
        alert_rule_test: [
          {
            eval_time: at,
            alertname: alert,
            exp_alerts: fires.map((labels) => ({ exp_labels: { severity, ...labels } })),
          },
        ],
      },
    ],
  };
  writeFileSync(file, JSON.stringify(test));
  check(file, alert);
});

function check(file: string, alert: string): void {
  try {
    execFileSync(tool, ["test", "rules", file], { stdio: "pipe" });
  } catch (error) {
    const { stdout, stderr } = error as { stdout: Buffer; stderr: Buffer };
    throw new Error(`${alert}: ${stdout}${stderr}`);
  }
}

test("sentences are filled in with the labels and the value", () => {
  const file = join(folder, "sentences.json");
  const { effect, command } = alerts.get("FleetReplicaLag") as Alert;
  writeFileSync(
    file,
    JSON.stringify({
      rule_files: [join(folder, "cluster.json")],
      tests: [
        {
          interval: "15s",
          input_series: [
            { series: 'openclaw_fleet_replica_lag_seconds{shard="s1"}', values: "90x40" },
          ],
          alert_rule_test: [
            {
              eval_time: "5m",
              alertname: "FleetReplicaLag",
              exp_alerts: [
                {
                  exp_labels: { severity: "warning", shard: "s1" },
                  exp_annotations: {
                    summary: "The replica of shard s1 is 1m 30s behind",
                    description: effect,
                    command,
                    runbook: "docs/operations.md#a-replica-is-behind",
                  },
                },
              ],
            },
          ],
        },
      ],
    }),
  );
  check(file, "FleetReplicaLag");
});

test("a front that is asked by its address is asked by its name there", () => {
  const groups = hostsRules(facts, { ...HOSTS, frontAuthority: "/etc/ca.pem" }, SCRAPE);
  writeFileSync(join(folder, "front-rules.json"), JSON.stringify(ruleFile(groups)));
  const file = join(folder, "front.json");
  const asked = {
    "https://f/readyz": "",
    "https://f/readyz at 10.0.0.2:443": " --connect-to ::10.0.0.2:443",
  };
  const { effect } = alerts.get("FrontDown") as Alert;
  const test = {
    rule_files: ["front-rules.json"],
    tests: [
      {
        interval: "15s",
        input_series: Object.keys(asked).map((instance) => ({
          series: `probe_success{job="front",instance="${instance}"}`,
          values: "0x40",
        })),
        alert_rule_test: [
          {
            eval_time: "8m",
            alertname: "FrontDown",
            exp_alerts: Object.entries(asked).map(([instance, how]) => ({
              exp_labels: { severity: "critical", job: "front", instance },
              exp_annotations: {
                summary: `${instance} does not answer as people ask it`,
                description: effect,
                command: `curl -sv --cacert /etc/ca.pem${how} https://f/readyz`,
                runbook: "docs/operations.md#the-front-does-not-answer",
              },
            })),
          },
        ],
      },
    ],
  };
  writeFileSync(file, JSON.stringify(test));
  check(file, "FrontDown");
});

test("every alert has a case in which it fires and one in which it does not", () => {
  for (const name of alerts.keys()) {
    const own = CASES.filter(({ alert }) => alert === name);
    expect([name, own.some((c) => c.fires.length > 0)]).toEqual([name, true]);
    if (name === "Watchdog") continue; // it has none: it fires always
    expect([name, own.some((c) => c.fires.length === 0)]).toEqual([name, true]);
  }
});

test("every alert says cause, effect, first command and a runbook that exists", () => {
  const { text } = page("docs/operations.md");
  const anchors = new Set(
    [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
      heading
        .toLowerCase()
        .replace(/[^\w\- ]/g, "")
        .replaceAll(" ", "-"),
    ),
  );
  for (const { name, summary, effect, command, runbook } of alerts.values()) {
    expect([name, anchors.has(runbook)]).toEqual([name, true]);
    for (const words of [summary, effect, command]) expect(words.length, name).toBeGreaterThan(5);
  }
});

test("every command of the fleet's own names its stack, in all kinds of rules", () => {
  for (const where of places) {
    const typed = rulesOf[where].flatMap((group) =>
      group.alerts.map(({ command }) => command).filter((command) => command.includes("./fleet")),
    );
    expect(typed.length).toBeGreaterThan(5);
    for (const command of typed) expect(command.split(" --stack ")[1]).toBe(facts.fleet);
  }
});

test("lag is an alarm only where shards have a replica", () => {
  const names = (replicated: boolean) =>
    clusterRules(plan({ replicated }).facts).flatMap((g) => g.alerts.map((a) => a.name));
  expect(names(true)).toContain("FleetReplicaLag");
  expect(names(false)).not.toContain("FleetReplicaLag");
});

test("where nodes are asked often, a shard without an owner is told after half a minute", () => {
  const patience = (groups: ReturnType<typeof clusterRules>) =>
    groups.flatMap((g) => g.alerts).find((a) => a.name === "FleetShardWithoutOwner")?.forSeconds;
  expect(patience(rulesOf.hosts)).toBe(30);
  expect(patience(rulesOf.cluster)).toBe(90);
});

test.each([
  [1, 1],
  [3, 2],
  [5, 3],
])("%i members of etcd need %i", (etcdMembers, majority) => {
  const rule = hostsRules(facts, { ...HOSTS, etcdMembers }, SCRAPE)
    .flatMap((g) => g.alerts)
    .find((a) => a.name === "EtcdQuorumLost");
  expect(rule?.expr).toMatch(new RegExp(`< ${majority}$`));
});

test("the canary's window follows its minutes; models are watched only where a collector tells of them", () => {
  const expr = (minutes: number) =>
    hostsRules(facts, { ...HOSTS, canary: { slowSeconds: 6, minutes } }, SCRAPE)
      .flatMap((g) => g.alerts)
      .find((a) => a.name === "CanaryFails")?.expr;
  expect(expr(5)).toContain("[960s]");
  expect(expr(30)).toContain("[5760s]");
  const models = (groups: ReturnType<typeof clusterRules>) =>
    groups.flatMap((g) => g.alerts).filter(({ expr }) => expr.includes("openclaw_model_"));
  expect(models(rulesOf.hosts)).toEqual([]);
  expect(models(rulesOf.cluster)).toHaveLength(2);
});

test("what a fleet does not have is not watched", () => {
  const bare = { etcdMembers: 0, redis: false, canary: null, frontAuthority: null };
  const names = hostsRules(facts, bare, SCRAPE).flatMap((g) => g.alerts.map((a) => a.name));
  expect(names.filter((name) => /^(Etcd|Redis|Canary)/.test(name))).toEqual([]);
  expect(names).toContain("FrontDown");
});
