import type { HostContext } from "../host/types.ts";
import type { FleetFacts } from "../watch/facts.ts";
import { hostsRules, type RuleGroup } from "../watch/rules/index.ts";
import { WATCH_TIMING } from "./catalog.ts";
import { hasCanary } from "./front.ts";
import type { WatchNeed } from "./need.ts";
import { watchPlaces } from "./places.ts";

/** What rules and dashboards say about this fleet. */
export function fleetFacts({ fleet, hosts }: HostContext, need: WatchNeed): FleetFacts {
  return {
    fleet,
    nodes: hosts.filter((host) => !host.witness).map(({ name }) => name),
    shards: need.shards,
    replicated: need.replicated,
    monthlyUsd: null,
    maintenanceHours: need.settings.maintenanceHours,
    tokenPricesUsdPerMillion: need.settings.tokenPricesUsdPerMillion,
  };
}

/** The rules of a fleet on hosts. */
export function watchRules(context: HostContext, need: WatchNeed): RuleGroup[] {
  const { timing = WATCH_TIMING, settings, front } = need;
  const groups = hostsRules(
    fleetFacts(context, need),
    {
      etcdMembers: need.etcd.length,
      redis: need.redis.length > 0,
      canary: hasCanary(need) ? settings.canary : null,
      frontAuthority: front?.fleetAuthority ? watchPlaces(context.paths).ca : null,
    },
    timing.scrapeSeconds,
  );
  return groups
    .filter(({ alerts }) => alerts.length > 0)
    .map((group) => ({
      ...group,
      alerts: group.alerts.map((alert) => ({
        ...alert,
        forSeconds: Math.round(alert.forSeconds * timing.patience),
      })),
    }));
}
