/** Label `job` of everything that the routers say about themselves, on every target. */
export const JOB = "openclaw-fleet";

/** Label `job` of what is watched on hosts besides the routers. */
export const HOST_JOBS = {
  machine: "node",
  etcd: "etcd",
  redis: "redis",
  /** Public URLs, as people reach them. */
  front: "front",
  /** TLS of the routers, as fronts reach them. */
  certificates: "certificates",
  canary: "canary",
  /** What watches: Prometheus, Alertmanager, blackbox exporter. */
  watcher: "watcher",
} as const;

/** Stands in `instance` between a URL and the address of the one host that is asked for it. */
export const AT = " at ";

/**
 * Routes that programs ask all the time: scrapes, probes of fronts and balancers. Among them people's requests would
 * not be seen.
 */
export const MACHINE_ROUTES = [
  "/healthz",
  "/health",
  "/readyz",
  "/startupz",
  "/api/v1/health",
  "/api/v1/metrics",
  "/metrics",
] as const;

/** Names under which receivers are handed their secrets. */
export const RECEIVER_KEYS = {
  slack: "slack-url",
  pagerDuty: "pagerduty-key",
  email: "smtp-password",
  webhook: "webhook-url",
  heartbeat: "heartbeat-url",
} as const;

export type Receiver = keyof typeof RECEIVER_KEYS;
