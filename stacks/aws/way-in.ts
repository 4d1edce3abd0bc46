import type * as aws from "@pulumi/aws";
import type * as pulumi from "@pulumi/pulumi";
import type { AwsContext } from "../../components/context.ts";
import { Edge } from "../../components/edge/index.ts";
import type { BaseLayer, DataLayer } from "./layers.ts";
import type { AwsPlan } from "./plan.ts";

export interface ComputeArgs {
  readonly context: AwsContext;
  readonly plan: AwsPlan;
  readonly base: BaseLayer;
  readonly data: DataLayer;
  /** Provider of the domain's zone, when it is in another account. */
  readonly zoneProvider?: aws.Provider | undefined;
}

/**
 * The way in, made with what it leads to: hosts and the controller's role take its target group and
 * its security group as arguments.
 */
export function wayIn(
  { context, plan, base, data, zoneProvider }: ComputeArgs,
  parent: pulumi.Resource,
): Edge {
  return new Edge(
    `${context.fleet}-edge`,
    {
      context,
      plan: plan.edge,
      vpcId: base.network.vpcId,
      vpcCidr: base.network.cidr,
      publicSubnetIds: [...base.network.publicSubnetIds],
      ...(base.zone ? { zoneId: base.zone.zoneId } : {}),
      ...(zoneProvider ? { zoneProvider } : {}),
      ...(data.accessLogs ? { accessLogsBucket: data.accessLogs.name } : {}),
      // No runtime is put on clusters yet; until then the edge says so to every client.
      runtime: plan.compute.kind === "ec2",
    },
    { parent },
  );
}
