/**
 * Quotas that a fleet can run into, and roles that AWS's own services need. Checked 2026-11-21.
 * Codes and defaults: docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html,
 * docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html,
 * docs.aws.amazon.com/general/latest/gr (pages of EKS, ELB, RDS, ElastiCache, EFS).
 */

/** What stands against a quota, as it can be counted. */
export type Counter =
  | "vpcs"
  | "addresses"
  | "natGateways"
  | "clusters"
  | "balancers"
  | "databases"
  | "standardVcpus"
  | "standardSpotVcpus"
  | "gpuVcpus"
  | "gpuSpotVcpus"
  /** The limit is inside of what the stack makes itself, e.g. endpoints of a VPC: nothing is used yet. */
  | "nothing";

export interface QuotaFact {
  /** As Service Quotas names the service. */
  readonly service: string;
  readonly code: string;
  readonly name: string;
  /** What an account begins with, as AWS documents it; new accounts may have less. */
  readonly initially: number;
  readonly counter: Counter;
}

export const QUOTA_FACTS: readonly QuotaFact[] = [
  {
    service: "vpc",
    code: "L-F678F1CE",
    name: "VPCs per Region",
    initially: 5,
    counter: "vpcs",
  },
  // A VPC has at most one, so VPCs are the upper bound of what is used.
  {
    service: "vpc",
    code: "L-A4707A72",
    name: "Internet gateways per Region",
    initially: 5,
    counter: "vpcs",
  },
  {
    service: "ec2",
    code: "L-0263D0A3",
    name: "EC2-VPC Elastic IPs",
    initially: 5,
    counter: "addresses",
  },
  {
    service: "vpc",
    code: "L-FE5A380F",
    name: "NAT gateways per Availability Zone",
    initially: 5,
    counter: "natGateways",
  },
  {
    service: "vpc",
    code: "L-29B6F2EB",
    name: "Interface VPC endpoints per VPC",
    initially: 50,
    counter: "nothing",
  },
  {
    service: "ec2",
    code: "L-1216C47A",
    name: "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances",
    initially: 5,
    counter: "standardVcpus",
  },
  {
    service: "ec2",
    code: "L-34B43A08",
    name: "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests",
    initially: 5,
    counter: "standardSpotVcpus",
  },
  {
    service: "ec2",
    code: "L-DB2E81BA",
    name: "Running On-Demand G and VT instances",
    initially: 0,
    counter: "gpuVcpus",
  },
  {
    service: "ec2",
    code: "L-3819A6DF",
    name: "All G and VT Spot Instance Requests",
    initially: 0,
    counter: "gpuSpotVcpus",
  },
  {
    service: "eks",
    code: "L-1194D53C",
    name: "Clusters",
    initially: 100,
    counter: "clusters",
  },
  {
    service: "elasticloadbalancing",
    code: "L-53DA6B97",
    name: "Application Load Balancers per Region",
    initially: 50,
    counter: "balancers",
  },
  {
    service: "rds",
    code: "L-7B6409FD",
    name: "DB instances",
    initially: 40,
    counter: "databases",
  },
];

/** Families that a vCPU counter counts. Source: the quotas' own names. */
export const VCPU_FAMILIES = {
  standardVcpus: { families: /^[acdhimrtz]\d/, spot: false },
  standardSpotVcpus: { families: /^[acdhimrtz]\d/, spot: true },
  gpuVcpus: { families: /^(g|vt)\d/, spot: false },
  gpuSpotVcpus: { families: /^(g|vt)\d/, spot: true },
} as const satisfies Partial<Record<Counter, { families: RegExp; spot: boolean }>>;
export type VcpuCounter = keyof typeof VCPU_FAMILIES;

/** Running machines that are looked at one by one to count vCPUs; more of them are not counted. */
export const LOOK_AT_MACHINES = 40;

/** A role that a service of AWS takes on in the account. */
export interface ServiceRoleFact {
  readonly role: string;
  /** Name for `aws iam create-service-linked-role`. */
  readonly service: string;
  /**
   * True: something of ours names the role or cannot make it, so it must be there before. False: AWS
   * makes it at the first use, if who deploys may `iam:CreateServiceLinkedRole`.
   */
  readonly before: boolean;
}

/** Source: docs.aws.amazon.com/IAM/latest/UserGuide/reference_aws-services-that-work-with-iam.html and each service's own page. */
export const SERVICE_ROLE_FACTS = {
  // The key of disks names it, and KMS refuses a policy with an unknown principal.
  autoScaling: {
    role: "AWSServiceRoleForAutoScaling",
    service: "autoscaling.amazonaws.com",
    before: true,
  },
  // Karpenter's role may not make it.
  spot: { role: "AWSServiceRoleForEC2Spot", service: "spot.amazonaws.com", before: true },
  eks: { role: "AWSServiceRoleForAmazonEKS", service: "eks.amazonaws.com", before: false },
  nodeGroups: {
    role: "AWSServiceRoleForAmazonEKSNodegroup",
    service: "eks-nodegroup.amazonaws.com",
    before: false,
  },
  balancer: {
    role: "AWSServiceRoleForElasticLoadBalancing",
    service: "elasticloadbalancing.amazonaws.com",
    before: false,
  },
  cache: {
    role: "AWSServiceRoleForElastiCache",
    service: "elasticache.amazonaws.com",
    before: false,
  },
  database: { role: "AWSServiceRoleForRDS", service: "rds.amazonaws.com", before: false },
} as const satisfies Record<string, ServiceRoleFact>;
export type ServiceRoleName = keyof typeof SERVICE_ROLE_FACTS;

/** Account of the sample files and of AWS's own examples: nobody's. */
export const SAMPLE_ACCOUNT = "123456789012";
