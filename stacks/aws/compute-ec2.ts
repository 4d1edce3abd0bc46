import * as pulumi from "@pulumi/pulumi";
import { HostsEc2 } from "../../components/hosts-ec2/index.ts";
import { admitToStores } from "./access.ts";
import type { HostsComputePlan } from "./compute-plan.ts";
import type { ComputeLayer } from "./layers.ts";
import type { Ec2Front, Ec2Runtime } from "./runtime-ec2.ts";
import { type ComputeArgs, wayIn } from "./way-in.ts";

export interface Ec2ComputeArgs extends ComputeArgs {
  readonly compute: HostsComputePlan;
  /** Makes what is put on the machines; null: another stack does that. */
  readonly runtime: ((front: Ec2Front) => Ec2Runtime) | null;
}

/** Machines of the fleet and the way in to them. */
export class Ec2Compute extends pulumi.ComponentResource {
  readonly layer: ComputeLayer;
  readonly runtime: Ec2Runtime | null;

  constructor(name: string, args: Ec2ComputeArgs, opts?: pulumi.ComponentResourceOptions) {
    super("openclaw-fleet:compute:Ec2Compute", name, {}, opts);
    const { context, compute, base, data } = args;
    const { fleet } = context;
    const child = { parent: this };
    const edge = wayIn(args, this);
    const { network, keys } = base;
    const runtime = args.runtime?.(edge) ?? null;
    const hosts = new HostsEc2(
      `${fleet}-hosts`,
      {
        context,
        plan: compute.hosts,
        vpcId: network.vpcId,
        subnetIds: compute.hosts.publicHosts ? network.publicSubnetIds : network.privateSubnetIds,
        keyArn: keys.compute,
        replicas: { bucketArn: data.replicas.arn, keyArn: keys.data },
        front: edge,
        ...(runtime ? { steps: (addresses) => runtime.steps(addresses) } : {}),
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
    this.runtime = runtime;
    this.registerOutputs({ ...this.layer });
  }
}
