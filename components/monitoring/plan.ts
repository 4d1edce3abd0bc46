import { type CostLine, HOURS_A_MONTH, pricesOf, type Tier } from "../cost.ts";
import { ConfigError, type Fault } from "../errors.ts";
import { type PodLoad, sumLoad } from "../system-pods.ts";
import { RECEIVER_KEYS, type Receiver } from "../watch/catalog.ts";
import type { FleetFacts } from "../watch/facts.ts";
import { tellsSomebody } from "../watch/receivers.ts";
import type { MonitoringSettings } from "../watch/settings.ts";
import { LINES, PODS, PRICES, SIZING } from "./catalog.ts";

export interface MonitoringNeed {
  readonly fleet: string;
  readonly nodes: readonly string[];
  readonly shards: readonly { readonly id: string; readonly recycleMiB: number }[];
  readonly users: number;
  /** Shards have a replica elsewhere: the lag is measured, and its absence is an alarm. */
  readonly replicated: boolean;
  /** The loss of a zone leaves somebody who tells of it: Prometheus and Alertmanager run twice. */
  readonly survivesZone: boolean;
  readonly settings: MonitoringSettings;
}

export interface MonitoringPlan {
  readonly fleet: string;
  readonly settings: MonitoringSettings;
  /** What rules and dashboards are made from. */
  readonly facts: FleetFacts;
  readonly metrics: {
    readonly replicas: 1 | 2;
    /** Active time series. */
    readonly series: number;
    readonly days: number;
    /** Of each replica. */
    readonly volumeGiB: number;
    /** What a replica asks of its node. */
    readonly pod: PodLoad;
  };
  readonly logs: { readonly days: number; readonly mibPerDay: number; readonly volumeGiB: number };
  /** Null: not kept. */
  readonly traces: { readonly days: number; readonly volumeGiB: number } | null;
  readonly alertVolumeGiB: number;
  /** What all of it asks of the system nodes, apart from the agents on every node. */
  readonly load: PodLoad;
  /** Nodes that write to the bucket. */
  readonly writers: number;
  /** What a person should know, without being an error. */
  readonly notes: readonly string[];
}

const GIB = 2 ** 30;
const DAY_SECONDS = 86_400;

/** Sizes of monitoring. Throws ConfigError with every fault. */
export function planMonitoring(need: MonitoringNeed): MonitoringPlan {
  const { settings } = need;
  checkSecrets(need);
  const series =
    SIZING.seriesOfCluster +
    SIZING.seriesPerNode * need.nodes.length +
    SIZING.seriesPerShard * need.shards.length;
  const samples = (series * settings.metricsDays * DAY_SECONDS) / SIZING.scrapeSeconds;
  const mibPerDay =
    settings.logMiBPerDay ??
    SIZING.logMiBPerNodeDay * need.nodes.length + SIZING.logMiBPerUserDay * need.users;
  const hotMiB = (perDay: number) => perDay * SIZING.hotDays;
  const traceMiB = hotMiB(SIZING.traceMiBPerUserDay * need.users);
  const replicas = need.survivesZone ? 2 : 1;
  const pod: PodLoad = {
    cpuMilli: PODS.prometheus.cpuMilli,
    memoryMiB: Math.max(
      PODS.prometheus.memoryMiB,
      Math.ceil((series * SIZING.bytesPerSeries) / 2 ** 20),
    ),
  };
  return {
    fleet: need.fleet,
    settings,
    facts: {
      fleet: need.fleet,
      shards: need.shards,
      nodes: need.nodes,
      replicated: need.replicated,
      monthlyUsd: null,
      maintenanceHours: settings.maintenanceHours,
      tokenPricesUsdPerMillion: settings.tokenPricesUsdPerMillion,
    },
    metrics: {
      replicas,
      series,
      days: settings.metricsDays,
      volumeGiB: volume(samples * SIZING.bytesPerSample),
      pod,
    },
    logs: {
      days: SIZING.hotDays,
      mibPerDay,
      volumeGiB: volume(hotMiB(mibPerDay) * SIZING.logCompression * 2 ** 20),
    },
    traces: settings.traces
      ? { days: SIZING.hotDays, volumeGiB: volume(traceMiB * 2 ** 20) }
      : null,
    alertVolumeGiB: 1,
    load: sumLoad([
      [replicas, pod],
      [replicas, PODS.alertmanager],
      [1, PODS.operator],
      [1, PODS.stateMetrics],
      [1, PODS.grafana],
      [1, PODS.loki],
      [settings.traces ? 1 : 0, PODS.tempo],
      [1, PODS.collector],
    ]),
    writers: need.nodes.length,
    notes: tellsSomebody(settings.alerts)
      ? []
      : ["monitoring.alerts names nobody: alerts are seen in Grafana only"],
  };
}

/** The same plan, told what the whole stack costs: its cost dashboard shows it. */
export function knowingCost(plan: MonitoringPlan, monthlyUsd: number | null): MonitoringPlan {
  return { ...plan, facts: { ...plan.facts, monthlyUsd } };
}

/** The first step, GiB, that holds so many bytes with headroom. */
function volume(bytes: number): number {
  const need = (bytes * SIZING.diskHeadroom) / GIB;
  return SIZING.minVolumeGiB * 2 ** Math.max(0, Math.ceil(Math.log2(need / SIZING.minVolumeGiB)));
}

/** The role that reads secrets may read those whose names begin with the fleet's. */
function checkSecrets({ fleet, settings }: MonitoringNeed): void {
  const { alerts } = settings;
  const faults: Fault[] = [];
  for (const kind of Object.keys(RECEIVER_KEYS) as Receiver[]) {
    const receiver = alerts[kind];
    if (receiver === undefined) continue;
    const { secret } = receiver;
    // A mail server may take letters from anybody.
    if (secret === undefined && kind !== "email") {
      faults.push({
        setting: `monitoring.alerts.${kind}.secret`,
        problem: "is missing: in a cluster, secrets of receivers come from Secrets Manager",
        remedy: `Store it there as ${fleet}-${kind.toLowerCase()}, and name it so here`,
      });
    }
    if (secret === undefined || secret.startsWith(`${fleet}-`)) continue;
    faults.push({
      setting: `monitoring.alerts.${kind}.secret`,
      problem: `is ${secret}, and only secrets whose names begin with ${fleet}- can be read`,
      remedy: `Store it as ${fleet}-${secret}, and name it so here`,
    });
  }
  if (alerts.email?.username !== undefined && alerts.email.secret === undefined) {
    faults.push({
      setting: "monitoring.alerts.email.secret",
      problem: "is missing, and username is set",
      remedy: "Name the secret with the account's password, or leave username out",
    });
  }
  if (faults.length > 0) throw new ConfigError(faults);
}

/** Its row of `fleet plan`. What it runs on is a line of the cluster's. */
export function tierMonitoring(plan: MonitoringPlan, region: string): Tier {
  const { metrics, logs, traces } = plan;
  return {
    tier: "monitoring",
    size: `${metrics.volumeGiB} GiB metrics, ${logs.volumeGiB} GiB logs${
      traces ? `, ${traces.volumeGiB} GiB traces` : ""
    }`,
    count: metrics.replicas,
    why: `${metrics.series} series for ${metrics.days} days, ${Math.round(logs.mibPerDay)} MiB of logs a day`,
    survives:
      metrics.replicas > 1
        ? "the loss of one zone: metrics and alerts go on, recent logs wait for their volume's zone"
        : "no loss of its node: what runs goes on unwatched until it is back",
    costs: costs(plan, region),
  };
}

function costs({ metrics, logs, traces, alertVolumeGiB, writers }: MonitoringPlan, region: string) {
  const prices = pricesOf(PRICES, region);
  if (!prices) return [];
  const disk = (what: string, quantity: number): CostLine => ({
    what,
    quantity,
    unit: "GB-month",
    priceUsd: prices.gp3GbMonth,
  });
  const objects = (writers * HOURS_A_MONTH * 3600) / SIZING.archiveSeconds;
  return [
    disk(LINES.metrics, metrics.volumeGiB * metrics.replicas),
    disk(LINES.alerts, alertVolumeGiB * metrics.replicas),
    disk(LINES.logs, logs.volumeGiB),
    ...(traces ? [disk(LINES.traces, traces.volumeGiB)] : []),
    {
      what: LINES.archive,
      quantity: objects / 1000,
      unit: "1000 requests",
      priceUsd: prices.s3PutThousand,
    },
    { what: LINES.secret, quantity: 1, unit: "secret-month", priceUsd: prices.secretMonth },
  ];
}
