/** A Helm chart at one version. */
export interface ChartPin {
  readonly chart: string;
  readonly version: string;
  /** Where Helm gets it. */
  readonly repository: string;
  /** Kinds that it brings, as `Kind.group`; resources of them wait for its release. */
  readonly crds: readonly string[];
  /** Where its values and version were read. */
  readonly source: string;
  /** Day of that, ISO. */
  readonly checked: string;
}

const PROMETHEUS_COMMUNITY = "https://prometheus-community.github.io/helm-charts";
const GRAFANA_COMMUNITY = "https://grafana-community.github.io/helm-charts";
const checked = "2026-11-21";

/** Every chart that the project installs but Karpenter's, whose version follows the cluster's. */
export const CHARTS = {
  awsLoadBalancerController: {
    chart: "aws-load-balancer-controller",
    version: "3.6.0",
    repository: "https://aws.github.io/eks-charts",
    crds: ["TargetGroupBinding.elbv2.k8s.aws", "IngressClassParams.elbv2.k8s.aws"],
    source: "github.com/kubernetes-sigs/aws-load-balancer-controller",
    checked,
  },
  nvidiaDevicePlugin: {
    chart: "nvidia-device-plugin",
    version: "0.20.0",
    repository: "https://nvidia.github.io/k8s-device-plugin",
    crds: [],
    source: "github.com/NVIDIA/k8s-device-plugin",
    checked,
  },
  externalSecrets: {
    chart: "external-secrets",
    version: "2.9.0",
    repository: "https://charts.external-secrets.io",
    crds: [
      "SecretStore.external-secrets.io",
      "ClusterSecretStore.external-secrets.io",
      "ExternalSecret.external-secrets.io",
    ],
    source: "github.com/external-secrets/external-secrets",
    checked,
  },
  keda: {
    chart: "keda",
    version: "2.20.2",
    repository: "https://kedacore.github.io/charts",
    crds: ["ScaledObject.keda.sh", "ScaledJob.keda.sh", "TriggerAuthentication.keda.sh"],
    source: "github.com/kedacore/charts",
    checked,
  },
  certManager: {
    chart: "cert-manager",
    version: "v1.21.1",
    repository: "https://charts.jetstack.io",
    crds: [
      "Certificate.cert-manager.io",
      "Issuer.cert-manager.io",
      "ClusterIssuer.cert-manager.io",
    ],
    source: "github.com/cert-manager/cert-manager",
    checked,
  },
  /** Of the same operator version (0.93.1) as {@link CHARTS.kubePrometheusStack}: one moves with the other. */
  prometheusOperatorCrds: {
    chart: "prometheus-operator-crds",
    version: "31.0.1",
    repository: PROMETHEUS_COMMUNITY,
    crds: [
      "Prometheus.monitoring.coreos.com",
      "Alertmanager.monitoring.coreos.com",
      "PrometheusRule.monitoring.coreos.com",
      "ServiceMonitor.monitoring.coreos.com",
      "PodMonitor.monitoring.coreos.com",
    ],
    source: "github.com/prometheus-community/helm-charts",
    checked,
  },
  kubePrometheusStack: {
    chart: "kube-prometheus-stack",
    version: "88.5.3",
    repository: PROMETHEUS_COMMUNITY,
    crds: [],
    source: "github.com/prometheus-community/helm-charts",
    checked,
  },
  grafana: {
    chart: "grafana",
    version: "12.11.1",
    repository: GRAFANA_COMMUNITY,
    crds: [],
    source: "github.com/grafana-community/helm-charts",
    checked,
  },
  loki: {
    chart: "loki",
    version: "18.11.0",
    repository: GRAFANA_COMMUNITY,
    crds: [],
    source: "github.com/grafana-community/helm-charts",
    checked,
  },
  vector: {
    chart: "vector",
    version: "0.56.0",
    repository: "https://helm.vector.dev",
    crds: [],
    source: "github.com/vectordotdev/helm-charts",
    checked,
  },
  tempo: {
    chart: "tempo",
    version: "2.2.4",
    repository: GRAFANA_COMMUNITY,
    crds: [],
    source: "github.com/grafana-community/helm-charts",
    checked,
  },
  opentelemetryCollector: {
    chart: "opentelemetry-collector",
    version: "0.170.0",
    repository: "https://open-telemetry.github.io/opentelemetry-helm-charts",
    crds: [],
    source: "github.com/open-telemetry/opentelemetry-helm-charts",
    checked,
  },
} as const satisfies Readonly<Record<string, ChartPin>>;

export type ChartName = keyof typeof CHARTS;
