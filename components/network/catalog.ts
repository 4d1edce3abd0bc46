import type { PricedBy, PriceTable } from "../cost.ts";

/** Facts about AWS networks. Checked 2026-11-21 unless a line says otherwise. */

/** First four addresses and the last one of a subnet are AWS's own.
 *  Source: docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html */
export const SUBNET_RESERVED = 5;

/** Masks that AWS takes for a VPC and for a subnet. Same source. */
export const VPC_PREFIX = { widest: 16, narrowest: 28 } as const;

/** A balancer needs this many free addresses in each of its subnets, and no subnet smaller than a /27.
 *  Source: docs.aws.amazon.com/elasticloadbalancing/latest/application/application-load-balancers.html#subnets-load-balancer */
export const BALANCER_FREE = 8;
export const BALANCER_PREFIX = 27;

/** Addresses that AWS advises to leave free for EKS's own interfaces in each subnet of a cluster (it refuses below 6).
 *  Source: docs.aws.amazon.com/eks/latest/userguide/network-reqs.html */
export const CLUSTER_FREE = 16;

/** Pods of a node get their addresses in blocks of a /28; one block more is kept warm.
 *  Source: docs.aws.amazon.com/eks/latest/best-practices/prefix-mode-linux.html */
export const POD_BLOCK_PREFIX = 28;
export const WARM_BLOCKS = 1;
/** Interfaces of a node with an address of their own: the first one, and one more while pods come and go. */
export const NODE_INTERFACES = 2;
/** Nodes beyond the planned ones that a rolling change brings up in a zone. */
export const SURGE_NODES = 1;

/**
 * Zones that cannot hold everything: EKS puts no control plane there and newer instance types are not
 * offered. Source: docs.aws.amazon.com/eks/latest/userguide/network-reqs.html (subnet requirements).
 */
export const EXCLUDED_ZONES: readonly string[] = ["use1-az3", "usw1-az2", "cac1-az3"];

/** Ranges for private use, one of which a VPC of ours must lie in: RFC 1918 and RFC 6598. */
export const PRIVATE_RANGES: readonly string[] = [
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "100.64.0.0/10",
];

/** Ranges that programs on the machines use for themselves. */
export const TAKEN_RANGES: readonly { readonly name: string; readonly cidr: string }[] = [
  // Docker's default bridge. Source: docs.docker.com/engine/network/drivers/bridge
  { name: "the bridge of containers on each machine", cidr: "172.17.0.0/16" },
];

/** Range of a network for which nothing was set. Rarely used elsewhere, unlike 10.0.0.0/16. */
export const DEFAULT_CIDR = "10.64.0.0/16";

/** Services that may get an endpoint in the private subnets, and who talks to them. */
export const ENDPOINT_SERVICES = {
  autoscaling: "node groups",
  ec2: "the network plugin of pods, Karpenter, volumes",
  ec2messages: "Systems Manager",
  "ecr.api": "pulling images",
  "ecr.dkr": "pulling images",
  eks: "nodes that join, Karpenter",
  "eks-auth": "credentials of pods",
  elasticfilesystem: "mounting EFS",
  elasticloadbalancing: "the load balancer controller",
  kms: "decrypting secrets and objects",
  logs: "shipping logs",
  monitoring: "shipping metrics",
  secretsmanager: "reading secrets",
  sqs: "Karpenter's interruption queue",
  ssm: "Systems Manager, image aliases",
  ssmmessages: "shells and tunnels through Systems Manager",
  sts: "credentials of roles",
} as const;
export type EndpointService = keyof typeof ENDPOINT_SERVICES;
export const ENDPOINT_NAMES = Object.keys(ENDPOINT_SERVICES) as [
  EndpointService,
  ...EndpointService[],
];

/** Quotas that a network uses up. Source: docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html */
export const QUOTAS = {
  vpcs: { service: "vpc", code: "L-F678F1CE", name: "VPCs per Region" },
  internetGateways: { service: "vpc", code: "L-A4707A72", name: "Internet gateways per Region" },
  elasticIps: { service: "ec2", code: "L-0263D0A3", name: "EC2-VPC Elastic IPs" },
  natGateways: { service: "vpc", code: "L-FE5A380F", name: "NAT gateways per Availability Zone" },
  interfaceEndpoints: {
    service: "vpc",
    code: "L-29B6F2EB",
    name: "Interface VPC endpoints per VPC",
  },
} as const;

/**
 * Traffic that a plan's cost reckons with, GB a turn and GB a node and month. Estimates, not measured: a
 * turn takes 80 KB of context to the model and brings 10 KB back; a node fetches 10 GB of images and
 * packages; sessions, limits and calls to the owner of a shard cross zones two times in three.
 */
export const TRAFFIC = {
  outGbPerTurn: 80e-6,
  natGbPerTurn: 90e-6,
  natGbPerNode: 10,
  crossZoneGbPerTurn: 50e-6,
  crossZoneGbPerNode: 5,
  /** Share of what goes through NAT without endpoints that an endpoint takes over. */
  endpointGbPerNode: 5,
  flowLogGbPerTurn: 10e-6,
  flowLogGbPerNode: 0.25,
} as const;

/** US dollars. */
export const PRICES: PriceTable<
  | "natHour"
  | "natGb"
  | "publicIpv4Hour"
  | "crossZoneGb"
  | "outGb"
  | "endpointHour"
  | "endpointGb"
  | "flowLogGb"
  | "logStorageGbMonth"
> = {
  date: "2026-11-21",
  source:
    "aws.amazon.com/vpc/pricing, ec2/pricing/on-demand (data transfer), cloudwatch/pricing (vended logs); from memory, to be checked",
  regions: {
    "us-east-1": {
      natHour: 0.045,
      natGb: 0.045,
      publicIpv4Hour: 0.005,
      // A cent for leaving a zone, and one for entering the other.
      crossZoneGb: 0.02,
      outGb: 0.09,
      endpointHour: 0.01,
      endpointGb: 0.01,
      flowLogGb: 0.5,
      logStorageGbMonth: 0.03,
    },
    "eu-central-1": {
      natHour: 0.052,
      natGb: 0.052,
      publicIpv4Hour: 0.005,
      crossZoneGb: 0.02,
      outGb: 0.09,
      endpointHour: 0.012,
      endpointGb: 0.01,
      flowLogGb: 0.63,
      logStorageGbMonth: 0.0324,
    },
    "eu-west-1": {
      natHour: 0.048,
      natGb: 0.048,
      publicIpv4Hour: 0.005,
      crossZoneGb: 0.02,
      outGb: 0.09,
      endpointHour: 0.011,
      endpointGb: 0.01,
      flowLogGb: 0.57,
      logStorageGbMonth: 0.03,
    },
  },
};

const SHAPE = { free: "the shape of a network costs nothing, only what flows through it" };
const IDENTITY = { free: "IAM costs nothing" };

/** How each type that the component registers is paid for. */
export const PRICED: Readonly<Record<string, PricedBy>> = {
  "aws:ec2/vpc:Vpc": { lines: ["Cross-zone GB"] },
  "aws:ec2/internetGateway:InternetGateway": { lines: ["GB out to model providers"] },
  "aws:ec2/subnet:Subnet": SHAPE,
  "aws:ec2/subnetCidrReservation:SubnetCidrReservation": SHAPE,
  "aws:ec2/routeTable:RouteTable": SHAPE,
  "aws:ec2/routeTableAssociation:RouteTableAssociation": SHAPE,
  "aws:ec2/route:Route": SHAPE,
  "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": SHAPE,
  "aws:ec2/securityGroup:SecurityGroup": SHAPE,
  "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": SHAPE,
  "aws:ec2/eip:Eip": { lines: ["Public IPv4 of NAT"] },
  "aws:ec2/natGateway:NatGateway": { lines: ["NAT gateway hours", "NAT gateway GB"] },
  "aws:ec2/vpcEndpoint:VpcEndpoint": {
    lines: ["Endpoint hours", "Endpoint GB"],
    otherwise: "S3's gateway endpoint is free; those with an interface are not",
  },
  "aws:ec2/flowLog:FlowLog": { lines: ["Flow log GB"] },
  "aws:cloudwatch/logGroup:LogGroup": { lines: ["Flow log storage"] },
  "aws:iam/role:Role": IDENTITY,
  "aws:iam/rolePolicy:RolePolicy": IDENTITY,
};
