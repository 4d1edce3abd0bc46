import type { HostFile } from "../host/types.ts";
import { fleetDashboards, grafana } from "../watch/dashboards/index.ts";
import type { FleetFacts } from "../watch/facts.ts";

/** Where Debian's and Grafana's own packages read provisioning. Source: grafana.com/docs, Provisioning. */
const PROVISIONING = "/etc/grafana/provisioning";
/** Below it everybody may read: Grafana runs as a user of its own. */
export const DASHBOARDS = "/etc/grafana/openclaw-fleet";

const readable = (document: unknown): HostFile => ({
  content: `${JSON.stringify(document, null, 2)}\n`,
  owner: "root",
  group: "root",
  mode: "0644",
});

/**
 * Data source and dashboards for a Grafana that is on the host already. It looks for changed dashboards
 * by itself; a new data source it finds at its next start.
 */
export function grafanaFiles(facts: FleetFacts, prometheus: string): Record<string, HostFile> {
  const files: Record<string, HostFile> = {
    [`${PROVISIONING}/datasources/openclaw-fleet.yaml`]: readable({
      apiVersion: 1,
      datasources: [
        {
          name: `OpenClaw fleet ${facts.fleet}`,
          type: "prometheus",
          uid: `openclaw-fleet-${facts.fleet}`,
          access: "proxy",
          url: prometheus,
        },
      ],
    }),
    [`${PROVISIONING}/dashboards/openclaw-fleet.yaml`]: readable({
      apiVersion: 1,
      providers: [
        {
          name: "openclaw-fleet",
          type: "file",
          disableDeletion: true,
          updateIntervalSeconds: 30,
          options: { path: DASHBOARDS },
        },
      ],
    }),
  };
  for (const dashboard of fleetDashboards(facts)) {
    files[`${DASHBOARDS}/${dashboard.uid}.json`] = readable(grafana(dashboard));
  }
  return files;
}
