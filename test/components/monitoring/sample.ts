import { type MonitoringNeed, planMonitoring } from "../../../components/monitoring/plan.ts";
import { monitoringSettings } from "../../../components/watch/settings.ts";

/** Every receiver there is. */
export const ALERTS = {
  slack: { channel: "#fleet", secret: "prod-slack" },
  pagerDuty: { secret: "prod-pagerduty" },
  email: {
    to: ["ops@example.org", "boss@example.org"],
    from: "fleet@example.org",
    smarthost: "mail.example.org:587",
    username: "fleet",
    secret: "prod-smtp",
  },
  webhook: { secret: "prod-webhook" },
  heartbeat: { secret: "prod-heartbeat" },
};

/** The same on hosts. */
export const HOSTS = {
  etcdMembers: 3,
  redis: true,
  canary: { slowSeconds: 6, minutes: 5 },
  frontAuthority: null,
};

/** A fleet of three nodes and six shards in production. */
export function need(
  over: Partial<MonitoringNeed> = {},
  settings: Record<string, unknown> = {},
): MonitoringNeed {
  return {
    fleet: "prod",
    nodes: ["a", "b", "c"],
    shards: ["s1", "s2", "s3", "s4", "s5", "s6"].map((id) => ({ id, recycleMiB: 2560 })),
    users: 300,
    replicated: true,
    survivesZone: true,
    settings: monitoringSettings.parse({ alerts: ALERTS, ...settings }),
    ...over,
  };
}

export const plan = (over: Partial<MonitoringNeed> = {}, settings: Record<string, unknown> = {}) =>
  planMonitoring(need(over, settings));
