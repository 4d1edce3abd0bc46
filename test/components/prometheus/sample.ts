import type { HostContext, HostFacts } from "../../../components/host/types.ts";
import { HOST_PORTS } from "../../../components/host/types.ts";
import type { WatchNeed } from "../../../components/prometheus/need.ts";
import { monitoringSettings } from "../../../components/watch/settings.ts";

export const THREE: readonly HostFacts[] = ["a", "b", "c"].map((name, i) => ({
  name,
  address: `10.0.0.${i + 1}`,
}));

export function context(self: string, hosts = THREE): HostContext {
  return {
    fleet: "prod",
    self: hosts.find(({ name }) => name === self) as HostFacts,
    hosts,
    paths: {
      release: "/opt/openclaw-fleet/releases/1",
      data: "/var/lib/openclaw-fleet",
      etc: "/etc/openclaw-fleet",
      tls: "/etc/openclaw-fleet/tls",
    },
    ports: HOST_PORTS,
  };
}

const mark = (path: string) => `{{secret setting.monitoring.alerts.${path}}}`;

/** Every receiver, its secrets as marks. */
export const MARKED = {
  slack: { channel: "#fleet", url: mark("slack.url") },
  pagerDuty: { key: mark("pagerDuty.key") },
  email: {
    to: ["ops@example.org"],
    from: "fleet@example.org",
    smarthost: "mail.example.org:587",
    username: "fleet",
    password: mark("email.password"),
  },
  webhook: { url: mark("webhook.url") },
  heartbeat: { url: mark("heartbeat.url"), minutes: 5 },
  repeatHours: 4,
};

export function need(
  over: Partial<WatchNeed> = {},
  settings: Record<string, unknown> = {},
): WatchNeed {
  return {
    settings: { ...monitoringSettings.parse(settings), alerts: MARKED },
    shards: ["s1", "s2", "s3"].map((id) => ({ id, recycleMiB: 2560 })),
    replicated: true,
    etcd: ["a", "b", "c"],
    redis: [
      { host: "a", port: 6379 },
      { host: "b", port: 6379 },
    ],
    front: {
      hosts: ["a", "b", "c"],
      names: ["fleet.example.org"],
      port: 443,
      fleetAuthority: false,
    },
    ...over,
  };
}
