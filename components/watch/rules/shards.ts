import type { FleetFacts } from "../facts.ts";
import { metric } from "../metrics.ts";
import type { Alert, RuleGroup } from "./types.ts";

/** Share of the recycle limit at which a gateway is near its restart. */
const NEAR_RECYCLE = 0.9;
/** Seconds a change may wait for its replica before somebody should look; planned is less than one. */
export const LAG_SECONDS = 15;

/** A shard that drains takes requests until it hands over, which may be ten minutes later: see gateway/readiness.ts. */
const serving = metric("openclaw_fleet_shard_state", { state: { re: "serving|draining" } });
/** One node tries a failed shard again every five minutes, and says for that while that it starts. */
const failed = `(max by (shard) (max_over_time(${metric("openclaw_fleet_shard_state", { state: "failed" })}[5m])) == 1)`;

/**
 * Seconds for which a shard may have no owner before it is told, by how often nodes are asked. A lost
 * node's shards are back within 25 s, and both its end and its heir are seen up to one scrape later.
 */
function withoutOwnerSeconds(scrapeSeconds: number): number {
  return scrapeSeconds <= 10 ? 30 : 90;
}

/** What happens to shards: the unit of ownership and of loss. */
export function shardRules(facts: FleetFacts, scrapeSeconds: number): RuleGroup {
  const alerts: Alert[] = [
    {
      name: "FleetShardWithoutOwner",
      // Who served within the hour and does not now; a shard taken out of the fleet is forgotten after it.
      expr: `(max by (shard) (max_over_time(${serving}[1h])) == 1) unless (max by (shard) (${serving}) == 1) unless ${failed}`,
      forSeconds: withoutOwnerSeconds(scrapeSeconds),
      severity: "critical",
      summary: "Nobody serves shard {{ $labels.shard }}",
      effect: "Its requests wait for up to 60 s, then get 503.",
      command: "./fleet status --wide",
      runbook: "a-shard-has-no-owner",
    },
    {
      name: "FleetShardsMissing",
      // What failed is told by an alert of its own.
      expr: `${facts.shards.length} - (count((max by (shard) (${serving}) == 1) or ${failed}) or vector(0)) > 0`,
      forSeconds: 600,
      severity: "critical",
      summary: `{{ $value }} of ${facts.shards.length} shards are served by nobody`,
      effect: "Their agents do not answer.",
      command: "./fleet status",
      runbook: "a-shard-has-no-owner",
    },
    {
      name: "FleetShardFailed",
      expr: `${failed} unless (max by (shard) (${serving}) == 1)`,
      forSeconds: 30,
      severity: "critical",
      summary: "Shard {{ $labels.shard }} is failed: OpenClaw did not start on two nodes",
      effect: "Its requests get 503 shard_failed at once.",
      command: "./fleet logs {{ $labels.shard }} -n 50",
      runbook: "a-shard-is-failed",
    },
    {
      name: "FleetGatewayRestarts",
      expr: `sum by (shard) (increase(${metric("openclaw_fleet_gateway_restarts_total")}[30m])) > 3`,
      forSeconds: 60,
      severity: "warning",
      summary: "The gateway of shard {{ $labels.shard }} restarts again and again",
      effect: "Each restart makes its requests wait for one boot.",
      command: "./fleet history",
      runbook: "a-gateway-restarts-again-and-again",
    },
    {
      name: "FleetRecycles",
      expr: `sum by (shard) (increase(${metric("openclaw_fleet_gateway_restarts_total", { reason: "memory" })}[6h])) > 3`,
      forSeconds: 60,
      severity: "warning",
      summary: "Shard {{ $labels.shard }} is restarted for its memory every other hour",
      effect: "Each restart makes its requests wait for one boot.",
      command: "./fleet plan",
      runbook: "memory-is-near-the-limit",
    },
    {
      name: "FleetEpochChurn",
      expr: `changes(max by (shard) (${metric("openclaw_fleet_lease_epoch")})[1h:30s]) > 4`,
      forSeconds: 60,
      severity: "warning",
      summary: "Shard {{ $labels.shard }} changes its owner again and again",
      effect: "Each change makes its requests wait for one boot.",
      command: "./fleet history",
      runbook: "a-shard-wanders",
    },
    {
      name: "FleetMemoryNearRecycle",
      expr: nearRecycle(facts),
      forSeconds: 900,
      severity: "info",
      summary: "Shard {{ $labels.shard }} is near the memory at which it is restarted",
      effect:
        "It is drained and restarted by itself; often, when its agents need more than planned.",
      command: "./fleet plan",
      runbook: "memory-is-near-the-limit",
    },
    {
      name: "FleetSlowFailover",
      expr: `increase(${metric("openclaw_fleet_failover_duration_seconds_bucket", { le: "+Inf" })}[1h]) - ignoring (le) increase(${metric("openclaw_fleet_failover_duration_seconds_bucket", { le: "45" })}[1h]) > 0`,
      forSeconds: 0,
      severity: "warning",
      summary: "A shard came back only after more than 45 s",
      effect: "Requests to it waited that long.",
      command: "./fleet history",
      runbook: "a-failover-was-slow",
    },
    {
      name: "FleetHistoryLost",
      // A counter that begins with its first loss has no increase yet; each node has one of its own.
      expr: `sum by (shard) (increase(${lost}[1h])) > 0 or max by (shard) (${lost} > 0 unless ${lost} offset 1h)`,
      forSeconds: 0,
      severity: "critical",
      summary: "Answers of shard {{ $labels.shard }} are missing from what was restored",
      effect: "People saw answers that the agent does not remember.",
      command: "./fleet history",
      runbook: "answers-were-lost",
    },
  ];
  return {
    name: "openclaw-shards",
    alerts: facts.replicated ? [...alerts, replicaLag, unreplicated] : alerts,
  };
}

const lost = metric("openclaw_fleet_history_lost_total");

const replicaLag: Alert = {
  name: "FleetReplicaLag",
  expr: `max by (shard) (${metric("openclaw_fleet_replica_lag_seconds")}) > ${LAG_SECONDS}`,
  forSeconds: 120,
  severity: "warning",
  summary: "The replica of shard {{ $labels.shard }} is {{ $value | humanizeDuration }} behind",
  effect: "If its node is lost now, that much of its conversations is lost.",
  command: "./fleet status --wide",
  runbook: "a-replica-is-behind",
};

const unreplicated: Alert = {
  name: "FleetShardUnreplicated",
  expr: `max by (shard) (${metric("openclaw_fleet_unreplicated")}) == 1`,
  // A host that restarts is left for the next one after five seconds.
  forSeconds: 60,
  severity: "warning",
  summary: "Shard {{ $labels.shard }} serves without a replica",
  effect: "What is said now is on one disk alone, and the shard is not moved.",
  command: "./fleet status --wide",
  runbook: "a-shard-is-not-replicated",
};

/** Each shard against its own limit. */
function nearRecycle({ shards }: FleetFacts): string {
  const limits = new Map<number, string[]>();
  for (const { id, recycleMiB } of shards) {
    limits.set(recycleMiB, [...(limits.get(recycleMiB) ?? []), id]);
  }
  return [...limits]
    .map(([recycleMiB, ids]) => {
      const memory = metric("openclaw_fleet_gateway_memory_bytes", {
        shard: { re: ids.join("|") },
      });
      return `max by (shard) (${memory}) > ${Math.round(recycleMiB * NEAR_RECYCLE * 2 ** 20)}`;
    })
    .join(" or ");
}
