import type { FleetFacts } from "../facts.ts";
import { machineRules, volumeRules } from "./machines.ts";
import { serviceRules } from "./service.ts";
import { shardRules } from "./shards.ts";
import type { RuleGroup } from "./types.ts";

export { type Alert, type RuleGroup, ruleFile, type Severity } from "./types.ts";

/** Where Prometheus runs: in a cluster the chart's own rules watch nodes, on hosts ours do. */
export type Surroundings = "cluster" | "hosts";

/** Every alert rule of a fleet. */
export function fleetRules(facts: FleetFacts, where: Surroundings): RuleGroup[] {
  return [
    serviceRules(facts),
    shardRules(facts),
    where === "cluster" ? volumeRules() : machineRules(),
  ];
}
