import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { AwsContext } from "../context.ts";
import { IMAGE, STATE_DEVICE } from "./catalog.ts";
import type { HostPlan, HostsPlan } from "./plan.ts";
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
  /** What stops or replaces the machine when it changes. */
  readonly machine: { readonly instanceType: string; readonly ami: string | null };
  /** To be taken as they are: they make a step wait for what must be before it. */
  readonly opts: { readonly parent: pulumi.Resource; readonly dependsOn: pulumi.Resource[] };
}

/**
 * What happens around a host's change, as resources that are made for it. Hosts change one after the
 * other; these make each wait for the fleet and not only for AWS.
 */
export interface HostSteps {
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

export interface HostsEc2Args {
  readonly context: AwsContext;
  /** From {@link planHosts}. */
  readonly plan: HostsPlan;
  readonly vpcId: pulumi.Input<string>;
  /** One per zone, in the context's order. */
  readonly subnetIds: readonly pulumi.Input<string>[];
  /** Key of the disks. */
  readonly keyArn: pulumi.Input<string>;
  /** Bucket of the replicas, and the key of what is in it and of the secrets. */
  readonly replicas: {
    readonly bucketArn: pulumi.Input<string>;
    readonly keyArn: pulumi.Input<string>;
  };
  /** Secrets of this fleet that hosts read. */
  readonly secretArns?: readonly pulumi.Input<string>[];
  /** Null: nothing calls the hosts from outside. */
  readonly front: HostsFront | null;
  /** What a new host does at its first start. Hosts that exist never see a change of it. */
  readonly userData?: pulumi.Input<string>;
  readonly steps?: HostSteps;
}

/** A machine in the form that target `hosts` takes. */
export interface HostOutput {
  /** The node's id. */
  readonly name: string;
  /** Private address. From outside the network it is reached by its instance id, through Systems Manager. */
  readonly address: pulumi.Output<string>;
  readonly user: string;
  readonly instanceId: pulumi.Output<string>;
  readonly labels: Readonly<Record<string, pulumi.Input<string>>>;
}

/** Machines of a fleet, one a node, spread over the zones; each keeps its state on a volume of its own. */
export class HostsEc2 extends pulumi.ComponentResource {
  readonly hosts: readonly HostOutput[];
  /** Group of the hosts: stores let it in. */
  readonly securityGroupId: pulumi.Output<string>;
  readonly roleArn: pulumi.Output<string>;
  readonly instanceProfileArn: pulumi.Output<string>;

  constructor(name: string, args: HostsEc2Args, opts?: pulumi.ComponentResourceOptions) {
    super("openclaw-fleet:compute:HostsEc2", name, {}, opts);
    const group = hostGroup(name, args, this);
    const { role, profile, policies } = hostRole(name, args, this);
    const ami = args.plan.ami ?? this.newestImage(args.plan);

    const hosts: HostOutput[] = [];
    // Everything of one host is there before anything of the next is touched.
    let ready: readonly pulumi.Resource[] = [];
    for (const host of args.plan.hosts) {
      const made = this.host(name, args, host, {
        ami,
        groupIds:
          args.front && !args.front.targetGroupArn
            ? [group.id, args.front.securityGroupId]
            : [group.id],
        profile: profile.name,
        after: [...policies, ...ready],
      });
      hosts.push(made.output);
      ready = made.ready;
    }
    this.hosts = hosts;
    this.securityGroupId = group.id;
    this.roleArn = role.arn;
    this.instanceProfileArn = profile.arn;
    this.registerOutputs({
      hosts: this.hosts,
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

  private host(
    name: string,
    args: HostsEc2Args,
    { node, zone }: HostPlan,
    machine: {
      readonly ami: pulumi.Input<string>;
      readonly groupIds: pulumi.Input<string>[];
      readonly profile: pulumi.Input<string>;
      readonly after: readonly pulumi.Resource[];
    },
  ): { output: HostOutput; ready: pulumi.Resource[] } {
    const { context, plan, front, steps = {} } = args;
    const { lifetime } = context;
    const named = (role: string) => ({ ...context.tags, Name: `${name}-${role}` });
    const change: HostChange = {
      node,
      machine: { instanceType: plan.class.type, ami: plan.ami },
      opts: { parent: this, dependsOn: [...machine.after] },
    };

    const state = new aws.ebs.Volume(
      `${name}-${node}-state`,
      {
        availabilityZone: context.zones[zone]?.name as string,
        type: "gp3",
        size: plan.stateGiB,
        encrypted: true,
        kmsKeyId: args.keyArn,
        finalSnapshot: lifetime.finalSnapshot,
        tags: named(`${node}-state`),
      },
      // Another number of zones places new hosts elsewhere, and never moves what is there.
      { parent: this, protect: lifetime.protect, ignoreChanges: ["availabilityZone"] },
    );
    const drained = steps.beforeChange?.(change);
    const instance = new aws.ec2.Instance(
      `${name}-${node}`,
      {
        ami: machine.ami,
        instanceType: plan.class.type,
        subnetId: args.subnetIds[zone] as pulumi.Input<string>,
        associatePublicIpAddress: plan.publicHosts,
        vpcSecurityGroupIds: machine.groupIds,
        iamInstanceProfile: machine.profile,
        metadataOptions: {
          httpEndpoint: "enabled",
          httpTokens: "required",
          // Nothing behind a bridge of the host, and so no tool in a container, reaches it.
          httpPutResponseHopLimit: 1,
        },
        ...(plan.class.family.burstable
          ? { creditSpecification: { cpuCredits: "unlimited" } }
          : {}),
        rootBlockDevice: {
          volumeType: "gp3",
          volumeSize: plan.rootGiB,
          encrypted: true,
          kmsKeyId: args.keyArn,
          deleteOnTermination: true,
          tags: named(`${node}-root`),
        },
        ...(args.userData === undefined ? {} : { userData: args.userData }),
        userDataReplaceOnChange: false,
        tags: named(node),
      },
      {
        parent: this,
        // The volume can hang on one machine only, so the old one goes first.
        deleteBeforeReplace: true,
        dependsOn: [...machine.after, ...(drained ? [drained] : [])],
        ignoreChanges: [
          // It only says what a new host starts with; AWS would stop a running one for it.
          "userData",
          // A host stays where its volume is.
          "subnetId",
          // A fixed address takes the place of this one, and a stopped host has none: both read as a change.
          "associatePublicIpAddress",
          ...(plan.ami === null ? ["ami"] : []),
        ],
      },
    );
    const child = { parent: this, deleteBeforeReplace: true };
    const ready: pulumi.Resource[] = [
      instance,
      new aws.ec2.VolumeAttachment(
        `${name}-${node}-attachment`,
        {
          deviceName: STATE_DEVICE,
          instanceId: instance.id,
          volumeId: state.id,
          // What is written is on the disk before the disk goes.
          stopInstanceBeforeDetaching: true,
        },
        child,
      ),
    ];
    const address = front?.addresses[node];
    if (address) {
      ready.push(
        new aws.ec2.EipAssociation(
          `${name}-${node}-address`,
          { allocationId: address.allocationId, instanceId: instance.id },
          child,
        ),
      );
    }
    if (front?.targetGroupArn) {
      ready.push(
        new aws.lb.TargetGroupAttachment(
          `${name}-${node}-target`,
          { targetGroupArn: front.targetGroupArn, targetId: instance.id, port: plan.port },
          child,
        ),
      );
    }
    const output: HostOutput = {
      name: node,
      address: instance.privateIp,
      user: IMAGE.user,
      instanceId: instance.id,
      labels: {
        zone: instance.availabilityZone,
        instanceType: instance.instanceType,
        architecture: plan.class.family.architecture,
      },
    };
    const healthy = steps.afterHealthy?.(output, {
      ...change,
      opts: { parent: this, dependsOn: [...ready] },
    });
    if (healthy) ready.push(healthy);
    return { output, ready };
  }
}
