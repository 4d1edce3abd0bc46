import * as aws from "@pulumi/aws";
import type * as pulumi from "@pulumi/pulumi";
import { type Counter, LOOK_AT_MACHINES, VCPU_FAMILIES, type VcpuCounter } from "./catalog.ts";
import type { PreflightNeed, Usage } from "./need.ts";

type Tags = Record<string, string>;

/** Counts what stands against a quota: all of it, and the part that this stack has already. */
export async function countOf(
  counter: Counter,
  need: PreflightNeed,
  opts: pulumi.InvokeOptions,
): Promise<Usage> {
  const tags = { [need.ownTag.key]: need.ownTag.value };
  switch (counter) {
    case "nothing":
      return { used: 0, own: 0 };
    case "vpcs":
      return both(async (own) => (await aws.ec2.getVpcs(own && { tags }, opts)).ids.length);
    case "addresses":
      return both(
        async (own) => (await aws.ec2.getEips(own && { tags }, opts)).allocationIds.length,
      );
    case "natGateways":
      return { ...(await both((own) => natGateways(own ? tags : undefined, opts))), atMost: true };
    case "balancers":
      return {
        ...(await both(async (own) => (await aws.lb.getLbs(own && { tags }, opts)).arns.length)),
        // Network balancers are among them and have a limit of their own.
        atMost: true,
      };
    case "databases":
      return both(
        async (own) =>
          (await aws.rds.getInstances(own && { tags }, opts)).instanceIdentifiers.length,
      );
    case "clusters": {
      const { names } = await aws.eks.getClusters({}, opts);
      return { used: names.length, own: names.filter((name) => name === need.clusterName).length };
    }
    default:
      return vcpus(counter, tags, opts);
  }
}

/** Asks for everything, then for what carries the stack's tag. */
async function both(count: (own: true | undefined) => Promise<number>): Promise<Usage> {
  const [used, own] = await Promise.all([count(undefined), count(true)]);
  return { used, own };
}

async function natGateways(tags: Tags | undefined, opts: pulumi.InvokeOptions): Promise<number> {
  // Deleted ones are listed for an hour.
  const filters = [{ name: "state", values: ["pending", "available", "deleting"] }];
  const { ids } = await aws.ec2.getNatGateways({ filters, ...(tags ? { tags } : {}) }, opts);
  return ids.length;
}

/** vCPUs of running machines of a quota's families, each machine by its type. */
async function vcpus(counter: VcpuCounter, tags: Tags, opts: pulumi.InvokeOptions): Promise<Usage> {
  const instanceStateNames = ["pending", "running"];
  const spotFilter = [{ name: "instance-lifecycle", values: ["spot"] }];
  const [all, own, spot] = await Promise.all([
    aws.ec2.getInstances({ instanceStateNames }, opts),
    aws.ec2.getInstances({ instanceStateNames, instanceTags: tags }, opts),
    aws.ec2.getInstances({ instanceStateNames, filters: spotFilter }, opts),
  ]);
  if (all.ids.length > LOOK_AT_MACHINES) {
    throw new Error(
      `${all.ids.length} machines run in this region, too many to look at one by one`,
    );
  }
  const { families, spot: wantSpot } = VCPU_FAMILIES[counter];
  const ids = all.ids.filter((id) => spot.ids.includes(id) === wantSpot);
  const types = await Promise.all(
    ids.map(async (id) => (await aws.ec2.getInstance({ instanceId: id }, opts)).instanceType),
  );
  const counted = [...new Set(types)].filter((type) => families.test(type));
  const sizes = new Map(
    await Promise.all(
      counted.map(async (instanceType) => {
        const { defaultVcpus } = await aws.ec2.getInstanceType({ instanceType }, opts);
        return [instanceType, defaultVcpus] as const;
      }),
    ),
  );
  const sum = (mine: readonly string[]) =>
    ids.reduce(
      (cores, id, i) => cores + (mine.includes(id) ? (sizes.get(types[i] as string) ?? 0) : 0),
      0,
    );
  return { used: sum(ids), own: sum(own.ids) };
}
