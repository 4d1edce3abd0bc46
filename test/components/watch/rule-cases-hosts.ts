import type { RuleCase } from "./rule-cases.ts";

const up = (job: string, instance: string) => `up{job="${job}",instance="${instance}"}`;
const leader = (member: string) => `etcd_server_has_leader{instance="${member}"}`;
const DAY = 86_400;
/** promtool's clock begins at 0. */
const ends = (days: number) => `${days * DAY}x400`;
const expiry = 'probe_ssl_earliest_cert_expiry{job="front",instance="https://f"}';
const front = { job: "front", instance: "https://f" };
const restarts = 'openclaw_fleet_gateway_restarts_total{shard="s1",reason="memory",instance="a"}';
const epoch = (instance: string) => `openclaw_fleet_lease_epoch{shard="s1",instance="${instance}"}`;
const unit = (state: string) =>
  `node_systemd_unit_state{name="openclaw-fleet-etcd.service",state="${state}",instance="a"}`;
const failures = (reason: string) => `openclaw_fleet_canary_failures_total{reason="${reason}"}`;
const answers = (le: string) => `openclaw_fleet_canary_duration_seconds_bucket{le="${le}"}`;
const role = (of: string) => `redis_instance_info{role="${of}",instance="a"}`;

/** Two cases of an alert that looks at one series: a value that fires, and one that does not. */
function pair(
  alert: string,
  series: string,
  bad: readonly [title: string, values: string],
  good: readonly [title: string, values: string],
  labels: Readonly<Record<string, string>>,
  at = "8m",
): RuleCase[] {
  return [
    { alert, title: bad[0], series: { [series]: bad[1] }, at, fires: [labels] },
    { alert, title: good[0], series: { [series]: good[1] }, at, fires: [] },
  ];
}

/** Alerts of fleets on hosts. */
export const HOST_CASES: readonly RuleCase[] = [
  { alert: "Watchdog", title: "always", series: {}, at: "1m", fires: [{}] },
  ...pair(
    "HostDown",
    up("node", "a"),
    ["silent for eight minutes", "0x40"],
    ["a reboot of a minute and a half", "1x24 0x6 1x20"],
    { job: "node", instance: "a" },
  ),
  ...pair("HostUnitFailed", unit("failed"), ["given up", "1x40"], ["not failed", "0x40"], {
    name: "openclaw-fleet-etcd.service",
    state: "failed",
    instance: "a",
  }),
  ...pair("WatcherDown", up("watcher", "alertmanager"), ["away", "0x40"], ["there", "1x40"], {
    job: "watcher",
    instance: "alertmanager",
  }),
  ...pair(
    "AlertsUndelivered",
    'alertmanager_notifications_failed_total{integration="email",instance="alertmanager"}',
    ["again after five minutes", "0x10 1x20 2x20"],
    ["once", "0x10 1x40"],
    { integration: "email" },
    "12m",
  ),
  {
    alert: "WatcherDown",
    title: "a router that is away is another alert's",
    series: { [up("openclaw-fleet", "a")]: "0x40" },
    at: "8m",
    fires: [],
  },
  {
    alert: "EtcdQuorumLost",
    title: "one of three has a leader",
    series: { [leader("a")]: "1x40", [leader("b")]: "0x40" },
    at: "2m",
    fires: [{}],
  },
  {
    alert: "EtcdQuorumLost",
    title: "nobody answers at all",
    series: { [up("etcd", "a")]: "0x40" },
    at: "2m",
    fires: [{}],
  },
  {
    alert: "EtcdQuorumLost",
    title: "two of three",
    series: { [leader("a")]: "1x40", [leader("b")]: "1x40" },
    at: "2m",
    fires: [],
  },
  ...pair("EtcdMemberDown", up("etcd", "b"), ["away", "0x40"], ["a restart", "1x28 0x4 1x10"], {
    job: "etcd",
    instance: "b",
  }),
  ...pair(
    "EtcdLeaderChanges",
    'etcd_server_leader_changes_seen_total{instance="a"}',
    ["one a minute", "0+1x10 _x0 10+0.25x80"],
    ["one in all", "1x30 2x60"],
    {},
    "15m",
  ),
  {
    alert: "EtcdDatabaseLarge",
    title: "nine tenths",
    series: {
      'etcd_mvcc_db_total_size_in_bytes{instance="a"}': "9x60",
      'etcd_server_quota_backend_bytes{instance="a"}': "10x60",
    },
    at: "12m",
    fires: [{ instance: "a" }],
  },
  {
    alert: "EtcdDatabaseLarge",
    title: "half",
    series: {
      'etcd_mvcc_db_total_size_in_bytes{instance="a"}': "5x60",
      'etcd_server_quota_backend_bytes{instance="a"}': "10x60",
    },
    at: "12m",
    fires: [],
  },
  ...pair(
    "RedisDown",
    'redis_up{job="redis",instance="a"}',
    ["does not answer its exporter", "0x40"],
    ["answers", "1x40"],
    { job: "redis", instance: "a" },
  ),
  {
    alert: "RedisDown",
    title: "the exporter itself is away",
    series: { [up("redis", "a")]: "0x40" },
    at: "8m",
    fires: [{ job: "redis", instance: "a" }],
  },
  {
    alert: "RedisNoMaster",
    title: "replicas only",
    series: { [role("slave")]: "1x40" },
    at: "8m",
    fires: [{}],
  },
  {
    alert: "RedisNoMaster",
    title: "one",
    series: { [role("master")]: "1x40" },
    at: "8m",
    fires: [],
  },
  {
    alert: "RedisNearlyFull",
    title: "at 95 %",
    series: {
      'redis_memory_used_bytes{instance="a"}': "95x40",
      'redis_memory_max_bytes{instance="a"}': "100x40",
    },
    at: "8m",
    fires: [{ instance: "a" }],
  },
  {
    alert: "RedisNearlyFull",
    title: "without a bound it cannot be full",
    series: {
      'redis_memory_used_bytes{instance="a"}': "95x40",
      'redis_memory_max_bytes{instance="a"}': "0x40",
    },
    at: "8m",
    fires: [],
  },
  ...pair(
    "FrontDown",
    'probe_success{job="front",instance="https://f"}',
    ["away", "0x40"],
    ["a reload of a minute", "1x28 0x4 1x10"],
    front,
  ),
  {
    alert: "FrontDown",
    title: "a router that fronts do not reach is another alert's",
    series: { 'probe_success{job="certificates",instance="router of a"}': "0x40" },
    at: "8m",
    fires: [],
  },
  ...pair(
    "CertificateExpiresSoon",
    expiry,
    ["ten days", ends(10)],
    ["a month", ends(30)],
    front,
    "70m",
  ),
  ...pair("CertificateExpires", expiry, ["two days", ends(2)], ["a week", ends(7)], front, "70m"),
  ...pair(
    "FleetRecycles",
    restarts,
    ["one every half hour", "0x4 0+1x30 30x0 30+0.00834x1500"],
    ["two in six hours", "0x200 1x600 2x800"],
    { shard: "s1" },
    "6h",
  ),
  {
    alert: "FleetEpochChurn",
    title: "six owners in an hour",
    series: { [epoch("a")]: "1x20 2x20 3x20 4x20 5x20 6x20 7x200" },
    at: "35m",
    fires: [{ shard: "s1" }],
  },
  {
    alert: "FleetEpochChurn",
    title: "a rolling update moves it twice",
    series: { [epoch("a")]: "1x40 _x40 3x200", [epoch("b")]: "_x40 2x40 _x200" },
    at: "35m",
    fires: [],
  },
  {
    alert: "CanaryFails",
    title: "twice in a row, as it is counted from its start on",
    series: { [failures("status")]: "0x20 1x20 2x40", [failures("timeout")]: "0x80" },
    at: "12m",
    fires: [{}],
  },
  {
    alert: "CanaryFails",
    title: "once",
    series: { [failures("status")]: "0x20 1x60" },
    at: "12m",
    fires: [],
  },
  {
    alert: "CanaryFails",
    title: "once, looked at between samples",
    series: { [failures("status")]: "0x100 1x60" },
    at: "30m",
    every: "7s",
    fires: [],
  },
  {
    alert: "CanaryFails",
    title: "its first attempt, right after its start",
    series: { [failures("unreachable")]: "0 1x60" },
    at: "29s",
    every: "7s",
    fires: [],
  },
  {
    alert: "CanarySlow",
    title: "each answer takes between six and eight seconds",
    series: {
      [answers("6")]: "0x500",
      [answers("8")]: "0+0.05x500",
      [answers("+Inf")]: "0+0.05x500",
    },
    at: "110m",
    fires: [{}],
  },
  {
    alert: "CanarySlow",
    title: "one of twenty-two was slow",
    series: {
      [answers("6")]: "0+0.05x200 10x20 10+0.05x280",
      [answers("8")]: "0+0.05x500",
      [answers("+Inf")]: "0+0.05x500",
    },
    at: "110m",
    fires: [],
  },
];
