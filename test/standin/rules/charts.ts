import type { Props } from "../../../plugin/values.ts";
import { textAt, valuesAt } from "../world.ts";

/** What a chart brings into a cluster, and what it cannot do without. */
export interface Chart {
  /** Repository of the chart, where values and templates were read. */
  readonly source: string;
  /** Kinds that it brings, as `Kind.group`, by its values. */
  readonly crds?: (values: Props, skipCrds: boolean) => readonly string[];
  /** Kinds whose objects only it can bring to an end: they carry finalizers or have effects outside. */
  readonly controls?: readonly string[];
  /** Service account under which it calls AWS, by its values; null: it calls nothing. */
  readonly identity?: (values: Props, release: string) => string | null;
  /** Kinds of others that its own templates, or its pods, need at once. */
  readonly uses?: readonly string[];
  /** Values without which its pods do not start (hop limit 1 hides instance metadata from them). */
  readonly wants?: readonly string[];
  /** Volumes of its stateful sets, by its values: Helm leaves them behind unless they are told to go. */
  readonly claims?: (values: Props) => readonly Claim[];
}

export interface Claim {
  readonly name: string;
  /** It stays when the stateful set goes. */
  readonly kept: boolean;
}

const folder =
  (...kinds: readonly string[]) =>
  (_: Props, skip: boolean) =>
    skip ? [] : kinds;
const when =
  (path: string, standard: boolean, ...kinds: readonly string[]) =>
  (values: Props) =>
    (valuesAt(values, path)[0] ?? standard) === true ? kinds : [];
const account =
  (standard: string) =>
  (values: Props): string =>
    textAt(values, "serviceAccount.name") ?? standard;

const MONITORING = [
  "Prometheus",
  "Alertmanager",
  "PrometheusRule",
  "ServiceMonitor",
  "PodMonitor",
  "Probe",
  "ThanosRuler",
  "PrometheusAgent",
  "ScrapeConfig",
  "AlertmanagerConfig",
].map((kind) => `${kind}.monitoring.coreos.com`);

const KARPENTER = [
  "NodePool.karpenter.sh",
  "NodeClaim.karpenter.sh",
  "EC2NodeClass.karpenter.k8s.aws",
];
const BALANCER = ["TargetGroupBinding.elbv2.k8s.aws", "IngressClassParams.elbv2.k8s.aws"];

/** A volume of one of the operator's own sets. */
function claim(values: Props, name: string, spec: string, template: string): Claim[] {
  if (valuesAt(values, `${spec}.${template}`).length === 0) return [];
  const policy = textAt(values, `${spec}.persistentVolumeClaimRetentionPolicy.whenDeleted`);
  return [{ name, kept: policy !== "Delete" }];
}

/** Every chart that may be installed; another is refused. */
export const KNOWN_CHARTS: Readonly<Record<string, Chart>> = {
  "aws-load-balancer-controller": {
    source: "github.com/kubernetes-sigs/aws-load-balancer-controller helm/",
    crds: folder(...BALANCER),
    controls: ["TargetGroupBinding.elbv2.k8s.aws"],
    identity: account("aws-load-balancer-controller"),
    wants: ["clusterName", "region", "vpcId"],
  },
  "karpenter-crd": {
    source: "github.com/aws/karpenter-provider-aws charts/karpenter-crd",
    crds: () => KARPENTER,
  },
  karpenter: {
    source: "github.com/aws/karpenter-provider-aws charts/karpenter",
    crds: folder(...KARPENTER),
    controls: ["NodePool.karpenter.sh", "EC2NodeClass.karpenter.k8s.aws"],
    uses: KARPENTER,
    identity: account("karpenter"),
    wants: ["settings.clusterName"],
  },
  "nvidia-device-plugin": { source: "github.com/NVIDIA/k8s-device-plugin deployments/helm" },
  "external-secrets": {
    source: "github.com/external-secrets/external-secrets deploy/charts",
    crds: when(
      "installCRDs",
      true,
      ...["SecretStore", "ClusterSecretStore", "ExternalSecret", "PushSecret"].map(
        (kind) => `${kind}.external-secrets.io`,
      ),
    ),
    identity: account("external-secrets"),
  },
  keda: {
    source: "github.com/kedacore/charts keda/",
    crds: when(
      "crds.install",
      true,
      "ScaledObject.keda.sh",
      "ScaledJob.keda.sh",
      "TriggerAuthentication.keda.sh",
      "ClusterTriggerAuthentication.keda.sh",
    ),
    controls: ["ScaledObject.keda.sh", "ScaledJob.keda.sh"],
  },
  "cert-manager": {
    source: "github.com/cert-manager/cert-manager deploy/charts",
    crds: when(
      "crds.enabled",
      false,
      "Certificate.cert-manager.io",
      "Issuer.cert-manager.io",
      "ClusterIssuer.cert-manager.io",
    ),
  },
  "prometheus-operator-crds": {
    source: "github.com/prometheus-community/helm-charts prometheus-operator-crds/",
    crds: () => MONITORING,
  },
  "kube-prometheus-stack": {
    source: "github.com/prometheus-community/helm-charts kube-prometheus-stack/",
    crds: (values, skip) => (skip ? [] : when("crds.enabled", true, ...MONITORING)(values)),
    uses: MONITORING.slice(0, 4),
    claims: (values) => [
      ...claim(
        values,
        "prometheus",
        "prometheus.prometheusSpec",
        "storageSpec.volumeClaimTemplate",
      ),
      ...claim(
        values,
        "alertmanager",
        "alertmanager.alertmanagerSpec",
        "storage.volumeClaimTemplate",
      ),
    ],
  },
  grafana: { source: "github.com/grafana-community/helm-charts grafana/" },
  loki: {
    source: "github.com/grafana-community/helm-charts loki/",
    identity: (values) =>
      textAt(values, "loki.storage.type") === "s3" ? account("loki")(values) : null,
    claims: (values) =>
      ["singleBinary", "write", "backend", "read"].flatMap((role) => {
        const on = Number(valuesAt(values, `${role}.replicas`)[0] ?? 0) > 0;
        const stored = valuesAt(values, `${role}.persistence.enabled`)[0] !== false;
        if (!on || !stored) return [];
        const goes =
          valuesAt(values, `${role}.persistence.enableStatefulSetAutoDeletePVC`)[0] === true &&
          textAt(values, `${role}.persistence.whenDeleted`) !== "Retain";
        return [{ name: role, kept: !goes }];
      }),
  },
  vector: {
    source: "github.com/vectordotdev/helm-charts charts/vector",
    identity: (values) =>
      JSON.stringify(values.customConfig ?? {}).includes("aws_s3")
        ? account("vector")(values)
        : null,
  },
  tempo: {
    source: "github.com/grafana-community/helm-charts tempo/",
    identity: (values) =>
      textAt(values, "tempo.storage.trace.backend") === "s3" ? account("tempo")(values) : null,
    claims: (values) =>
      valuesAt(values, "persistence.enabled")[0] === true
        ? [
            {
              name: "tempo",
              kept: valuesAt(values, "persistence.enableStatefulSetAutoDeletePVC")[0] !== true,
            },
          ]
        : [],
  },
  "opentelemetry-collector": {
    source: "github.com/open-telemetry/opentelemetry-helm-charts charts/opentelemetry-collector",
  },
};

/** Kinds that a release needs to know of: its chart's own, and those that its values turn on. */
export function usedKinds(chart: Chart, values: Props): string[] {
  const text = JSON.stringify(values);
  const on = (part: string) => new RegExp(`"${part}":\\{[^{}]*"enabled":true`, "i").test(text);
  return [
    ...(chart.uses ?? []),
    ...(on("serviceMonitor") ? ["ServiceMonitor.monitoring.coreos.com"] : []),
    ...(on("podMonitor") ? ["PodMonitor.monitoring.coreos.com"] : []),
    ...(on("certManager") ? ["Certificate.cert-manager.io", "Issuer.cert-manager.io"] : []),
  ];
}
