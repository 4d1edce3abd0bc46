import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { AwsContext } from "../context.ts";
import { IMAGE } from "./catalog.ts";
import { hostInterface } from "./interface.ts";
import { hostMachine, type MadeHost } from "./machine.ts";
import type { HostsPlan } from "./plan.ts";
import { hostRole } from "./role.ts";
import { hostGroup } from "./security-group.ts";

/** What stands before the hosts; the outputs of an edge fit. */
export interface HostsFront {
  /** The balancer's group; without a balancer the group that lets clients in. */
  readonly securityGroupId: pulumi.Input<string>;
  /** Null without a balancer. */
  readonly targetGroupArn: pulumi.Input<string> | null;
  /** By node: fixed addresses that wait for their hosts. */
  readonly addresses: Readonly<Record<string, { readonly allocationId: pulumi.Input<string> }>>;
}

/** What a host is about to become, before its machine is touched. */
export interface HostChange {
  readonly node: string;
  /**
   * All that stops or replaces the machine when it changes. `image` is empty while hosts keep the one
   * that was newest when they were made.
   */
  readonly machine: Readonly<
    Record<"instanceType" | "image" | "diskKey" | "networkInterface", pulumi.Input<string>>
  >;
  /** To be taken as they are: they make a step wait for what must be before it. */
  readonly opts: { readonly parent: pulumi.Resource; readonly dependsOn: pulumi.Resource[] };
}

/**
 * What happens around a host's change, as resources that are made for it. Hosts change one after the
 * other; these make each wait for the fleet and not only for AWS.
 */
export interface HostSteps {
  /**
   * Whether nothing of the fleet was on a node's machine yet: then it waits for other machines, and not for what is
   * put on them. A fleet that begins is well only once several of its hosts are there. @default none
   */
  readonly isNew?: (node: string) => boolean;
  /**
   * Made before the machine, with all that stops it as input: its own change drains the node, and the
   * machine is touched after that. Its first creation finds no node and has nothing to do.
   */
  readonly beforeChange?: (change: HostChange) => pulumi.Resource;
  /**
   * Made after everything of a host. The next host is touched when this is done. A fleet needs several
   * hosts to be well: its first creation must not wait for that, each later change must.
   */
  readonly afterHealthy?: (host: HostOutput, change: HostChange) => pulumi.Resource;
}

/** Private addresses of the hosts, by node: they are there before the machines, and stay when one is replaced. */
export type HostAddresses = Readonly<Record<string, pulumi.Output<string>>>;

export interface HostsEc2Args {
  readonly context: AwsContext;
  /** From {@link planHosts}. */
  readonly plan: HostsPlan;
  readonly vpcId: pulumi.Input<string>;
  /** One per zone, in the context's order. */
  readonly subnetIds: readonly pulumi.Input<string>[];
  /** Key of the disks. */
  readonly keyArn: pulumi.Input<string>;
  /** Bucket of the replicas, and the key of what is in it. */
  readonly replicas: {
    readonly bucketArn: pulumi.Input<string>;
    readonly keyArn: pulumi.Input<string>;
  };
  /** Null: nothing calls the hosts from outside. */
  readonly front: HostsFront | null;
  /** Asked once, with the private addresses of all hosts, by node, before any machine is made. */
  readonly steps?: (addresses: HostAddresses) => HostSteps;
}

/** A machine in the form that target `hosts` takes. */
export interface HostOutput {
  /** The node's id. */
  readonly name: string;
  /** Private address, which a machine in its place has too. From outside the network it is reached by its instance id, through Systems Manager. */
  readonly address: pulumi.Output<string>;
  readonly user: string;
  readonly instanceId: pulumi.Output<string>;
  readonly labels: Readonly<Record<string, pulumi.Input<string>>>;
}

/** Machines of a fleet, one a node, spread over the zones; each keeps its state on a volume of its own. */
export class HostsEc2 extends pulumi.ComponentResource {
  readonly hosts: readonly HostOutput[];
  readonly addresses: HostAddresses;
  /** Group of the hosts: stores let it in. */
  readonly securityGroupId: pulumi.Output<string>;
  readonly roleArn: pulumi.Output<string>;
  readonly instanceProfileArn: pulumi.Output<string>;

  constructor(name: string, args: HostsEc2Args, opts?: pulumi.ComponentResourceOptions) {
    super("openclaw-fleet:compute:HostsEc2", name, {}, opts);
    const group = hostGroup(name, args, this);
    const { role, profile, policies } = hostRole(name, args, this);
    const ami = args.plan.ami ?? this.newestImage(args.plan);

    const groupIds =
      args.front && !args.front.targetGroupArn
        ? [group.id, args.front.securityGroupId]
        : [group.id];
    const places = args.plan.hosts.map((host) => ({
      host,
      place: hostInterface(name, args, host, groupIds, this),
    }));
    this.addresses = Object.fromEntries(
      places.map(({ host, place }) => [host.node, place.network.privateIp]),
    );
    const steps = args.steps?.(this.addresses) ?? {};

    const hosts: HostOutput[] = [];
    // Everything of one host is there before anything of the next is touched.
    let before: Pick<MadeHost, "ready" | "healthy"> = { ready: [], healthy: [] };
    for (const { host, place } of places) {
      const { ready, healthy } = before;
      // What was made last stands for all before it: with every edge written, engines walk millions of ways.
      const last = healthy.length > 0 && !steps.isNew?.(host.node) ? healthy : ready;
      const after = [...policies, ...last];
      const machine = { ami, place, steps, profile: profile.name, after };
      const made = hostMachine(name, args, host, machine, this);
      hosts.push(made.output);
      before = made;
    }
    this.hosts = hosts;
    this.securityGroupId = group.id;
    this.roleArn = role.arn;
    this.instanceProfileArn = profile.arn;
    this.registerOutputs({
      hosts: this.hosts,
      addresses: this.addresses,
      securityGroupId: this.securityGroupId,
      roleArn: this.roleArn,
      instanceProfileArn: this.instanceProfileArn,
    });
  }

  private newestImage({ class: { family } }: HostsPlan): pulumi.Output<string> {
    return aws.ssm.getParameterOutput(
      { name: IMAGE.parameter[family.architecture] },
      { parent: this },
    ).insecureValue;
  }
}
