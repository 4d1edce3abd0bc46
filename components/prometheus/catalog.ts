/** What monitoring is made of on hosts. Everything but the exporters of each host is on one of them. */

/** Debian's packages. Source: packages.debian.org, bookworm and trixie; packages.ubuntu.com, noble. */
export const PACKAGES = {
  prometheus: "prometheus",
  alertmanager: "prometheus-alertmanager",
  blackbox: "prometheus-blackbox-exporter",
  redis: "prometheus-redis-exporter",
  machine: "prometheus-node-exporter",
} as const;

export type Program = keyof typeof PACKAGES;

/** The packages' own units, which read configurations of their own. */
export const PACKAGE_UNITS: Readonly<Record<Program, string>> = {
  prometheus: "prometheus.service",
  alertmanager: "prometheus-alertmanager.service",
  blackbox: "prometheus-blackbox-exporter.service",
  redis: "prometheus-redis-exporter.service",
  machine: "prometheus-node-exporter.service",
};

export const UNITS: Readonly<Record<Program | "canary", string>> = {
  prometheus: "openclaw-fleet-prometheus.service",
  alertmanager: "openclaw-fleet-alertmanager.service",
  blackbox: "openclaw-fleet-blackbox-exporter.service",
  redis: "openclaw-fleet-redis-exporter.service",
  machine: "openclaw-fleet-node-exporter.service",
  canary: "openclaw-fleet-canary.service",
};

/** Where the programs lie. Source: the file lists of Debian's packages. */
export const BINARIES = {
  prometheus: "/usr/bin/prometheus",
  promtool: "/usr/bin/promtool",
  alertmanager: "/usr/bin/prometheus-alertmanager",
  amtool: "/usr/bin/amtool",
  blackbox: "/usr/bin/prometheus-blackbox-exporter",
  redis: "/usr/bin/prometheus-redis-exporter",
  machine: "/usr/bin/prometheus-node-exporter",
} as const;

/** Runs all of it. It owns nothing of the fleet, and reads certificates and tokens of its own only. */
export const MONITOR_USER = "openclaw-monitor";

export interface WatchPorts {
  /** Of every host, for the one that watches; certificates both ways. */
  readonly machine: number;
  /** The rest is on loopback of the host that watches. */
  readonly prometheus: number;
  readonly alertmanager: number;
  readonly blackbox: number;
  readonly redis: number;
  readonly canary: number;
}

/** Source: the programs' own defaults; the canary's is next to the fleet's ports. */
export const WATCH_PORTS: WatchPorts = {
  machine: 9_100,
  prometheus: 9_090,
  alertmanager: 9_093,
  blackbox: 9_115,
  redis: 9_121,
  canary: 18_795,
};

/**
 * What monitoring takes, MiB. Seen right after its start: 21 for the exporter of each host; 71 for Prometheus, which
 * grows with its series, 37 for Alertmanager, 39 for the exporters beside it, and a Node for the canary.
 */
export const WATCH_MEMORY_MIB = { machine: 32, watcher: 320 } as const;

export interface WatchTiming {
  /** How often nodes and exporters are asked, and rules looked at, s. */
  readonly scrapeSeconds: number;
  /** How often public URLs and certificates are asked, s. */
  readonly probeSeconds: number;
  /** Multiplies what rules wait for. 0 makes every alert fire at first sight, for tests. */
  readonly patience: number;
  /** Alertmanager's waits; its own when left out. */
  readonly groupWaitSeconds?: number;
}

/**
 * Ten seconds: a shard without an owner is told after 30 s, and must not be when it has one after 25. On
 * hosts there are some thousand series, which costs a percent of a core.
 */
export const WATCH_TIMING: WatchTiming = { scrapeSeconds: 10, probeSeconds: 30, patience: 1 };
