import * as pulumi from "@pulumi/pulumi";
import { HostsEc2 } from "../../components/hosts-ec2/index.ts";
import { admitToStores, storeSecrets } from "./access.ts";
import type { HostsComputePlan } from "./compute-plan.ts";
import type { ComputeLayer } from "./layers.ts";
import { type ComputeArgs, wayIn } from "./way-in.ts";

/** Machines of the fleet and the way in to them. */
export class Ec2Compute extends pulumi.ComponentResource {
  readonly layer: ComputeLayer;

  constructor(
    name: string,
    args: ComputeArgs & { readonly compute: HostsComputePlan },
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super("openclaw-fleet:compute:Ec2Compute", name, {}, opts);
    const { context, compute, base, data } = args;
    const { fleet } = context;
    const child = { parent: this };
    const edge = wayIn(args, this);
    const { network, keys } = base;
    const hosts = new HostsEc2(
      `${fleet}-hosts`,
      {
        context,
        plan: compute.hosts,
        vpcId: network.vpcId,
        subnetIds: compute.hosts.publicHosts ? network.publicSubnetIds : network.privateSubnetIds,
        keyArn: keys.compute,
        replicas: { bucketArn: data.replicas.arn, keyArn: keys.data },
        secretArns: storeSecrets(data),
        front: edge,
      },
      child,
    );
    admitToStores(context, data, { hosts: hosts.securityGroupId }, child);
    this.layer = {
      endpoint: edge.endpoint,
      edge: {
        dnsName: edge.dnsName,
        securityGroupId: edge.securityGroupId,
        targetGroupArn: edge.targetGroupArn,
      },
      hosts: hosts.hosts,
      cluster: null,
    };
    this.registerOutputs({ ...this.layer });
  }
}
