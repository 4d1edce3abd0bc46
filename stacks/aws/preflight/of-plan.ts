import type { AwsPlan } from "../plan.ts";
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

/** What a plan wants of its account. `ownTag`: on everything of this stack, and on nothing else. */
export function needOf(
  fleet: string,
  plan: AwsPlan,
  ownTag: PreflightNeed["ownTag"],
): PreflightNeed {
  const { aws, compute, edge, network, zones } = plan;
  const cluster = compute.kind === "eks" && !compute.cluster.adopted ? compute.cluster : null;
  const quotas: QuotaNeed[] = [...network.quotas];
  const instanceTypes: string[] = [];
  if (compute.kind === "ec2") {
    const { hosts, class: machine } = compute.hosts;
    quotas.push({ ...ON_DEMAND, need: hosts.length * machine.cores });
    quotas.push({ ...ADDRESSES, need: edge.addressOf.length });
    instanceTypes.push(machine.type);
  } else {
    quotas.push(...compute.cluster.quotas, ...compute.nodes.quotas);
    if (cluster?.systemNodes) instanceTypes.push(cluster.systemNodes.type);
  }
  if (edge.front === "alb") quotas.push({ ...BALANCERS, need: 1 });
  if (plan.database) quotas.push({ ...DATABASES, need: 1 });
  const serviceRoles: ServiceRoleName[] = [
    ...(compute.kind === "eks" ? (["autoScaling"] as const) : []),
    ...(compute.spot ? (["spot"] as const) : []),
    ...(cluster ? (["eks", "nodeGroups"] as const) : []),
    ...(edge.front === "alb" ? (["balancer"] as const) : []),
    ...(plan.cache ? (["cache"] as const) : []),
    ...(plan.database ? (["database"] as const) : []),
  ];
  return {
    fleet,
    region: aws.region,
    accountId: aws.accountId,
    ownTag,
    // An adopted network's zones are where its subnets are.
    zones:
      network.adoptedVpcId === null
        ? { count: zones, ...(aws.zones ? { pinned: aws.zones } : {}) }
        : null,
    quotas,
    instanceTypes,
    admins: cluster ? cluster.admins.map(({ arn }) => arn) : null,
    ...(compute.kind === "eks" ? { clusterName: compute.cluster.clusterName } : {}),
    serviceRoles,
  };
}
