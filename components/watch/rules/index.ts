import type { FleetFacts, HostsFacts } from "../facts.ts";
import { canaryRules } from "./canary.ts";
import { frontRules } from "./front.ts";
import { machineRules, volumeRules } from "./machines.ts";
import { serviceRules } from "./service.ts";
import { shardRules } from "./shards.ts";
import { storeRules } from "./stores.ts";
import type { RuleGroup } from "./types.ts";

export { type Alert, type RuleGroup, ruleFile, type Severity } from "./types.ts";

/** Every alert rule of a fleet in a cluster, where the chart's own rules watch nodes and stores. */
export function clusterRules(facts: FleetFacts): RuleGroup[] {
  return [serviceRules(facts), shardRules(facts, CLUSTER_SCRAPE_SECONDS), volumeRules()];
}

/** Every alert rule of a fleet on hosts, where nothing else watches. */
export function hostsRules(
  facts: FleetFacts,
  hosts: HostsFacts,
  scrapeSeconds: number,
): RuleGroup[] {
  return [
    serviceRules(facts),
    shardRules(facts, scrapeSeconds),
    machineRules(),
    storeRules(hosts),
    frontRules(),
    ...(hosts.canarySlowSeconds === null ? [] : [canaryRules(hosts.canarySlowSeconds)]),
  ];
}

const CLUSTER_SCRAPE_SECONDS = 30;
