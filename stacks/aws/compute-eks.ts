import * as pulumi from "@pulumi/pulumi";
import { Cluster } from "../../components/cluster/index.ts";
import { NAMESPACES as MONITORING } from "../../components/monitoring/catalog.ts";
import { Nodes } from "../../components/nodes/index.ts";
import { Platform } from "../../components/platform/index.ts";
import { Gone } from "../../plugin/resources.ts";
import { admitToStores, storeSecrets } from "./access.ts";
import type { ClusterComputePlan } from "./compute-plan.ts";
import type { ComputeLayer } from "./layers.ts";
import { type ComputeArgs, wayIn } from "./way-in.ts";

/** Makes a wait of our own provider for one cluster's objects. */
export type MakeGone = (
  name: string,
  args: {
    readonly apiVersion: string;
    readonly kind: string;
    readonly namespace?: string;
    readonly labelSelector?: string;
    readonly deadlineSeconds: number;
  },
  opts: pulumi.CustomResourceOptions,
) => pulumi.Resource;

/** The cluster, its nodes and controllers, and the way in. */
export class EksCompute extends pulumi.ComponentResource {
  readonly layer: ComputeLayer;
  readonly cluster: Cluster;
  readonly nodes: Nodes;
  readonly platform: Platform;
  readonly gone: MakeGone;

  constructor(
    name: string,
    args: ComputeArgs & { readonly compute: ClusterComputePlan },
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super("openclaw-fleet:compute:EksCompute", name, {}, opts);
    const { context, compute, base, data, plan } = args;
    const { fleet } = context;
    const { network, keys } = base;
    const child = { parent: this };
    const edge = wayIn(args, this);

    const cluster = new Cluster(
      `${fleet}-cluster`,
      {
        context,
        plan: compute.cluster,
        privateSubnetIds: network.privateSubnetIds,
        keyArn: keys.compute,
        logsKeyArn: keys.logs,
        ...(plan.aws.assumeRoleArn ? { deployerRoleArn: plan.aws.assumeRoleArn } : {}),
      },
      child,
    );
    this.gone = (goneName, wait, options) =>
      new Gone(
        goneName,
        {
          cluster: cluster.clusterName,
          endpoint: cluster.endpoint,
          certificateAuthority: cluster.certificateAuthority,
          token: { command: cluster.token.command, args: [...cluster.token.args] },
          ...wait,
        },
        options,
      );
    const nodes = new Nodes(
      `${fleet}-nodes`,
      {
        context,
        plan: compute.nodes,
        cluster: { ...cluster, gone: this.gone },
        subnetIds: network.privateSubnetIds,
        keyArn: keys.compute,
      },
      child,
    );
    const platform = new Platform(
      `${fleet}-platform`,
      {
        context,
        plan: compute.platform,
        clusterName: compute.cluster.clusterName,
        vpcId: network.vpcId,
        vpcCidrs: [network.cidr],
        publicCidrs: network.publicCidrs,
        routerPort: plan.edge.port,
        computeKeyArn: keys.compute,
        dataKeyArn: keys.data,
        secretArns: storeSecrets(data),
        secretNamespaces: compute.monitoring ? [MONITORING.monitoring] : [],
        monitoringNamespace: compute.monitoring ? MONITORING.monitoring : null,
        kubernetes: cluster.provider,
        ready: cluster.ready,
        ...(cluster.deletedWith ? { cluster: cluster.deletedWith } : {}),
      },
      child,
    );
    admitToStores(context, data, { nodes: cluster.securityGroupId }, child);
    this.cluster = cluster;
    this.nodes = nodes;
    this.platform = platform;
    this.layer = {
      endpoint: edge.endpoint,
      edge: {
        dnsName: edge.dnsName,
        securityGroupId: edge.securityGroupId,
        targetGroupArn: edge.targetGroupArn,
      },
      hosts: null,
      cluster: {
        name: cluster.clusterName,
        arn: cluster.arn,
        endpoint: cluster.endpoint,
        certificateAuthority: cluster.certificateAuthority,
        securityGroupId: cluster.securityGroupId,
        controllerRole: platform.controllerRole,
        storageClass: platform.storageClass,
      },
    };
    this.registerOutputs({ ...this.layer });
  }
}
