import type { AwsPlan } from "../plan.ts";
import { LAYERS, type Layer } from "../settings.ts";
import type { ServiceRoleName } from "./catalog.ts";
import type { PreflightNeed, QuotaNeed } from "./need.ts";

const ON_DEMAND = {
  service: "ec2",
  code: "L-1216C47A",
  name: "Running On-Demand Standard instances, vCPUs",
} as const;
const ADDRESSES = { service: "ec2", code: "L-0263D0A3", name: "EC2-VPC Elastic IPs" } as const;
const BALANCERS = {
  service: "elasticloadbalancing",
  code: "L-53DA6B97",
  name: "Application Load Balancers per Region",
} as const;
const DATABASES = { service: "rds", code: "L-7B6409FD", name: "DB instances" } as const;

/**
 * What a plan wants of its account, as far as this stack makes it: what another stack makes has passed
 * there. `ownTag`: on everything of this stack, and on nothing else. `stood`: zones that it stands in.
 */
export function needOf(
  fleet: string,
  plan: AwsPlan,
  ownTag: PreflightNeed["ownTag"],
  layers: readonly Layer[] = LAYERS,
  stood?: readonly string[],
): PreflightNeed {
  const makes = (layer: Layer) => layers.includes(layer);
  const { aws, compute, edge, network, zones } = plan;
  const cluster = compute.kind === "eks" && !compute.cluster.adopted ? compute.cluster : null;
  const quotas: QuotaNeed[] = makes("base") ? [...network.quotas] : [];
  const instanceTypes: string[] = [];
  if (!makes("compute")) {
    // Machines and the way in are another stack's.
  } else if (compute.kind === "ec2") {
    const { hosts, ownAddresses, class: machine } = compute.hosts;
    quotas.push({ ...ON_DEMAND, need: hosts.length * machine.cores });
    quotas.push({ ...ADDRESSES, need: edge.addressOf.length + ownAddresses });
    instanceTypes.push(machine.type);
  } else {
    quotas.push(...compute.cluster.quotas, ...compute.nodes.quotas);
    if (cluster?.systemNodes) instanceTypes.push(cluster.systemNodes.type);
  }
  const balancer = makes("compute") && edge.front === "alb";
  const database = makes("data") && plan.database !== null;
  if (balancer) quotas.push({ ...BALANCERS, need: 1 });
  if (database) quotas.push({ ...DATABASES, need: 1 });
  const serviceRoles: ServiceRoleName[] = [
    // The key of disks, in base, names these two.
    ...(compute.kind === "eks" ? (["autoScaling"] as const) : []),
    ...(compute.spot ? (["spot"] as const) : []),
    ...(cluster && makes("compute") ? (["eks", "nodeGroups"] as const) : []),
    ...(balancer ? (["balancer"] as const) : []),
    ...(makes("data") && plan.cache ? (["cache"] as const) : []),
    ...(database ? (["database"] as const) : []),
  ];
  return {
    fleet,
    region: aws.region,
    accountId: aws.accountId,
    ownTag,
    // An adopted network's zones are where its subnets are.
    zones:
      network.adoptedVpcId === null && makes("base")
        ? { count: zones, ...(aws.zones ? { pinned: aws.zones } : {}), ...(stood ? { stood } : {}) }
        : null,
    quotas,
    instanceTypes,
    admins: cluster && makes("compute") ? cluster.admins.map(({ arn }) => arn) : null,
    ...(compute.kind === "eks" ? { clusterName: compute.cluster.clusterName } : {}),
    serviceRoles,
  };
}
