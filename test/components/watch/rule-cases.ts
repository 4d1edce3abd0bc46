import { HOST_CASES } from "./rule-cases-hosts.ts";

/** Series as promtool reads them, and the alerts that must fire at a moment, by their labels. */
export interface RuleCase {
  readonly alert: string;
  readonly title: string;
  readonly series: Readonly<Record<string, string>>;
  readonly at: string;
  /** How often rules are looked at; samples come every 15 s. @default 15s */
  readonly every?: string;
  readonly fires: readonly Readonly<Record<string, string>>[];
}

const state = (shard: string, value: string) =>
  `openclaw_fleet_shard_state{shard="${shard}",state="${value}",instance="a"}`;
const six = (values: string) =>
  Object.fromEntries(
    ["s1", "s2", "s3", "s4", "s5", "s6"].map((s) => [state(s, "serving"), values]),
  );
const MIB = 2 ** 20;
const lost = 'openclaw_fleet_history_lost_total{shard="s1"}';
const lostAt = (instance: string) =>
  `openclaw_fleet_history_lost_total{shard="s1",instance="${instance}"}`;
const calls = (error: string) =>
  `openclaw_model_call_duration_ms_count{openclaw_provider="p",openclaw_errorCategory="${error}"}`;
const slow = (le: string) =>
  `openclaw_model_call_duration_ms_bucket{openclaw_provider="p",openclaw_model_call_observation_unit="request",le="${le}"}`;
const took = (le: string) => `openclaw_fleet_failover_duration_seconds_bucket{le="${le}"}`;
const node = (name: string, value: string) =>
  `openclaw_fleet_node_state{node="a",state="${value}",instance="${name}"}`;
const router = 'up{job="openclaw-fleet",instance="a"}';
const disk = (what: string) =>
  `node_filesystem_${what}_bytes{instance="a",mountpoint="/data",fstype="ext4"}`;
const pvc = (what: string) =>
  `kubelet_volume_stats_${what}_bytes{namespace="openclaw",persistentvolumeclaim="s1"}`;
const host = { instance: "a", mountpoint: "/data", fstype: "ext4" };

export const CASES: readonly RuleCase[] = [
  {
    alert: "FleetShardWithoutOwner",
    title: "served until a while ago, by nobody now",
    series: { [state("s1", "serving")]: "1x20 _x40", [state("s2", "serving")]: "1x60" },
    at: "14m",
    fires: [{ shard: "s1" }],
  },
  {
    alert: "FleetShardWithoutOwner",
    title: "a failover of half a minute is none of it",
    series: {
      [state("s1", "serving")]: "1x20 _x40",
      'openclaw_fleet_shard_state{shard="s1",state="serving",instance="b"}': "_x22 1x40",
    },
    at: "14m",
    fires: [],
  },
  {
    alert: "FleetShardWithoutOwner",
    title: "a drain of ten minutes, served all the while",
    series: {
      [state("s1", "serving")]: "1x20 0x40",
      [state("s1", "draining")]: "0x20 1x40",
    },
    at: "14m",
    fires: [],
  },
  {
    alert: "FleetShardWithoutOwner",
    title: "failed, and tried again at times, is another alert's",
    series: {
      [state("s1", "serving")]: "1x8 0x60",
      [state("s1", "failed")]: "0x8 1x18 0x4 1x18 0x20",
    },
    at: "8m",
    fires: [],
  },
  {
    alert: "FleetShardsMissing",
    title: "one drains and one failed",
    series: {
      ...six("1x80"),
      [state("s5", "serving")]: "0x80",
      [state("s5", "draining")]: "1x80",
      [state("s6", "serving")]: "0x80",
      [state("s6", "failed")]: "1x80",
    },
    at: "15m",
    fires: [],
  },
  {
    alert: "FleetShardsMissing",
    title: "five of six are served",
    series: { ...six("1x80"), [state("s6", "serving")]: "0x80" },
    at: "15m",
    fires: [{}],
  },
  {
    alert: "FleetShardsMissing",
    title: "none at all is known",
    series: { [router]: "1x80" },
    at: "15m",
    fires: [{}],
  },
  {
    alert: "FleetShardsMissing",
    title: "all are served",
    series: six("1x80"),
    at: "15m",
    fires: [],
  },
  {
    alert: "FleetShardFailed",
    title: "a failed shard",
    series: { [state("s1", "failed")]: "1x20", [state("s2", "failed")]: "0x20" },
    at: "2m",
    fires: [{ shard: "s1" }],
  },
  {
    alert: "FleetShardFailed",
    title: "a shard that starts",
    series: { [state("s1", "failed")]: "0x20", [state("s1", "starting")]: "1x20" },
    at: "2m",
    fires: [],
  },
  {
    alert: "FleetShardFailed",
    title: "while it is tried again, which did not mend it",
    series: { [state("s1", "failed")]: "0x4 1x18 _x4", [state("s1", "starting")]: "_x23 1x4" },
    at: "6m30s",
    fires: [{ shard: "s1" }],
  },
  {
    alert: "FleetShardFailed",
    title: "mended: it serves again",
    series: { [state("s1", "failed")]: "1x18 0x8", [state("s1", "serving")]: "0x18 1x8" },
    at: "6m",
    fires: [],
  },
  {
    alert: "FleetGatewayRestarts",
    title: "a restart every two minutes",
    series: { 'openclaw_fleet_gateway_restarts_total{shard="s1",reason="crashed"}': "0+0.125x160" },
    at: "35m",
    fires: [{ shard: "s1" }],
  },
  {
    alert: "FleetGatewayRestarts",
    title: "two restarts in half an hour",
    series: {
      'openclaw_fleet_gateway_restarts_total{shard="s1",reason="memory"}': "0x40 1x40 2x80",
    },
    at: "35m",
    fires: [],
  },
  {
    alert: "FleetMemoryNearRecycle",
    title: "above nine tenths of its limit of 2560 MiB",
    series: {
      'openclaw_fleet_gateway_memory_bytes{shard="s1"}': `${2400 * MIB}x100`,
      'openclaw_fleet_gateway_memory_bytes{shard="s2"}': `${2200 * MIB}x100`,
    },
    at: "20m",
    fires: [{ shard: "s1" }],
  },
  {
    alert: "FleetMemoryNearRecycle",
    title: "a peak of five minutes",
    series: {
      'openclaw_fleet_gateway_memory_bytes{shard="s1"}': `${1000 * MIB}x40 ${2500 * MIB}x20 ${1000 * MIB}x40`,
    },
    at: "20m",
    fires: [],
  },
  {
    alert: "FleetSlowFailover",
    title: "one of two took over 45 s",
    series: { [took("45")]: "0x10 1x40", [took("+Inf")]: "0x10 2x40" },
    at: "10m",
    fires: [{}],
  },
  {
    alert: "FleetSlowFailover",
    title: "all were faster",
    series: { [took("45")]: "0x10 2x40", [took("+Inf")]: "0x10 2x40" },
    at: "10m",
    fires: [],
  },
  {
    alert: "FleetHistoryLost",
    title: "the first loss, with which the counter begins",
    series: { [lost]: "_x20 1x40" },
    at: "10m",
    fires: [{ shard: "s1" }],
  },
  {
    alert: "FleetHistoryLost",
    title: "a further loss",
    series: { [lost]: "1x260 2x40" },
    at: "70m",
    fires: [{ shard: "s1" }],
  },
  {
    alert: "FleetHistoryLost",
    title: "a second loss, seen by another node, while the first one's counter stands",
    series: { [lostAt("a")]: "1x600", [lostAt("b")]: "_x500 1x100" },
    at: "130m",
    fires: [{ shard: "s1" }],
  },
  {
    alert: "FleetHistoryLost",
    title: "a loss of two hours ago",
    series: { [lost]: "1x600" },
    at: "130m",
    fires: [],
  },
  {
    alert: "FleetReplicaLag",
    title: "twenty seconds behind, for minutes",
    series: { 'openclaw_fleet_replica_lag_seconds{shard="s1"}': "20x40" },
    at: "5m",
    fires: [{ shard: "s1" }],
  },
  {
    alert: "FleetReplicaLag",
    title: "behind for a moment",
    series: { 'openclaw_fleet_replica_lag_seconds{shard="s1"}': "0x16 20x3 0x20" },
    at: "5m",
    fires: [],
  },
  {
    alert: "FleetShardUnreplicated",
    title: "one of two shards for minutes",
    series: {
      'openclaw_fleet_unreplicated{shard="s1",instance="a"}': "1x40",
      'openclaw_fleet_unreplicated{shard="s2",instance="a"}': "0x40",
    },
    at: "5m",
    fires: [{ shard: "s1" }],
  },
  {
    alert: "FleetShardUnreplicated",
    title: "while its target restarts",
    series: { 'openclaw_fleet_unreplicated{shard="s1",instance="a"}': "0x16 1x3 0x20" },
    at: "5m",
    fires: [],
  },
  {
    alert: "FleetShardUnreplicated",
    title: "it moved on to a node that replicates it",
    series: {
      'openclaw_fleet_unreplicated{shard="s1",instance="a"}': "1x8 _x32",
      'openclaw_fleet_unreplicated{shard="s1",instance="b"}': "_x8 0x32",
    },
    at: "8m",
    fires: [],
  },
  {
    alert: "FleetRouterDown",
    title: "one of two routers",
    series: { [router]: "0x40", 'up{job="openclaw-fleet",instance="b"}': "1x40" },
    at: "5m",
    fires: [{ job: "openclaw-fleet", instance: "a" }],
  },
  {
    alert: "FleetRouterDown",
    title: "another program's target",
    series: { 'up{job="node",instance="a"}': "0x40", [router]: "1x40" },
    at: "5m",
    fires: [],
  },
  {
    alert: "FleetUnseen",
    title: "no router is scraped",
    series: { 'up{job="node",instance="a"}': "1x40" },
    at: "10m",
    fires: [{ job: "openclaw-fleet" }],
  },
  {
    alert: "FleetUnseen",
    title: "a router that is down is seen",
    series: { [router]: "0x60" },
    at: "10m",
    fires: [],
  },
  {
    alert: "FleetNodeLost",
    title: "lost, as two routers say: told once",
    series: { [node("b", "lost")]: "1x60", [node("c", "lost")]: "1x60" },
    at: "10m",
    fires: [{ node: "a" }],
  },
  {
    alert: "FleetNodeLost",
    title: "back after a minute",
    series: { [node("b", "lost")]: "1x4 0x60" },
    at: "10m",
    fires: [],
  },
  {
    alert: "FleetMaintenanceForgotten",
    title: "in maintenance for over two hours",
    series: { [node("b", "maintenance")]: "1x600" },
    at: "125m",
    fires: [{ node: "a" }],
  },
  {
    alert: "FleetMaintenanceForgotten",
    title: "in maintenance for an hour",
    series: { [node("b", "maintenance")]: "0x240 1x360" },
    at: "125m",
    fires: [],
  },
  {
    alert: "FleetStoreDown",
    title: "out of everybody's reach",
    series: {
      'openclaw_fleet_store_up{instance="a"}': "0x20",
      'openclaw_fleet_store_up{instance="b"}': "0x20",
    },
    at: "2m",
    fires: [{}],
  },
  {
    alert: "FleetStoreDown",
    title: "out of one node's reach",
    series: {
      'openclaw_fleet_store_up{instance="a"}': "0x20",
      'openclaw_fleet_store_up{instance="b"}': "1x20",
    },
    at: "2m",
    fires: [],
  },
  {
    alert: "FleetStoreUnreachable",
    title: "out of one node's reach",
    series: {
      'openclaw_fleet_store_up{instance="a"}': "0x20",
      'openclaw_fleet_store_up{instance="b"}': "1x20",
    },
    at: "2m",
    fires: [{ instance: "a" }],
  },
  {
    alert: "FleetStoreUnreachable",
    title: "out of everybody's reach is another alarm",
    series: { 'openclaw_fleet_store_up{instance="a"}': "0x20" },
    at: "2m",
    fires: [],
  },
  {
    alert: "FleetSessionStoreDown",
    title: "away for three minutes",
    series: {
      'openclaw_fleet_session_store_up{instance="a"}': "0x40",
      'openclaw_fleet_session_store_up{instance="b"}': "0x40",
    },
    at: "3m",
    fires: [{}],
  },
  {
    alert: "FleetSessionStoreDown",
    title: "out of one node's reach",
    series: {
      'openclaw_fleet_session_store_up{instance="a"}': "0x40",
      'openclaw_fleet_session_store_up{instance="b"}': "1x40",
    },
    at: "3m",
    fires: [],
  },
  {
    alert: "FleetRequestsHeld",
    title: "some wait all the time",
    series: { 'openclaw_fleet_held_requests{instance="a"}': "3x30" },
    at: "4m",
    fires: [{}],
  },
  {
    alert: "FleetRequestsHeld",
    title: "some waited during one failover",
    series: { 'openclaw_fleet_held_requests{instance="a"}': "0x10 5x2 0x20" },
    at: "4m",
    fires: [],
  },
  {
    alert: "FleetErrors",
    title: "every tenth fails",
    series: {
      'openclaw_fleet_requests_total{route="/v1/responses",code="200"}': "0+90x80",
      'openclaw_fleet_requests_total{route="/v1/responses",code="503"}': "0+10x80",
    },
    at: "15m",
    fires: [{}],
  },
  {
    alert: "FleetErrors",
    title: "every tenth of what people ask, among many scrapes and probes",
    series: {
      'openclaw_fleet_requests_total{route="/metrics",code="200"}': "0+500x80",
      'openclaw_fleet_requests_total{route="/readyz",code="200"}': "0+500x80",
      'openclaw_fleet_requests_total{route="/api/v1/chat",code="200"}': "0+90x80",
      'openclaw_fleet_requests_total{route="/api/v1/chat",code="503"}': "0+10x80",
    },
    at: "15m",
    fires: [{}],
  },
  {
    alert: "FleetErrors",
    title: "a router that says that it is not ready",
    series: {
      'openclaw_fleet_requests_total{route="/readyz",code="503"}': "0+50x80",
      'openclaw_fleet_requests_total{route="/api/v1/chat",code="200"}': "0+50x80",
    },
    at: "15m",
    fires: [],
  },
  {
    alert: "FleetErrors",
    title: "clients' own errors are none",
    series: {
      'openclaw_fleet_requests_total{route="/v1/responses",code="200"}': "0+50x80",
      'openclaw_fleet_requests_total{route="/v1/responses",code="401"}': "0+50x80",
    },
    at: "15m",
    fires: [],
  },
  {
    alert: "FleetErrors",
    title: "nobody asks",
    series: { 'openclaw_fleet_requests_total{route="/v1/responses",code="503"}': "5x80" },
    at: "15m",
    fires: [],
  },
  {
    alert: "FleetModelErrors",
    title: "half of a provider's calls fail",
    series: { [calls("")]: "0+5x160", [calls("timeout")]: "0+5x160" },
    at: "30m",
    fires: [{ openclaw_provider: "p" }],
  },
  {
    alert: "FleetModelErrors",
    title: "one in twenty",
    series: { [calls("")]: "0+95x160", [calls("timeout")]: "0+5x160" },
    at: "30m",
    fires: [],
  },
  {
    alert: "FleetModelSlow",
    title: "most take over a minute",
    series: {
      [slow("60000")]: "0+1x200",
      [slow("120000")]: "0+10x200",
      [slow("+Inf")]: "0+10x200",
    },
    at: "40m",
    fires: [{ openclaw_provider: "p" }],
  },
  {
    alert: "FleetModelSlow",
    title: "all are faster",
    series: {
      [slow("60000")]: "0+10x200",
      [slow("120000")]: "0+10x200",
      [slow("+Inf")]: "0+10x200",
    },
    at: "40m",
    fires: [],
  },
  {
    alert: "HostDiskFull",
    title: "five per cent left",
    series: { [disk("avail")]: "5x40", [disk("size")]: "100x40" },
    at: "8m",
    fires: [host],
  },
  {
    alert: "HostDiskFull",
    title: "half is left",
    series: { [disk("avail")]: "50x40", [disk("size")]: "100x40" },
    at: "8m",
    fires: [],
  },
  {
    alert: "HostMemoryLow",
    title: "three per cent left",
    series: {
      'node_memory_MemAvailable_bytes{instance="a"}': "3x40",
      'node_memory_MemTotal_bytes{instance="a"}': "100x40",
    },
    at: "8m",
    fires: [{ instance: "a" }],
  },
  {
    alert: "HostMemoryLow",
    title: "a third is left",
    series: {
      'node_memory_MemAvailable_bytes{instance="a"}': "33x40",
      'node_memory_MemTotal_bytes{instance="a"}': "100x40",
    },
    at: "8m",
    fires: [],
  },
  {
    alert: "VolumeFull",
    title: "five per cent left",
    series: { [pvc("available")]: "5x40", [pvc("capacity")]: "100x40" },
    at: "8m",
    fires: [{ namespace: "openclaw", persistentvolumeclaim: "s1" }],
  },
  {
    alert: "VolumeFull",
    title: "half is left",
    series: { [pvc("available")]: "50x40", [pvc("capacity")]: "100x40" },
    at: "8m",
    fires: [],
  },
  ...HOST_CASES,
];
