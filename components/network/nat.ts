import * as aws from "@pulumi/aws";
import type * as pulumi from "@pulumi/pulumi";
import type { Zone } from "../context.ts";
import type { NetworkPlan } from "./plan.ts";

export interface NatArgs {
  readonly plan: NetworkPlan;
  readonly zones: readonly Zone[];
  readonly vpcId: pulumi.Input<string>;
  /** In the order of the zones. */
  readonly publicSubnetIds: readonly pulumi.Input<string>[];
  readonly internet: aws.ec2.InternetGateway;
  readonly tags: (role: string) => Record<string, string>;
}

export interface Nat {
  /** Gateway of a zone; undefined when nothing private leaves. */
  gatewayId(zone: number): pulumi.Output<string> | undefined;
  /** Addresses that the world sees. */
  readonly addresses: pulumi.Output<string>[];
}

/** The gateways that a plan asks for, with one fixed address in each of their zones. */
export function makeNat(name: string, args: NatArgs, opts: pulumi.CustomResourceOptions): Nat {
  const { plan, internet, tags } = args;
  // AWS refuses a gateway, and keeps an address, while the internet gateway comes or goes.
  const after = { ...opts, dependsOn: [internet] };
  const addresses = plan.natZones.map((i) => {
    const zone = args.zones[i] as Zone;
    const role = `nat-${zone.name}`;
    return new aws.ec2.Eip(`${name}-${role}`, { domain: "vpc", tags: tags(role) }, after);
  });
  const publicIps = addresses.map((eip) => eip.publicIp);
  if (plan.nat === "regional") {
    const gateway = new aws.ec2.NatGateway(
      `${name}-nat-regional`,
      {
        vpcId: args.vpcId,
        availabilityMode: "regional",
        connectivityType: "public",
        // Named zones with our addresses: left to itself, it would choose and change both.
        availabilityZoneAddresses: addresses.map((eip, n) => ({
          availabilityZone: (args.zones[plan.natZones[n] as number] as Zone).name,
          allocationIds: [eip.id],
        })),
        tags: tags("nat-regional"),
      },
      after,
    );
    return { gatewayId: () => gateway.id, addresses: publicIps };
  }
  const gateways = plan.natZones.map((i, n) => {
    const role = `nat-${(args.zones[i] as Zone).name}`;
    return new aws.ec2.NatGateway(
      `${name}-${role}`,
      {
        subnetId: args.publicSubnetIds[i] as pulumi.Input<string>,
        allocationId: (addresses[n] as aws.ec2.Eip).id,
        connectivityType: "public",
        tags: tags(role),
      },
      after,
    );
  });
  return {
    gatewayId: (zone) => gateways[plan.nat === "one" ? 0 : zone]?.id,
    addresses: publicIps,
  };
}
