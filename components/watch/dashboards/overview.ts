import { JOB } from "../catalog.ts";
import type { FleetFacts } from "../facts.ts";
import { metric, quantile } from "../metrics.ts";
import type { Dashboard } from "./build.ts";

const requests = metric("openclaw_fleet_requests_total");
const state = metric("openclaw_fleet_shard_state");

/** Is the fleet well, and if not, where. */
export function overview({ fleet, shards, nodes }: FleetFacts): Dashboard {
  return {
    uid: "openclaw-overview",
    title: `${fleet}: fleet`,
    panels: [
      {
        title: "Shards served",
        kind: "stat",
        unit: "none",
        queries: [
          {
            expr: `count(max by (shard) (${metric("openclaw_fleet_shard_state", { state: { re: "serving|draining" } })}) == 1) or vector(0)`,
            legend: `of ${shards.length}`,
          },
        ],
        description: `The plan has ${shards.length}.`,
      },
      {
        title: "Routers answering",
        kind: "stat",
        unit: "none",
        queries: [{ expr: `sum(${metric("up", { job: JOB })})`, legend: `of ${nodes.length}` }],
        description: `The plan has ${nodes.length} nodes.`,
      },
      {
        title: "Requests held",
        kind: "stat",
        unit: "none",
        thresholds: [1, 50],
        queries: [{ expr: `sum(${metric("openclaw_fleet_held_requests")})`, legend: "held" }],
        description: "Requests that wait for a shard between owners.",
      },
      {
        title: "Lease store",
        kind: "stat",
        unit: "none",
        queries: [{ expr: `min(${metric("openclaw_fleet_store_up")})`, legend: "1 = every node" }],
        description: "1 while every node reaches it.",
      },
      {
        title: "Requests",
        kind: "timeseries",
        unit: "reqps",
        queries: [
          { expr: `sum by (route) (rate(${requests}[5m]))`, legend: "{{route}}" },
          {
            expr: `sum(rate(${metric("openclaw_fleet_requests_total", { code: { re: "5.." } })}[5m]))`,
            legend: "failed (5xx)",
          },
        ],
        description: "Answers a second, by route.",
      },
      {
        title: "Time of a request",
        kind: "timeseries",
        unit: "s",
        queries: [0.5, 0.95, 0.99].map((share) => ({
          expr: quantile(share, metric("openclaw_fleet_request_duration_seconds_bucket"), "5m"),
          legend: `p${share * 100}`,
        })),
        description:
          "From a request's head to the end of its answer; turns of the model are in it.",
      },
      {
        title: "Shards by state",
        kind: "timeseries",
        unit: "none",
        queries: [
          { expr: `sum by (state) (max by (shard, state) (${state}))`, legend: "{{state}}" },
        ],
        description: "A shard without an owner is in none.",
      },
      {
        title: "Nodes by state",
        kind: "timeseries",
        unit: "none",
        queries: [
          {
            expr: `sum by (state) (max by (node, state) (${metric("openclaw_fleet_node_state")}))`,
            legend: "{{state}}",
          },
        ],
        description: "active, maintenance, lost.",
      },
      {
        title: "Memory of gateways",
        kind: "timeseries",
        unit: "bytes",
        queries: [
          {
            expr: `max by (shard) (${metric("openclaw_fleet_gateway_memory_bytes")})`,
            legend: "{{shard}}",
          },
        ],
        description: "With their helpers. Above its limit a shard is drained and restarted.",
      },
      {
        title: "Replica lag",
        kind: "timeseries",
        unit: "s",
        queries: [
          {
            expr: `max by (shard) (${metric("openclaw_fleet_replica_lag_seconds")})`,
            legend: "{{shard}}",
          },
        ],
        description: "What the loss of a node would lose now. Empty without replicas.",
      },
    ],
  };
}
