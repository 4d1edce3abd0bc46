import * as pulumi from "@pulumi/pulumi";
import { Budget } from "../../components/budget/index.ts";
import type { AwsContext } from "../../components/context.ts";
import { Monitoring } from "../../components/monitoring/index.ts";
import { RouterBinding } from "../../components/platform/binding.ts";
import { NAMESPACES, ROUTERS, SECRET_STORE } from "../../components/platform/catalog.ts";
import type { InCluster } from "./in-cluster.ts";
import type { BaseLayer, ComputeLayer, DataLayer } from "./layers.ts";
import type { AwsPlan } from "./plan.ts";

export interface FleetArgs {
  readonly context: AwsContext;
  readonly plan: AwsPlan;
  readonly base: BaseLayer;
  readonly data: DataLayer;
  readonly compute: ComputeLayer;
  /** The way into the cluster; null on hosts. */
  readonly inside: InCluster | null;
}

/** What watches over the fleet, and what brings requests to it. */
export class FleetLayer extends pulumi.ComponentResource {
  constructor(name: string, args: FleetArgs, opts?: pulumi.ComponentResourceOptions) {
    super("openclaw-fleet:fleet:Fleet", name, {}, opts);
    const { context, plan, inside } = args;
    const { fleet } = context;
    if (plan.budget)
      new Budget(`${fleet}-budget`, { context, plan: plan.budget }, { parent: this });
    if (inside) this.#inCluster(args, inside);
    this.registerOutputs({});
  }

  #inCluster({ context, plan, base, data, compute }: FleetArgs, inside: InCluster): void {
    const { fleet } = context;
    const { targetGroupArn, securityGroupId } = compute.edge;
    const { provider, gone } = inside;
    const child = { parent: this };
    const monitoring = plan.compute.kind === "eks" ? plan.compute.monitoring : null;
    if (targetGroupArn !== null) {
      new RouterBinding(
        `${fleet}-routers`,
        {
          context,
          controllerRole: inside.controllerRole,
          bindingReady: inside.bindingReady,
          targetGroupArn,
          edgeSecurityGroupId: securityGroupId,
          nodeSecurityGroupId: inside.securityGroupId,
          vpcId: base.network.vpcId,
          routerPort: plan.edge.port,
          kubernetes: provider,
          gone,
        },
        child,
      );
    }
    if (monitoring) {
      new Monitoring(
        `${fleet}-monitoring`,
        {
          context,
          plan: monitoring,
          clusterName: inside.clusterName,
          kubernetes: provider,
          // Its pods run on the workers' pool, and leave it before it goes.
          ready: [...inside.ready, ...inside.poolsReady],
          ...(inside.deletedWith ? { cluster: inside.deletedWith } : {}),
          vpcCidrs: [base.network.cidr],
          storageClass: inside.storageClass,
          secretStore: SECRET_STORE,
          platformReady: inside.platformReady,
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
