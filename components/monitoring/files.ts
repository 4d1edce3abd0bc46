import { JOB } from "./catalog.ts";
import { fleetDashboards, grafana } from "./dashboards/index.ts";
import type { MonitoringPlan } from "./plan.ts";
import { alertmanagerConfig } from "./receivers.ts";
import { fleetRules, ruleFile } from "./rules/index.ts";

/** A node as Prometheus reaches it. */
export interface ScrapeTarget {
  /** Its name, which becomes the label `instance`. */
  readonly node: string;
  /** Address of its router, `host:port`. */
  readonly router: string;
  /** Address of its node-exporter, `host:port`. */
  readonly exporter: string;
}

/** Where the files lie on the host that watches. */
export interface MonitoringFolders {
  /** Holds `prometheus.yml`, `rules.json`, `alertmanager.yml`. @default /etc/openclaw-fleet/monitoring */
  readonly config: string;
  /** Holds a file for each secret of the receivers, mode 0600. */
  readonly secrets: string;
}

const FOLDERS: MonitoringFolders = {
  config: "/etc/openclaw-fleet/monitoring",
  secrets: "/etc/openclaw-fleet/monitoring/secrets",
};

/**
 * Monitoring of hosts as plain files, content by path below the config folder: the same rules and
 * dashboards as in a cluster, for Debian's own Prometheus, Alertmanager and Grafana. JSON is YAML.
 */
export function monitoringFiles(
  plan: MonitoringPlan,
  targets: readonly ScrapeTarget[],
  folders: MonitoringFolders = FOLDERS,
): Record<string, string> {
  const { facts, settings } = plan;
  const scrape = (job: string, address: (target: ScrapeTarget) => string) => ({
    job_name: job,
    static_configs: targets.map((target) => ({
      targets: [address(target)],
      labels: { instance: target.node },
    })),
  });
  const files: Record<string, unknown> = {
    "prometheus.yml": {
      global: {
        scrape_interval: "30s",
        evaluation_interval: "30s",
        external_labels: { fleet: plan.fleet },
      },
      rule_files: [`${folders.config}/rules.json`],
      alerting: { alertmanagers: [{ static_configs: [{ targets: ["127.0.0.1:9093"] }] }] },
      scrape_configs: [
        scrape(JOB, ({ router }) => router),
        scrape("node", ({ exporter }) => exporter),
      ],
    },
    "rules.json": ruleFile(fleetRules(facts, "hosts")),
    "alertmanager.yml": alertmanagerConfig(settings.alerts, folders.secrets),
    "grafana/provisioning/datasources/fleet.yaml": {
      apiVersion: 1,
      datasources: [
        {
          name: "Prometheus",
          type: "prometheus",
          uid: "prometheus",
          access: "proxy",
          url: "http://127.0.0.1:9090",
          isDefault: true,
        },
      ],
    },
    "grafana/provisioning/dashboards/fleet.yaml": {
      apiVersion: 1,
      providers: [
        {
          name: "openclaw-fleet",
          type: "file",
          disableDeletion: true,
          options: { path: `${folders.config}/grafana/dashboards` },
        },
      ],
    },
  };
  for (const dashboard of fleetDashboards(facts)) {
    files[`grafana/dashboards/${dashboard.uid}.json`] = grafana(dashboard);
  }
  return Object.fromEntries(
    Object.entries(files).map(([path, content]) => [path, `${JSON.stringify(content, null, 2)}\n`]),
  );
}
