import * as pulumi from "@pulumi/pulumi";
import { Cluster } from "../../components/cluster/index.ts";
import { NAMESPACES as MONITORING } from "../../components/monitoring/catalog.ts";
import { Nodes } from "../../components/nodes/index.ts";
import { Platform } from "../../components/platform/index.ts";
import { admitToStores, storeSecrets } from "./access.ts";
import type { ClusterComputePlan } from "./compute-plan.ts";
import { goneIn, type InCluster } from "./in-cluster.ts";
import type { ComputeLayer } from "./layers.ts";
import { type ComputeArgs, wayIn } from "./way-in.ts";

/** The cluster, its nodes and controllers, and the way in. */
export class EksCompute extends pulumi.ComponentResource {
  readonly layer: ComputeLayer;
  readonly inside: InCluster;
  readonly kubeconfig: pulumi.Output<string>;

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
    const gone = goneIn(cluster);
    const nodes = new Nodes(
      `${fleet}-nodes`,
      {
        context,
        plan: compute.nodes,
        cluster: { ...cluster, gone },
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
    this.kubeconfig = cluster.kubeconfig;
    this.inside = {
      clusterName: compute.cluster.clusterName,
      provider: cluster.provider,
      ready: cluster.ready,
      poolsReady: nodes.poolsReady,
      platformReady: [...platform.secretsReady, ...platform.certificatesReady],
      bindingReady: platform.bindingReady,
      deletedWith: cluster.deletedWith,
      securityGroupId: cluster.securityGroupId,
      controllerRole: platform.controllerRole,
      storageClass: platform.storageClass,
      gone,
    };
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
