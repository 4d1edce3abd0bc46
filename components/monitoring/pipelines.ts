import type * as pulumi from "@pulumi/pulumi";
import type { Values } from "../release.ts";
import { ON_SYSTEM_NODES, podResources } from "../system-pods.ts";
import { PODS, SERVICES } from "./catalog.ts";
import type { MonitoringPlan } from "./plan.ts";
import { type Place, retention } from "./values.ts";

/** One Loki on one volume, for the days that are searched; older logs are in the bucket. */
export function lokiValues({ logs }: MonitoringPlan, place: Place): Values {
  const none = { replicas: 0 };
  return {
    deploymentMode: "Monolithic",
    loki: {
      auth_enabled: false,
      commonConfig: { replication_factor: 1 },
      storage: { type: "filesystem" },
      schemaConfig: {
        configs: [
          {
            from: "2026-01-01",
            store: "tsdb",
            object_store: "filesystem",
            schema: "v13",
            index: { prefix: "index_", period: "24h" },
          },
        ],
      },
      limits_config: { retention_period: `${logs.days * 24}h` },
      compactor: { retention_enabled: true, delete_request_store: "filesystem" },
    },
    singleBinary: {
      replicas: 1,
      // Loki's own rules are not used: alerts come from metrics.
      sidecar: false,
      resources: podResources(PODS.loki),
      ...ON_SYSTEM_NODES,
      persistence: {
        enabled: true,
        size: `${logs.volumeGiB}Gi`,
        storageClass: place.storageClass,
        enableStatefulSetAutoDeletePVC: place.deleteVolumes,
        ...retention(place),
      },
    },
    read: none,
    write: none,
    backend: none,
    chunksCache: { enabled: false },
    resultsCache: { enabled: false },
    gateway: { enabled: false },
    lokiCanary: { enabled: false },
    test: { enabled: false },
  };
}

export function tempoValues(
  { days, volumeGiB }: NonNullable<MonitoringPlan["traces"]>,
  place: Place,
): Values {
  return {
    tempo: {
      retention: `${days * 24}h`,
      reportingEnabled: false,
      resources: podResources(PODS.tempo),
    },
    ...ON_SYSTEM_NODES,
    persistence: {
      enabled: true,
      size: `${volumeGiB}Gi`,
      storageClassName: place.storageClass,
      enableStatefulSetAutoDeletePVC: place.deleteVolumes,
    },
  };
}

/** Port at which Prometheus reads what gateways pushed. */
const PUSHED_PORT = 8889;

/**
 * Takes what gateways push: metrics for Prometheus to read, traces for Tempo. Names of metrics stay
 * as OpenClaw's with dots as underscores, which is how rules and dashboards know them.
 */
export function collectorValues(plan: MonitoringPlan): Values {
  const pipeline = (...exporters: string[]) => ({
    receivers: ["otlp"],
    processors: ["memory_limiter", "batch"],
    exporters,
  });
  return {
    mode: "deployment",
    fullnameOverride: "otel",
    // Of the distributions it is the one with the Prometheus exporter.
    image: {
      repository:
        "ghcr.io/open-telemetry/opentelemetry-collector-releases/opentelemetry-collector-contrib",
    },
    resources: podResources(PODS.collector),
    ...ON_SYSTEM_NODES,
    config: {
      exporters: {
        prometheus: {
          endpoint: `0.0.0.0:${PUSHED_PORT}`,
          add_metric_suffixes: false,
          resource_to_telemetry_conversion: { enabled: false },
        },
        ...(plan.traces
          ? { "otlp/tempo": { endpoint: SERVICES.tempoOtlp, tls: { insecure: true } } }
          : {}),
      },
      service: {
        pipelines: {
          metrics: pipeline("prometheus"),
          traces: pipeline(plan.traces ? "otlp/tempo" : "debug"),
          // Logs go another way: each node's agent reads them.
          logs: pipeline("debug"),
        },
      },
    },
    ports: {
      "jaeger-compact": { enabled: false },
      "jaeger-thrift": { enabled: false },
      "jaeger-grpc": { enabled: false },
      zipkin: { enabled: false },
      pushed: {
        enabled: true,
        containerPort: PUSHED_PORT,
        servicePort: PUSHED_PORT,
        protocol: "TCP",
      },
    },
    serviceMonitor: { enabled: true, metricsEndpoints: [{ port: "pushed" }] },
  };
}

/** Helm reads these values as a template itself: what Vector is to fill in has to be said twice. */
const fill = (field: string) => `{{ "{{" }} ${field} {{ "}}" }}`;

export interface Archive {
  readonly bucket: pulumi.Input<string>;
  readonly region: string;
  readonly keyArn: pulumi.Input<string>;
  readonly seconds: number;
}

/** Where logs lie in the bucket; the agent's role may write nowhere else. */
export const LOG_PREFIX = "logs/";

/** One agent a node: every line goes to Loki for the search, and to the bucket for keeping. */
export function vectorValues({ bucket, region, keyArn, seconds }: Archive): Values {
  const buffer = { type: "disk", max_size: 268_435_488, when_full: "block" };
  return {
    role: "Agent",
    rollWorkload: true,
    serviceAccount: { name: "vector" },
    service: { enabled: false },
    containerPorts: [{ name: "prom-exporter", containerPort: 9090, protocol: "TCP" }],
    podMonitor: { enabled: true },
    tolerations: [{ operator: "Exists" }],
    resources: podResources(PODS.vector),
    customConfig: {
      data_dir: "/vector-data-dir",
      sources: {
        logs: { type: "kubernetes_logs" },
        internal: { type: "internal_metrics" },
      },
      sinks: {
        loki: {
          type: "loki",
          inputs: ["logs"],
          endpoint: SERVICES.loki,
          encoding: { codec: "json" },
          labels: {
            namespace: fill("kubernetes.pod_namespace"),
            pod: fill("kubernetes.pod_name"),
            container: fill("kubernetes.container_name"),
          },
          buffer,
        },
        archive: {
          type: "aws_s3",
          inputs: ["logs"],
          bucket,
          region,
          key_prefix: `${LOG_PREFIX}date=%F/`,
          compression: "gzip",
          encoding: { codec: "json" },
          framing: { method: "newline_delimited" },
          server_side_encryption: "aws:kms",
          ssekms_key_id: keyArn,
          batch: { timeout_secs: seconds, max_bytes: 10_000_000 },
          // Its check lists the bucket, which the role may not.
          healthcheck: { enabled: false },
          buffer,
        },
        metrics: {
          type: "prometheus_exporter",
          inputs: ["internal"],
          address: "0.0.0.0:9090",
        },
      },
    },
  };
}
