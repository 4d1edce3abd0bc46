import * as aws from "@pulumi/aws";
import type * as pulumi from "@pulumi/pulumi";
import type { Zone } from "../context.ts";
import type { SubnetKind } from "./addresses.ts";
import type { AdoptedFacts, SubnetFacts } from "./adopted.ts";
import type { NetworkSettings } from "./settings.ts";
import type { Offering } from "./zones.ts";

/** Zones that the account may use in the provider's region; local and wavelength zones are none. */
export async function lookUpZones(opts: pulumi.InvokeOptions): Promise<Zone[]> {
  const { names, zoneIds } = await aws.getAvailabilityZones(
    {
      state: "available",
      filters: [{ name: "zone-type", values: ["availability-zone"] }],
    },
    opts,
  );
  return names.map((name, i) => ({ name, id: zoneIds[i] as string }));
}

/** Zones where a type of machine is offered. */
export async function lookUpOffering(
  instanceType: string,
  opts: pulumi.InvokeOptions,
): Promise<Offering> {
  const { locations } = await aws.ec2.getInstanceTypeOfferings(
    {
      locationType: "availability-zone-id",
      filters: [{ name: "instance-type", values: [instanceType] }],
    },
    opts,
  );
  return { instanceType, zoneIds: locations };
}

/** The VPC and subnets that `network.adopt` names, as they are. Fails when one is not there. */
export async function lookUpAdopted(
  adopt: NonNullable<NetworkSettings["adopt"]>,
  opts: pulumi.InvokeOptions,
): Promise<AdoptedFacts> {
  const vpc = await aws.ec2.getVpc({ id: adopt.vpcId }, opts);
  const ids: Record<SubnetKind, readonly string[]> = {
    public: adopt.publicSubnetIds,
    private: adopt.privateSubnetIds,
    data: adopt.dataSubnetIds,
  };
  const facts = async (id: string): Promise<SubnetFacts> => {
    const subnet = await aws.ec2.getSubnet({ id }, opts);
    return {
      id,
      vpcId: subnet.vpcId,
      zone: { name: subnet.availabilityZone, id: subnet.availabilityZoneId },
      cidr: subnet.cidrBlock,
      free: subnet.availableIpAddressCount,
    };
  };
  const all = (kind: SubnetKind) => Promise.all(ids[kind].map(facts));
  return {
    vpcId: adopt.vpcId,
    cidr: vpc.cidrBlock,
    dnsSupport: vpc.enableDnsSupport,
    dnsHostnames: vpc.enableDnsHostnames,
    subnets: {
      public: await all("public"),
      private: await all("private"),
      data: await all("data"),
    },
  };
}
