/**
 * Every metric that a rule or a dashboard may name, with the labels it may be asked by. The fleet's
 * own are docs/metrics.md; the others are held against their exporter's list by a test.
 */
export const METRICS = {
  openclaw_fleet_requests_total: ["route", "code"],
  openclaw_fleet_request_duration_seconds_bucket: ["le"],
  openclaw_fleet_held_requests: [],
  openclaw_fleet_shard_state: ["shard", "state"],
  openclaw_fleet_lease_epoch: ["shard"],
  openclaw_fleet_failovers_total: ["shard", "reason"],
  openclaw_fleet_failover_duration_seconds_bucket: ["le"],
  openclaw_fleet_gateway_restarts_total: ["shard", "reason"],
  openclaw_fleet_gateway_memory_bytes: ["shard"],
  openclaw_fleet_tokens_total: ["agent", "kind"],
  openclaw_fleet_sessions_active: ["agent"],
  openclaw_fleet_tool_calls_total: ["agent", "kind"],
  openclaw_fleet_replica_lag_seconds: ["shard"],
  openclaw_fleet_unreplicated: ["shard"],
  openclaw_fleet_history_lost_total: ["shard"],
  openclaw_fleet_store_up: [],
  openclaw_fleet_session_store_up: [],
  openclaw_fleet_node_state: ["node", "state"],

  /** Of the canary, which is no part of a node: see gateway/canary. */
  openclaw_fleet_canary_duration_seconds_bucket: ["le"],
  openclaw_fleet_canary_failures_total: ["reason"],

  /** OpenClaw's own, through the collector: dots become underscores, no suffix is added. */
  openclaw_model_call_duration_ms_bucket: [
    "openclaw_provider",
    "openclaw_model",
    "openclaw_model_call_observation_unit",
    "le",
  ],
  openclaw_model_call_duration_ms_count: [
    "openclaw_provider",
    "openclaw_model",
    "openclaw_errorCategory",
  ],
  openclaw_model_failover: ["openclaw_provider", "openclaw_failover_to_provider"],
  openclaw_cost_usd: ["openclaw_provider", "openclaw_model"],
  openclaw_queue_depth_bucket: ["openclaw_lane", "le"],
  openclaw_queue_wait_ms_bucket: ["openclaw_lane", "le"],

  /** Of node-exporter and the kubelet. */
  node_memory_MemAvailable_bytes: ["instance"],
  node_memory_MemTotal_bytes: ["instance"],
  node_filesystem_avail_bytes: ["fstype", "mountpoint", "instance"],
  node_filesystem_size_bytes: ["fstype", "mountpoint", "instance"],
  kubelet_volume_stats_available_bytes: ["namespace", "persistentvolumeclaim"],
  kubelet_volume_stats_capacity_bytes: ["namespace", "persistentvolumeclaim"],

  /** Of what stands beside a fleet on hosts. */
  node_systemd_unit_state: ["name", "state", "instance"],
  etcd_server_has_leader: ["instance"],
  etcd_server_leader_changes_seen_total: ["instance"],
  etcd_mvcc_db_total_size_in_bytes: ["instance"],
  etcd_server_quota_backend_bytes: ["instance"],
  redis_up: ["instance"],
  redis_instance_info: ["role", "instance"],
  redis_memory_used_bytes: ["instance"],
  redis_memory_max_bytes: ["instance"],
  probe_success: ["job", "instance"],
  alertmanager_notifications_failed_total: ["integration"],
  probe_ssl_earliest_cert_expiry: ["job", "instance"],

  /** Prometheus's own, for every target. */
  up: ["job", "instance"],
} as const satisfies Readonly<Record<string, readonly string[]>>;

export type Metric = keyof typeof METRICS;
export type LabelOf<M extends Metric> = (typeof METRICS)[M][number];

/** How a label is asked for: `=` when it is one word, else with its operator. */
type Match =
  | string
  | { readonly re: string }
  | { readonly notRe: string }
  | { readonly not: string };

/** A selector: `metric("up", { job: "x" })` is `up{job="x"}`. */
export function metric<M extends Metric>(
  name: M,
  labels: Partial<Record<LabelOf<M>, Match>> = {},
): string {
  const parts = Object.entries(labels as Record<string, Match>).map(([label, match]) => {
    if (typeof match === "string") return `${label}=${JSON.stringify(match)}`;
    if ("re" in match) return `${label}=~${JSON.stringify(match.re)}`;
    if ("notRe" in match) return `${label}!~${JSON.stringify(match.notRe)}`;
    return `${label}!=${JSON.stringify(match.not)}`;
  });
  return parts.length > 0 ? `${name}{${parts.join(",")}}` : name;
}

/** The value under which `share` (0–1) of a histogram's observations lie, over a window. */
export function quantile(
  share: number,
  bucket: string,
  window: string,
  by: readonly string[] = [],
): string {
  return `histogram_quantile(${share}, sum by (${["le", ...by].join(", ")}) (rate(${bucket}[${window}])))`;
}
