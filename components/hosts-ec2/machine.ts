import * as aws from "@pulumi/aws";
import type * as pulumi from "@pulumi/pulumi";
import { HOST_PATHS } from "../host/types.ts";
import { IMAGE, STATE_DEVICE } from "./catalog.ts";
import type { HostChange, HostOutput, HostSteps, HostsEc2Args } from "./index.ts";
import type { HostPlace } from "./interface.ts";
import type { HostPlan } from "./plan.ts";
import { userData } from "./user-data.ts";

/** What a machine is made of beside its plan. */
interface MachineNeed {
  readonly ami: pulumi.Input<string>;
  readonly place: HostPlace;
  readonly steps: HostSteps;
  /** Name of its instance profile. */
  readonly profile: pulumi.Input<string>;
  /** What must be before anything of this host is touched. */
  readonly after: readonly pulumi.Resource[];
}

/** A host and what stands for it: its machine with all that hangs on it, and what was put on it. */
export interface MadeHost {
  readonly output: HostOutput;
  readonly ready: readonly pulumi.Resource[];
  /** Empty where nothing is put on hosts. */
  readonly healthy: readonly pulumi.Resource[];
}

/** One host: its state volume, its machine, and its place behind the balancer. */
export function hostMachine(
  name: string,
  args: HostsEc2Args,
  { node, zone }: HostPlan,
  { ami, place, steps, profile, after }: MachineNeed,
  parent: pulumi.Resource,
): MadeHost {
  const { context, plan, front } = args;
  const { lifetime } = context;
  const named = (role: string) => ({ ...context.tags, Name: `${name}-${role}` });
  const change: HostChange = {
    node,
    machine: {
      instanceType: plan.class.type,
      image: plan.ami ?? "",
      diskKey: args.keyArn,
      networkInterface: place.network.id,
    },
    opts: { parent, dependsOn: [...after] },
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
    { parent, protect: lifetime.protect, ignoreChanges: ["availabilityZone"] },
  );
  const drained = steps.beforeChange?.(change);
  const instance = new aws.ec2.Instance(
    `${name}-${node}`,
    {
      ami,
      instanceType: plan.class.type,
      // Subnet, groups and addresses are the interface's.
      primaryNetworkInterface: { networkInterfaceId: place.network.id },
      iamInstanceProfile: profile,
      metadataOptions: {
        httpEndpoint: "enabled",
        httpTokens: "required",
        // Nothing behind a bridge of the host, and so no tool in a container, reaches it.
        httpPutResponseHopLimit: 1,
      },
      ...(plan.class.family.burstable ? { creditSpecification: { cpuCredits: "unlimited" } } : {}),
      rootBlockDevice: {
        volumeType: "gp3",
        volumeSize: plan.rootGiB,
        encrypted: true,
        kmsKeyId: args.keyArn,
        deleteOnTermination: true,
        tags: named(`${node}-root`),
      },
      userData: state.id.apply((volumeId) =>
        userData({ volumeId, device: STATE_DEVICE, mountPoint: HOST_PATHS.data }),
      ),
      userDataReplaceOnChange: false,
      tags: named(node),
    },
    {
      parent,
      // The volume and the interface can hang on one machine only, so the old one goes first.
      deleteBeforeReplace: true,
      dependsOn: [...(drained ? [drained] : after), ...place.reachable],
      ignoreChanges: [
        // It only says what a new host starts with; AWS would stop a running one for it.
        "userData",
        ...(plan.ami === null ? ["ami"] : []),
      ],
    },
  );
  const child = { parent, deleteBeforeReplace: true };
  const attachment = new aws.ec2.VolumeAttachment(
    `${name}-${node}-attachment`,
    {
      deviceName: STATE_DEVICE,
      instanceId: instance.id,
      volumeId: state.id,
      // What is written is on the disk before the disk goes.
      stopInstanceBeforeDetaching: true,
    },
    child,
  );
  const ready: pulumi.Resource[] = [attachment];
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
    address: place.network.privateIp,
    user: IMAGE.user,
    // Nobody comes before the disk is there.
    instanceId: attachment.instanceId,
    labels: {
      zone: instance.availabilityZone,
      instanceType: instance.instanceType,
      architecture: plan.class.family.architecture,
    },
  };
  const healthy = steps.afterHealthy?.(output, {
    ...change,
    opts: { parent, dependsOn: [...ready] },
  });
  return { output, ready, healthy: healthy ? [healthy] : [] };
}
