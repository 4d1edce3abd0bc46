import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { monitoringFiles } from "../../../components/monitoring/files.ts";
import { promtool } from "../../support/promtool.ts";
import { plan } from "./sample.ts";

const targets = ["a", "b"].map((node, i) => ({
  node,
  router: `10.0.0.${i + 1}:18789`,
  exporter: `10.0.0.${i + 1}:9100`,
}));

test("promtool takes the files as they are", async () => {
  const tool = await promtool();
  const config = mkdtempSync(join(tmpdir(), "openclaw-fleet-monitoring-"));
  try {
    const files = monitoringFiles(plan(), targets, { config, secrets: join(config, "secrets") });
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(config, path)), { recursive: true });
      writeFileSync(join(config, path), content);
    }
    execFileSync(tool, ["check", "config", join(config, "prometheus.yml")], { stdio: "pipe" });
  } finally {
    rmSync(config, { recursive: true, force: true });
  }
}, 300_000);

test("each node's router and machine are watched under its name", () => {
  const { scrape_configs } = JSON.parse(monitoringFiles(plan(), targets)["prometheus.yml"] ?? "");
  expect(
    scrape_configs.map((job: { job_name: string; static_configs: unknown }) => [
      job.job_name,
      job.static_configs,
    ]),
  ).toEqual([
    [
      "openclaw-fleet",
      [
        { targets: ["10.0.0.1:18789"], labels: { instance: "a" } },
        { targets: ["10.0.0.2:18789"], labels: { instance: "b" } },
      ],
    ],
    [
      "node",
      [
        { targets: ["10.0.0.1:9100"], labels: { instance: "a" } },
        { targets: ["10.0.0.2:9100"], labels: { instance: "b" } },
      ],
    ],
  ]);
});

test("machines have alarms of their own; all six dashboards are there", () => {
  const files = monitoringFiles(plan(), targets);
  expect(files["rules.json"]).toContain("HostDiskFull");
  expect(files["rules.json"]).not.toContain("VolumeFull");
  expect(Object.keys(files).filter((path) => path.startsWith("grafana/dashboards/"))).toHaveLength(
    6,
  );
});

test("the same plan gives the same bytes", () => {
  expect(monitoringFiles(plan(), targets)).toEqual(monitoringFiles(plan(), targets));
});
