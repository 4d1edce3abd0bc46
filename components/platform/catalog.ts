import type { ChartName } from "../charts.ts";
import type { PricedBy } from "../cost.ts";
import type { PodLoad } from "../system-pods.ts";

/**
 * What runs beside the fleet in its cluster, with its consumer and what one pod asks of a node (from
 * memory, to be measured).
 */
export interface Controller extends PodLoad {
  readonly chart: ChartName;
  /** Who would miss it. */
  readonly consumer: string;
  /** Pods of the chart that run twice where a node may be lost; the others run once a node or once. */
  readonly podsTwice: number;
  /** Further pods of the chart, once. */
  readonly podsOnce: number;
}

export const CONTROLLERS = {
  loadBalancer: {
    chart: "awsLoadBalancerController",
    consumer: "the edge: it brings the routers' addresses into the target group",
    podsTwice: 1,
    podsOnce: 0,
    memoryMiB: 128,
    cpuMilli: 50,
  },
  secrets: {
    chart: "externalSecrets",
    consumer: "the runtime and monitoring: it brings secrets from Secrets Manager into the cluster",
    podsTwice: 2,
    podsOnce: 1,
    memoryMiB: 96,
    cpuMilli: 25,
  },
  certificates: {
    chart: "certManager",
    consumer: "the runtime: certificates of the fleet's own CA between nodes, and the webhooks'",
    podsTwice: 2,
    podsOnce: 1,
    memoryMiB: 96,
    cpuMilli: 25,
  },
  scaling: {
    chart: "keda",
    consumer: "the workers: their number follows the waiting work",
    podsTwice: 2,
    podsOnce: 1,
    memoryMiB: 128,
    cpuMilli: 50,
  },
} as const satisfies Readonly<Record<string, Controller>>;

export type ControllerName = keyof typeof CONTROLLERS;

/** Namespaces of the cluster that the project makes, apart from monitoring's. */
export const NAMESPACES = {
  /** Routers, gateways and what belongs to them. */
  fleet: "openclaw",
  platform: "platform",
  /** The device plugin needs the kubelet's own folder. */
  gpu: "gpu",
} as const;

/** The Service in front of the routers, as the binding and the runtime name it. */
export const ROUTERS = {
  service: "routers",
  portName: "http",
  labels: { "app.kubernetes.io/name": "openclaw-fleet", "app.kubernetes.io/component": "node" },
} as const;

/** Service accounts that AWS roles are bound to, by chart. */
export const SERVICE_ACCOUNTS = {
  loadBalancer: "aws-load-balancer-controller",
  secrets: "external-secrets",
} as const;

/** The way from the cluster to Secrets Manager, as ExternalSecrets name it. */
export const SECRET_STORE = "fleet-secrets";

/** Name of the default StorageClass. */
export const STORAGE_CLASS = "gp3";

/** CA of the certificates between nodes: its Issuer in the fleet's namespace, and its Secret. */
export const FLEET_CA = "fleet-ca";

/** Ports at which the API server calls webhooks and metrics of the controllers' charts (their own defaults). */
export const WEBHOOK_PORTS = [9443, 10250, 6443] as const;

const IN_CLUSTER = { free: "an object in the cluster; what it runs on is priced there" };

/** Every type that this component registers. */
export const PRICED: Readonly<Record<string, PricedBy>> = {
  "aws:iam/role:Role": { free: "IAM costs nothing" },
  "aws:iam/rolePolicy:RolePolicy": { free: "IAM costs nothing" },
  "aws:eks/podIdentityAssociation:PodIdentityAssociation": { free: "part of the cluster" },
  "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": { free: "VPC rules cost nothing" },
  "kubernetes:core/v1:Namespace": IN_CLUSTER,
  "kubernetes:core/v1:Service": IN_CLUSTER,
  "kubernetes:helm.sh/v3:Release": IN_CLUSTER,
  "kubernetes:networking.k8s.io/v1:NetworkPolicy": IN_CLUSTER,
  "kubernetes:storage.k8s.io/v1:StorageClass": {
    free: "a description; volumes are priced where they are asked for",
  },
  "kubernetes:external-secrets.io/v1:ClusterSecretStore": IN_CLUSTER,
  "kubernetes:cert-manager.io/v1:ClusterIssuer": IN_CLUSTER,
  "kubernetes:cert-manager.io/v1:Certificate": IN_CLUSTER,
  "kubernetes:cert-manager.io/v1:Issuer": IN_CLUSTER,
  "kubernetes:elbv2.k8s.aws/v1beta1:TargetGroupBinding": IN_CLUSTER,
  "openclaw:kube:Gone": { free: "a wait at destroy" },
};
