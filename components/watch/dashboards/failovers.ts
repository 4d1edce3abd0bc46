import { metric, quantile } from "../metrics.ts";
import type { Dashboard } from "./build.ts";

const failovers = metric("openclaw_fleet_failovers_total");

/** What was lost and how fast it was back. */
export function failoverHistory(): Dashboard {
  return {
    uid: "openclaw-failovers",
    title: "Failovers",
    panels: [
      {
        title: "In 24 hours",
        kind: "stat",
        unit: "none",
        thresholds: [1, 10],
        queries: [{ expr: `sum(increase(${failovers}[24h])) or vector(0)`, legend: "failovers" }],
        description: "Planned moves are among them; see their reasons.",
      },
      {
        title: "Answers lost in 24 hours",
        kind: "stat",
        unit: "none",
        thresholds: [1, 1],
        queries: [
          {
            expr: `sum(increase(${metric("openclaw_fleet_history_lost_total")}[24h])) or vector(0)`,
            legend: "lost",
          },
        ],
        description: "Answers that a restored state does not have.",
      },
      {
        title: "Slowest twentieth in 24 hours",
        kind: "stat",
        unit: "s",
        thresholds: [25, 45],
        queries: [
          {
            expr: quantile(0.95, metric("openclaw_fleet_failover_duration_seconds_bucket"), "24h"),
            legend: "p95",
          },
        ],
        description: "From the loss of an owner to the next answer. No data without a failover.",
      },
      {
        title: "Failovers by reason",
        kind: "timeseries",
        unit: "none",
        queries: [
          {
            expr: `sum by (shard, reason) (increase(${failovers}[10m]))`,
            legend: "{{shard}} {{reason}}",
          },
        ],
        description: "Shards taken over, by shard and reason.",
      },
      {
        title: "Restarts in place",
        kind: "timeseries",
        unit: "none",
        queries: [
          {
            expr: `sum by (shard, reason) (increase(${metric("openclaw_fleet_gateway_restarts_total")}[10m]))`,
            legend: "{{shard}} {{reason}}",
          },
        ],
        description: "crashed, hung, memory: the shard kept its owner.",
      },
      {
        title: "Epoch of each shard",
        kind: "timeseries",
        unit: "none",
        queries: [
          {
            expr: `max by (shard) (${metric("openclaw_fleet_lease_epoch")})`,
            legend: "{{shard}}",
          },
        ],
        description: "Grows by one with each new owner.",
      },
    ],
  };
}
