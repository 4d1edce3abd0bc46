import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { HostsEc2Args } from "./index.ts";
import type { HostPlan } from "./plan.ts";

/** Where a host is in the network, whichever machine stands there. */
export interface HostPlace {
  readonly network: aws.ec2.NetworkInterface;
  /** A machine that starts before these has no way out to the internet yet. */
  readonly reachable: readonly pulumi.Resource[];
}

/**
 * A host's interface, made before its machine: all plans know its address, and another machine takes it
 * over with the fixed address that leads to it (docs/decisions/237-interfaces-before-machines.md).
 */
export function hostInterface(
  name: string,
  { context, plan, front, subnetIds }: HostsEc2Args,
  { node, zone }: HostPlan,
  groupIds: pulumi.Input<string>[],
  parent: pulumi.Resource,
): HostPlace {
  const named = (role: string) => ({ ...context.tags, Name: `${name}-${role}` });
  const subnetId = subnetIds[zone] as pulumi.Input<string>;
  const network = new aws.ec2.NetworkInterface(
    `${name}-${node}-interface`,
    {
      subnetId,
      securityGroups: groupIds,
      description: `Node ${node} of the fleet ${context.fleet}`,
      tags: named(`${node}-interface`),
    },
    // A host stays where its volume is.
    { parent, ignoreChanges: ["subnetId"] },
  );
  const address = front?.addresses[node];
  if (address) {
    const association = new aws.ec2.EipAssociation(
      `${name}-${node}-address`,
      { allocationId: address.allocationId, networkInterfaceId: network.id },
      { parent, deleteBeforeReplace: true },
    );
    return { network, reachable: [association] };
  }
  if (!plan.publicHosts) return { network, reachable: [] };
  // AWS gives no passing public address to an interface that exists.
  const own = new aws.ec2.Eip(
    `${name}-${node}-public`,
    {
      // AWS wants the internet gateway before an address; a public subnet's id is known once that is there.
      domain: pulumi.output(subnetId).apply(() => "vpc"),
      networkInterface: network.id,
      tags: named(`${node}-public`),
    },
    { parent },
  );
  return { network, reachable: [own] };
}
