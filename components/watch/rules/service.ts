import { JOB, MACHINE_ROUTES } from "../catalog.ts";
import type { FleetFacts } from "../facts.ts";
import { metric } from "../metrics.ts";
import type { RuleGroup } from "./types.ts";

const asked = { route: { notRe: MACHINE_ROUTES.join("|") } };
const requests = metric("openclaw_fleet_requests_total", asked);
const failed = metric("openclaw_fleet_requests_total", { ...asked, code: { re: "5.." } });

/** What clients and operators notice of the fleet as a whole. */
export function serviceRules({ maintenanceHours }: FleetFacts): RuleGroup {
  return {
    name: "openclaw-service",
    alerts: [
      {
        name: "FleetRouterDown",
        expr: `${metric("up", { job: JOB })} == 0`,
        forSeconds: 120,
        severity: "critical",
        summary: "The router at {{ $labels.instance }} does not answer",
        effect: "The others answer for it; one loss more may stop the service.",
        command: "./fleet status",
        runbook: "a-router-does-not-answer",
      },
      {
        name: "FleetUnseen",
        expr: `absent(${metric("up", { job: JOB })})`,
        forSeconds: 300,
        severity: "critical",
        summary: "No router is scraped",
        effect: "The fleet may be well, but nobody would be told if it were not.",
        command: "./fleet status",
        runbook: "a-router-does-not-answer",
      },
      {
        name: "FleetNodeLost",
        expr: `max by (node) (${metric("openclaw_fleet_node_state", { state: "lost" })}) == 1`,
        forSeconds: 300,
        severity: "warning",
        summary: "Node {{ $labels.node }} is lost",
        effect: "Its shards are served by others; there is room for one loss less.",
        command: "./fleet status",
        runbook: "a-node-is-lost",
      },
      {
        name: "FleetMaintenanceForgotten",
        expr: `max by (node) (${metric("openclaw_fleet_node_state", { state: "maintenance" })}) == 1`,
        forSeconds: Math.round(maintenanceHours * 3600),
        severity: "warning",
        summary: `Node {{ $labels.node }} is in maintenance since ${maintenanceHours} h`,
        effect: "It takes no shards; there is room for one loss less.",
        command: "./fleet resume {{ $labels.node }}",
        runbook: "a-node-is-still-in-maintenance",
      },
      {
        name: "FleetStoreDown",
        expr: `max(${metric("openclaw_fleet_store_up")}) == 0`,
        forSeconds: 30,
        severity: "critical",
        summary: "No node reaches the lease store",
        effect: "Shards stop serving within seconds, and nobody can take one over.",
        command: "./fleet doctor",
        runbook: "the-lease-store-does-not-answer",
      },
      {
        name: "FleetStoreUnreachable",
        expr: `${metric("openclaw_fleet_store_up")} == 0 and on () max(${metric("openclaw_fleet_store_up")}) == 1`,
        forSeconds: 60,
        severity: "warning",
        summary: "{{ $labels.instance }} does not reach the lease store, others do",
        effect: "Its shards move to other nodes.",
        command: "./fleet doctor",
        runbook: "the-lease-store-does-not-answer",
      },
      {
        // Also where somebody else runs it: rules of its own are only for what the fleet installs.
        name: "FleetSessionStoreDown",
        expr: `max(${metric("openclaw_fleet_session_store_up")}) == 0`,
        forSeconds: 120,
        severity: "warning",
        summary: "No node reaches the session store",
        effect:
          "Conversations go on: gateways tell where they live. Stored answers and limits wait for it.",
        command: "./fleet logs -n 100",
        runbook: "the-session-store-is-away",
      },
      {
        name: "FleetRequestsHeld",
        expr: `sum(min_over_time(${metric("openclaw_fleet_held_requests")}[1m])) > 0`,
        forSeconds: 60,
        severity: "warning",
        summary: "{{ $value }} requests wait for a shard that is between owners",
        effect: "They wait for up to 60 s, then get 503.",
        command: "./fleet status",
        runbook: "requests-wait",
      },
      {
        name: "FleetErrors",
        expr: `sum(rate(${failed}[5m])) / sum(rate(${requests}[5m])) > 0.05`,
        forSeconds: 300,
        severity: "critical",
        summary: "{{ $value | humanizePercentage }} of the requests fail",
        effect: "People get errors.",
        command: "./fleet status",
        runbook: "requests-fail",
      },
    ],
  };
}
