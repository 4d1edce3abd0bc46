import { HOST_JOBS } from "../catalog.ts";
import type { HostsFacts } from "../facts.ts";
import { metric } from "../metrics.ts";
import type { Alert, RuleGroup } from "./types.ts";

const etcdUp = metric("up", { job: HOST_JOBS.etcd });

/** etcd decides ownership, Redis holds sessions; both run on the fleet's own hosts. */
export function storeRules({ etcdMembers, redis }: HostsFacts): RuleGroup {
  return {
    name: "openclaw-stores",
    alerts: [...(etcdMembers > 0 ? etcd(etcdMembers) : []), ...(redis ? REDIS : [])],
  };
}

function etcd(members: number): Alert[] {
  const majority = Math.floor(members / 2) + 1;
  return [
    {
      name: "EtcdQuorumLost",
      expr: `(count(${metric("etcd_server_has_leader")} == 1) or vector(0)) < ${majority}`,
      forSeconds: 30,
      severity: "critical",
      summary: `{{ $value }} of ${members} members of etcd have a leader, ${majority} are needed`,
      effect: "Shards stop serving within seconds, and nobody can take one over.",
      command: "./fleet doctor",
      runbook: "the-lease-store-does-not-answer",
    },
    {
      name: "EtcdMemberDown",
      expr: `${etcdUp} == 0`,
      forSeconds: 120,
      severity: "warning",
      summary: "The etcd member on {{ $labels.instance }} does not answer",
      effect: "Nothing is lost; there is room for one loss less.",
      command: "systemctl status openclaw-fleet-etcd",
      runbook: "a-member-of-etcd-is-down",
    },
    {
      name: "EtcdLeaderChanges",
      expr: `max(increase(${metric("etcd_server_leader_changes_seen_total")}[15m])) > 3`,
      forSeconds: 60,
      severity: "warning",
      summary: "etcd changes its leader again and again",
      effect: "Renewals wait for each election; a slow disk or network may stop the service next.",
      command: "./fleet doctor",
      runbook: "a-member-of-etcd-is-down",
    },
    {
      name: "EtcdDatabaseLarge",
      expr: `${metric("etcd_mvcc_db_total_size_in_bytes")} / ${metric("etcd_server_quota_backend_bytes")} > 0.8`,
      forSeconds: 600,
      severity: "warning",
      summary: "The database of etcd on {{ $labels.instance }} is near its quota",
      effect: "At the quota it takes no writes: no lease can change its owner.",
      command: "journalctl -u openclaw-fleet-etcd -n 50",
      runbook: "a-member-of-etcd-is-down",
    },
  ];
}

const REDIS: readonly Alert[] = [
  {
    name: "RedisDown",
    expr: `${metric("redis_up")} == 0 or ${metric("up", { job: HOST_JOBS.redis })} == 0`,
    forSeconds: 60,
    severity: "warning",
    summary: "Redis on {{ $labels.instance }} does not answer",
    effect:
      "Conversations go on: gateways tell where they live. Stored answers and limits wait for it.",
    command: "systemctl status openclaw-fleet-redis",
    runbook: "the-session-store-is-away",
  },
  {
    name: "RedisNoMaster",
    expr: `(count(${metric("redis_instance_info", { role: "master" })}) or vector(0)) < 1`,
    forSeconds: 60,
    severity: "critical",
    summary: "No Redis is the master",
    effect: "Sessions are not written down; conversations go on by the gateways' own lists.",
    command: "./fleet logs -n 100",
    runbook: "the-session-store-is-away",
  },
  {
    name: "RedisNearlyFull",
    expr: `${metric("redis_memory_used_bytes")} / (${metric("redis_memory_max_bytes")} > 0) > 0.9`,
    forSeconds: 300,
    severity: "warning",
    summary: "Redis on {{ $labels.instance }} is nearly full",
    effect: "When it is full it takes no writes: new sessions are not written down.",
    command: "./fleet logs -n 100",
    runbook: "the-session-store-is-away",
  },
];
