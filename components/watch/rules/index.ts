import type { FleetFacts, HostsFacts } from "../facts.ts";
import { canaryRules } from "./canary.ts";
import { frontRules } from "./front.ts";
import { machineRules, volumeRules } from "./machines.ts";
import { modelRules } from "./models.ts";
import { serviceRules } from "./service.ts";
import { shardRules } from "./shards.ts";
import { storeRules } from "./stores.ts";
import type { RuleGroup } from "./types.ts";

export { type Alert, type RuleGroup, ruleFile, type Severity } from "./types.ts";

/** Every alert rule of a fleet in a cluster, where the chart's own rules watch nodes and stores. */
export function clusterRules(facts: FleetFacts): RuleGroup[] {
  const groups = [
    serviceRules(facts),
    modelRules(),
    shardRules(facts, CLUSTER_SCRAPE_SECONDS),
    volumeRules(),
  ];
  return groups.map((group) => onStack(facts, group));
}

/** Every alert rule of a fleet on hosts, where nothing else watches. */
export function hostsRules(
  facts: FleetFacts,
  hosts: HostsFacts,
  scrapeSeconds: number,
): RuleGroup[] {
  const groups = [
    serviceRules(facts),
    shardRules(facts, scrapeSeconds),
    machineRules(),
    storeRules(hosts),
    frontRules(hosts),
    ...(hosts.canary === null ? [] : [canaryRules(hosts.canary)]),
  ];
  return groups.map((group) => onStack(facts, group));
}

/** Who is woken by one of several fleets types what stands there: without its stack that is another fleet. */
function onStack({ fleet }: FleetFacts, group: RuleGroup): RuleGroup {
  const alerts = group.alerts.map((alert) =>
    alert.command.startsWith("./fleet ")
      ? { ...alert, command: `${alert.command} --stack ${fleet}` }
      : alert,
  );
  return { ...group, alerts };
}

const CLUSTER_SCRAPE_SECONDS = 30;
