import type { PricedBy, PriceTable } from "../cost.ts";

export const NAMESPACES = {
  monitoring: "monitoring",
  /** What runs on every node reads the node's own folders, which the other namespace forbids. */
  agents: "monitoring-agents",
} as const;

/** Names inside the cluster, as values and data sources say them. */
export const SERVICES = {
  prometheus: "http://monitoring-prometheus.monitoring.svc:9090",
  loki: "http://loki.monitoring.svc:3100",
  tempo: "http://tempo.monitoring.svc:3200",
  tempoOtlp: "tempo.monitoring.svc:4317",
  /** Where gateways push their traces and metrics: OTLP over HTTP. */
  otlpHttp: "http://otel.monitoring.svc:4318",
} as const;

/** First part of the names that kube-prometheus-stack gives. */
export const STACK = "monitoring";

/** Secrets in the monitoring namespace, brought in by external-secrets. */
export const SECRETS = { receivers: "alert-receivers", grafana: "grafana-admin" } as const;

/** Where the Prometheus operator puts files of a Secret that Alertmanager is given. */
export const SECRETS_DIR = `/etc/alertmanager/secrets/${SECRETS.receivers}`;

/** Numbers that sizing rests on. */
export const SIZING = {
  /**
   * Time series of one shard: the fleet's own (about 60) and OpenClaw's, which keeps at most 2,048.
   * Source: docs/metrics.md; OpenClaw 2026.9.6, docs/gateway/prometheus.md.
   */
  seriesPerShard: 2100,
  /** Of a node: node-exporter (about 1,200), kubelet and its containers (about 2,500). From memory, to be measured. */
  seriesPerNode: 4000,
  /** Of the cluster itself: kube-state-metrics, API server, controllers. From memory, to be measured. */
  seriesOfCluster: 30_000,
  scrapeSeconds: 30,
  /** Upper end of Prometheus's own estimate of 1–2. Source: prometheus.io/docs/prometheus/latest/storage. */
  bytesPerSample: 2,
  /** Log, compaction and time until a person reacts. */
  diskHeadroom: 1.5,
  /** Prometheus's memory for an active series, with its queries. From memory, to be measured. */
  bytesPerSeries: 8192,
  /** Logs of a node at rest, and of a user who writes all day. To be measured on a running fleet. */
  logMiBPerNodeDay: 50,
  logMiBPerUserDay: 2,
  /** Loki keeps chunks compressed; its index and log take the rest. From memory, to be measured. */
  logCompression: 0.3,
  traceMiBPerUserDay: 1,
  /** Days in which logs and traces are searched here; older logs are in the bucket. */
  hotDays: 3,
  /**
   * Least volume, GiB; larger ones double. The size of a StatefulSet's claims cannot be changed, so
   * that the size must not follow every user: every preset has the same.
   */
  minVolumeGiB: 20,
  /** Seconds in which Vector gathers what becomes one object of the bucket. */
  archiveSeconds: 300,
} as const;

/** What each pod asks of a system node; Prometheus's memory follows its series. From memory, to be measured. */
export const PODS = {
  prometheus: { cpuMilli: 250, memoryMiB: 400 },
  alertmanager: { cpuMilli: 10, memoryMiB: 64 },
  operator: { cpuMilli: 50, memoryMiB: 100 },
  stateMetrics: { cpuMilli: 20, memoryMiB: 64 },
  grafana: { cpuMilli: 50, memoryMiB: 256 },
  loki: { cpuMilli: 100, memoryMiB: 512 },
  tempo: { cpuMilli: 100, memoryMiB: 512 },
  collector: { cpuMilli: 50, memoryMiB: 256 },
  vector: { cpuMilli: 50, memoryMiB: 128 },
} as const;

export type MonitoringPrice = "gp3GbMonth" | "secretMonth" | "s3PutThousand";

/** Dollars by region. */
export const PRICES: PriceTable<MonitoringPrice> = {
  date: "2026-11-21",
  source:
    "aws.amazon.com/ebs/pricing, /secrets-manager/pricing, /s3/pricing; from memory, to be checked",
  regions: {
    "us-east-1": { gp3GbMonth: 0.08, secretMonth: 0.4, s3PutThousand: 0.005 },
    "eu-central-1": { gp3GbMonth: 0.0952, secretMonth: 0.4, s3PutThousand: 0.0054 },
    "eu-west-1": { gp3GbMonth: 0.088, secretMonth: 0.4, s3PutThousand: 0.005 },
  },
};

/** What the lines of the bill are called. */
export const LINES = {
  metrics: "metrics volumes",
  logs: "log volume",
  traces: "trace volume",
  alerts: "alert volumes",
  archive: "log objects written",
  secret: "Grafana's password",
} as const;

const IN_CLUSTER = { free: "an object in the cluster; what it runs on is priced there" };

/** Every type that this component registers. */
export const PRICED: Readonly<Record<string, PricedBy>> = {
  "aws:iam/role:Role": { free: "IAM costs nothing" },
  "aws:iam/rolePolicy:RolePolicy": { free: "IAM costs nothing" },
  "aws:eks/podIdentityAssociation:PodIdentityAssociation": { free: "part of the cluster" },
  "aws:secretsmanager/secret:Secret": { lines: [LINES.secret] },
  "aws:secretsmanager/secretVersion:SecretVersion": { free: "part of its secret" },
  "random:index/randomPassword:RandomPassword": { free: "made by Pulumi" },
  "kubernetes:core/v1:Namespace": IN_CLUSTER,
  "kubernetes:core/v1:ConfigMap": IN_CLUSTER,
  "kubernetes:networking.k8s.io/v1:NetworkPolicy": IN_CLUSTER,
  "kubernetes:helm.sh/v3:Release": {
    lines: [LINES.metrics, LINES.logs, LINES.traces, LINES.alerts, LINES.archive],
  },
  "kubernetes:external-secrets.io/v1:ExternalSecret": IN_CLUSTER,
  "kubernetes:monitoring.coreos.com/v1:ServiceMonitor": IN_CLUSTER,
  "kubernetes:monitoring.coreos.com/v1:PrometheusRule": IN_CLUSTER,
  "openclaw:kube:Gone": { free: "a wait at destroy" },
};
