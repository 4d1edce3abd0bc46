import type * as pulumi from "@pulumi/pulumi";
import type { Values } from "../release.ts";
import { ON_SYSTEM_NODES, type PodLoad, podResources } from "../system-pods.ts";
import { NAMESPACES, SERVICE_ACCOUNTS } from "./catalog.ts";

const { tolerations, affinity } = ON_SYSTEM_NODES;

export interface Size extends PodLoad {
  readonly replicas: number;
}

/**
 * Only target group bindings: no Ingress class, no Gateway API, no mutation of Services, whose webhook
 * would hold up every Service of the cluster while it is away. Region and VPC are told, since the
 * instance metadata is out of its reach (hop limit 1).
 */
export function loadBalancerControllerValues(
  args: {
    readonly clusterName: string;
    readonly region: string;
    readonly vpcId: pulumi.Input<string>;
    readonly tags: Readonly<Record<string, string>>;
  } & Size,
): Values {
  return {
    clusterName: args.clusterName,
    region: args.region,
    vpcId: args.vpcId,
    replicaCount: args.replicas,
    serviceAccount: { name: SERVICE_ACCOUNTS.loadBalancer },
    watchNamespace: NAMESPACES.fleet,
    defaultTags: args.tags,
    enableServiceMutatorWebhook: false,
    // A certificate made anew by each upgrade leaves the API server with the old one for a while.
    keepTLSSecret: true,
    createIngressClassResource: false,
    ingressClassParams: { create: false },
    controllerConfig: { featureGates: { ALBGatewayAPI: false, NLBGatewayAPI: false } },
    enableShield: false,
    enableWaf: false,
    enableWafv2: false,
    // Who may reach the routers is said by a rule of ours, so it needs no right to change any.
    enableBackendSecurityGroup: false,
    resources: podResources(args, 3),
    tolerations,
    affinity,
  };
}

export function externalSecretsValues({ replicas, ...load }: Size): Values {
  const resources = podResources(load, 3);
  return {
    installCRDs: true,
    replicaCount: replicas,
    leaderElect: replicas > 1,
    serviceAccount: { name: SERVICE_ACCOUNTS.secrets },
    // What no object of ours asks for stays off.
    processClusterExternalSecret: false,
    processPushSecret: false,
    processClusterPushSecret: false,
    resources,
    tolerations,
    affinity,
    webhook: { replicaCount: replicas, resources, tolerations, affinity },
    certController: { replicaCount: 1, resources, tolerations, affinity },
  };
}

export function certManagerValues(
  { replicas, ...load }: Size,
  /** CRDs, and with them every certificate, stay when the chart goes. */
  keepCrds: boolean,
): Values {
  const resources = podResources(load, 3);
  return {
    crds: { enabled: true, keep: keepCrds },
    replicaCount: replicas,
    resources,
    tolerations,
    affinity,
    webhook: { replicaCount: replicas, resources, tolerations, affinity },
    cainjector: { replicaCount: 1, resources, tolerations, affinity },
    startupapicheck: { tolerations, affinity },
  };
}

export function kedaValues({ replicas, ...load }: Size): Values {
  const each = podResources(load, 3);
  return {
    crds: { install: true },
    watchNamespace: NAMESPACES.fleet,
    operator: { replicaCount: replicas },
    metricsServer: { replicaCount: replicas },
    webhooks: { replicaCount: 1 },
    resources: { operator: each, metricServer: each, webhooks: each },
    tolerations,
    affinity,
  };
}

/** Nodes are told by Karpenter's own label; what finds features of hardware is not installed. */
export function devicePluginValues(): Values {
  return {
    gfd: { enabled: false },
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [
            {
              matchExpressions: [
                {
                  key: "karpenter.k8s.aws/instance-gpu-manufacturer",
                  operator: "In",
                  values: ["nvidia"],
                },
              ],
            },
          ],
        },
      },
    },
    tolerations: [{ key: "nvidia.com/gpu", operator: "Exists", effect: "NoSchedule" }],
  };
}
