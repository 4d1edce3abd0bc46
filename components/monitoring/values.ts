import type * as pulumi from "@pulumi/pulumi";
import type { Values } from "../release.ts";
import { ON_SYSTEM_NODES, podResources } from "../system-pods.ts";
import { alertmanagerConfig } from "../watch/receivers.ts";
import { NAMESPACES, PODS, SECRETS, SECRETS_DIR, SERVICES, STACK } from "./catalog.ts";
import type { MonitoringPlan } from "./plan.ts";

/** What the values of every chart here share. */
export interface Place {
  /** StorageClass of volumes. */
  readonly storageClass: pulumi.Input<string>;
  /** Volumes go with what wrote them. Helm itself leaves a StatefulSet's claims behind. */
  readonly deleteVolumes: boolean;
}

/** Rules of parts of the control plane that EKS keeps to itself. */
const HIDDEN_BY_EKS = {
  etcd: false,
  kubeControllerManager: false,
  kubeSchedulerAlerting: false,
  kubeSchedulerRecording: false,
  kubeProxy: false,
};

/** What becomes of the claims of a StatefulSet. */
export const retention = ({ deleteVolumes }: Place) => ({
  whenDeleted: deleteVolumes ? "Delete" : "Retain",
  whenScaled: deleteVolumes ? "Delete" : "Retain",
});

const claim = ({ storageClass }: Place, gib: number) => ({
  volumeClaimTemplate: {
    spec: {
      storageClassName: storageClass,
      accessModes: ["ReadWriteOnce"],
      resources: { requests: { storage: `${gib}Gi` } },
    },
  },
});

/** Two copies of one thing never share a zone. */
const apart = (replicas: number) =>
  replicas > 1
    ? { podAntiAffinity: "hard", podAntiAffinityTopologyKey: "topology.kubernetes.io/zone" }
    : {};

/** Share of the volume that metrics may fill; the rest is for the log and compaction. */
const FILL = 0.8;

/** Prometheus, Alertmanager, operator and exporters. CRDs and Grafana are charts of their own. */
export function stackValues(plan: MonitoringPlan, place: Place, hasReceivers: boolean): Values {
  const { metrics, settings, alertVolumeGiB } = plan;
  return {
    fullnameOverride: STACK,
    crds: { enabled: false },
    // Dashboards of the cluster itself, for the Grafana beside it.
    grafana: { enabled: false, forceDeployDashboards: true },
    defaultRules: { rules: HIDDEN_BY_EKS },
    kubeControllerManager: { enabled: false },
    kubeEtcd: { enabled: false },
    kubeProxy: { enabled: false },
    kubeScheduler: { enabled: false },
    "prometheus-node-exporter": { namespaceOverride: NAMESPACES.agents },
    "kube-state-metrics": { resources: podResources(PODS.stateMetrics), ...ON_SYSTEM_NODES },
    prometheusOperator: {
      admissionWebhooks: { certManager: { enabled: true } },
      resources: podResources(PODS.operator),
      ...ON_SYSTEM_NODES,
    },
    prometheus: {
      prometheusSpec: {
        replicas: metrics.replicas,
        ...apart(metrics.replicas),
        externalLabels: { fleet: plan.fleet },
        retention: `${metrics.days}d`,
        retentionSize: `${Math.floor(metrics.volumeGiB * FILL)}GiB`,
        scrapeInterval: "30s",
        // Rules and monitors of every namespace, whoever made them.
        ruleSelectorNilUsesHelmValues: false,
        serviceMonitorSelectorNilUsesHelmValues: false,
        podMonitorSelectorNilUsesHelmValues: false,
        resources: podResources(metrics.pod),
        ...ON_SYSTEM_NODES,
        storageSpec: claim(place, metrics.volumeGiB),
        persistentVolumeClaimRetentionPolicy: retention(place),
      },
    },
    alertmanager: {
      config: alertmanagerConfig(settings.alerts, {
        file: (key) => `${SECRETS_DIR}/${key}`,
      }),
      alertmanagerSpec: {
        replicas: metrics.replicas,
        ...apart(metrics.replicas),
        secrets: hasReceivers ? [SECRETS.receivers] : [],
        storage: claim(place, alertVolumeGiB),
        persistentVolumeClaimRetentionPolicy: retention(place),
        resources: podResources(PODS.alertmanager),
        ...ON_SYSTEM_NODES,
      },
    },
  };
}

/** Grafana keeps nothing: dashboards and sources come from the program, its password from a Secret. */
export function grafanaValues(plan: MonitoringPlan): Values {
  return {
    admin: {
      existingSecret: SECRETS.grafana,
      userKey: "admin-user",
      passwordKey: "admin-password",
    },
    persistence: { enabled: false },
    testFramework: { enabled: false },
    rbac: { namespaced: true },
    resources: podResources(PODS.grafana),
    ...ON_SYSTEM_NODES,
    sidecar: { dashboards: { enabled: true, label: "grafana_dashboard", labelValue: "1" } },
    "grafana.ini": {
      analytics: { reporting_enabled: false, check_for_updates: false },
      users: { allow_sign_up: false },
    },
    datasources: {
      "datasources.yaml": {
        apiVersion: 1,
        datasources: [
          {
            name: "Prometheus",
            type: "prometheus",
            uid: "prometheus",
            url: SERVICES.prometheus,
            isDefault: true,
          },
          { name: "Loki", type: "loki", uid: "loki", url: SERVICES.loki },
          ...(plan.traces
            ? [{ name: "Tempo", type: "tempo", uid: "tempo", url: SERVICES.tempo }]
            : []),
        ],
      },
    },
  };
}
