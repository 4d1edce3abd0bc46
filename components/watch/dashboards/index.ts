import type { FleetFacts } from "../facts.ts";
import type { Dashboard } from "./build.ts";
import { failoverHistory } from "./failovers.ts";
import { modelLatency } from "./model.ts";
import { overview } from "./overview.ts";
import { agentUsage, cost, queueDepth } from "./usage.ts";

export { type Dashboard, grafana, type Panel } from "./build.ts";

/** Every dashboard of a fleet. */
export function fleetDashboards(facts: FleetFacts): Dashboard[] {
  return [
    overview(facts),
    modelLatency(),
    agentUsage(),
    queueDepth(),
    failoverHistory(),
    cost(facts),
  ];
}
