import * as pulumi from "@pulumi/pulumi";
import { Budget } from "../../components/budget/index.ts";
import type { AwsContext } from "../../components/context.ts";
import { Monitoring } from "../../components/monitoring/index.ts";
import { RouterBinding } from "../../components/platform/binding.ts";
import { NAMESPACES, ROUTERS, SECRET_STORE } from "../../components/platform/catalog.ts";
import type { EksCompute } from "./compute-eks.ts";
import type { ClusterComputePlan } from "./compute-plan.ts";
import type { BaseLayer, DataLayer } from "./layers.ts";
import type { AwsPlan } from "./plan.ts";

export interface FleetArgs {
  readonly context: AwsContext;
  readonly plan: AwsPlan;
  readonly base: BaseLayer;
  readonly data: DataLayer;
  /** The cluster with what is in it; null on hosts. */
  readonly eks: { readonly made: EksCompute; readonly plan: ClusterComputePlan } | null;
}

/** What watches over the fleet, and what brings requests to it. */
export class FleetLayer extends pulumi.ComponentResource {
  constructor(name: string, args: FleetArgs, opts?: pulumi.ComponentResourceOptions) {
    super("openclaw-fleet:fleet:Fleet", name, {}, opts);
    const { context, plan, eks } = args;
    const { fleet } = context;
    if (plan.budget)
      new Budget(`${fleet}-budget`, { context, plan: plan.budget }, { parent: this });
    if (eks) this.#inCluster(args, eks.made, eks.plan);
    this.registerOutputs({});
  }

  #inCluster(args: FleetArgs, made: EksCompute, compute: ClusterComputePlan): void {
    const { context, plan, base, data } = args;
    const { fleet } = context;
    const { cluster, nodes, platform, gone } = made;
    const { targetGroupArn, securityGroupId } = made.layer.edge;
    const child = { parent: this };
    if (targetGroupArn !== null) {
      new RouterBinding(
        `${fleet}-routers`,
        {
          context,
          controllerRole: platform.controllerRole,
          bindingReady: platform.bindingReady,
          targetGroupArn,
          edgeSecurityGroupId: securityGroupId,
          nodeSecurityGroupId: cluster.securityGroupId,
          vpcId: base.network.vpcId,
          routerPort: plan.edge.port,
          kubernetes: cluster.provider,
          gone,
        },
        child,
      );
    }
    if (compute.monitoring) {
      new Monitoring(
        `${fleet}-monitoring`,
        {
          context,
          plan: compute.monitoring,
          clusterName: compute.cluster.clusterName,
          kubernetes: cluster.provider,
          // Its pods run on the workers' pool, and leave it before it goes.
          ready: [...cluster.ready, ...nodes.poolsReady],
          ...(cluster.deletedWith ? { cluster: cluster.deletedWith } : {}),
          vpcCidrs: [base.network.cidr],
          storageClass: platform.storageClass,
          secretStore: SECRET_STORE,
          platformReady: [...platform.secretsReady, ...platform.certificatesReady],
          routers: {
            namespace: NAMESPACES.fleet,
            labels: ROUTERS.labels,
            portName: ROUTERS.portName,
          },
          chatLogsBucket: data.chatLogs,
          dataKeyArn: base.keys.data,
          gone,
        },
        child,
      );
    }
  }
}
