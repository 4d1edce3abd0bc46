import type { PricedBy, PriceTable } from "../cost.ts";

export type Architecture = "arm64" | "x86_64";

/** A family of machines; sizes differ by their number of cores only, and so do prices. */
export interface Family {
  readonly name: FamilyName;
  readonly architecture: Architecture;
  /** Memory for each core, MiB. */
  readonly mibPerCore: number;
  /** Runs below a share of its cores and saves up the rest; above it, AWS charges more by the hour. */
  readonly burstable: boolean;
}

const FAMILY_NAMES = ["t4g", "c7g", "m7g", "r7g", "t3", "c7i", "m7i", "r7i"] as const;
export type FamilyName = (typeof FAMILY_NAMES)[number];

/** One class of machines. */
export interface HostClass {
  readonly type: string;
  readonly family: Family;
  readonly cores: number;
  readonly memoryMiB: number;
}

/**
 * Families with local sizes of the same shape in all three price regions.
 * Source: aws.amazon.com/ec2/instance-types (2026-11-21).
 */
export const FAMILIES: readonly Family[] = [
  { name: "t4g", architecture: "arm64", mibPerCore: 0, burstable: true },
  { name: "c7g", architecture: "arm64", mibPerCore: 2_048, burstable: false },
  { name: "m7g", architecture: "arm64", mibPerCore: 4_096, burstable: false },
  { name: "r7g", architecture: "arm64", mibPerCore: 8_192, burstable: false },
  { name: "t3", architecture: "x86_64", mibPerCore: 0, burstable: true },
  { name: "c7i", architecture: "x86_64", mibPerCore: 2_048, burstable: false },
  { name: "m7i", architecture: "x86_64", mibPerCore: 4_096, burstable: false },
  { name: "r7i", architecture: "x86_64", mibPerCore: 8_192, burstable: false },
];

const SIZES = [
  ["large", 2],
  ["xlarge", 4],
  ["2xlarge", 8],
  ["4xlarge", 16],
  ["8xlarge", 32],
  ["12xlarge", 48],
  ["16xlarge", 64],
] as const;
/** Burstable machines have two cores up to `large`; their price goes by memory. */
const BURSTABLE_SIZES = [
  ["small", 2, 2_048],
  ["medium", 2, 4_096],
  ["large", 2, 8_192],
] as const;

/** Every class that a host can be. */
export const HOST_CLASSES: readonly HostClass[] = FAMILIES.flatMap((family) =>
  family.burstable
    ? BURSTABLE_SIZES.map(([size, cores, memoryMiB]) => ({
        type: `${family.name}.${size}`,
        family,
        cores,
        memoryMiB,
      }))
    : SIZES.map(([size, cores]) => ({
        type: `${family.name}.${size}`,
        family,
        cores,
        memoryMiB: cores * family.mibPerCore,
      })),
);

/** How many times a class costs what its family's `large` does. Source: aws.amazon.com/ec2/pricing/on-demand. */
export function largeUnits({ family, cores, memoryMiB }: HostClass): number {
  return family.burstable ? memoryMiB / 8_192 : cores / 2;
}

/**
 * Part of a machine's memory that Linux has left after its own tables and what the hypervisor keeps, in
 * percent: a machine of 4 GiB shows about 3.8. An estimate, not measured on every class.
 */
export const USABLE_PERCENT = 95;

/** Memory of the system itself, its services, the management agent, and etcd on three hosts, MiB; an estimate. */
export const SYSTEM_MIB = 384;

/** A busy shard uses one core all the time: above this many a node lives beyond what a burstable machine saves up. */
export const BURSTABLE_MAX_CORES = 2;

/** Times a new shard's disk that is kept for it: conversations, points in time of its replica, one more while it moves. */
export const STATE_GROWTH = 20;
/** State volumes are never smaller, GiB. */
export const STATE_MIN_GIB = 20;
/** Largest gp3 volume, GiB. Source: docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html (2026-11-21). */
export const VOLUME_MAX_GIB = 65_536;
/** Smallest root volume that the image fits on, GiB. */
export const ROOT_MIN_GIB = 8;
export const ROOT_GIB = 20;

/** Name under which a host's system knows its state volume when it is attached. */
export const STATE_DEVICE = "/dev/sdf";

/**
 * What hosts run: it has the management agent, systemd and cgroup v2, and five years of fixes.
 * Source: documentation.ubuntu.com/aws (parameters), checked 2026-11-21.
 */
export const IMAGE = {
  name: "Ubuntu 24.04 LTS",
  /** Who logs in. */
  user: "ubuntu",
  /** Public parameter that names the newest image. */
  parameter: {
    arm64: "/aws/service/canonical/ubuntu/server/24.04/stable/current/arm64/hvm/ebs-gp3/ami-id",
    x86_64: "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id",
  } satisfies Record<Architecture, string>,
} as const;

/** Quota that hosts use up, in vCPUs. Source: docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html (2026-11-21). */
export const QUOTA = {
  service: "ec2",
  code: "L-1216C47A",
  name: "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances",
} as const;

/** Fixed public addresses, with what an account has of them in a region at first. Source: docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html (2026-11-21). */
export const ADDRESS_QUOTA = {
  service: "ec2",
  code: "L-0263D0A3",
  name: "EC2-VPC Elastic IPs",
  initially: 5,
} as const;

export type HostPrice = FamilyName | "gp3GbMonth" | "publicIpv4Hour";

/** US dollars without tax, Linux on demand; a family's price is that of its `large`. */
export const HOST_PRICES: PriceTable<HostPrice> = {
  date: "2026-11-21",
  source:
    "aws.amazon.com/ec2/pricing/on-demand, /ebs/pricing, /vpc/pricing; from memory, to be checked",
  regions: {
    "us-east-1": {
      t4g: 0.0672,
      c7g: 0.0725,
      m7g: 0.0816,
      r7g: 0.1071,
      t3: 0.0832,
      c7i: 0.08925,
      m7i: 0.1008,
      r7i: 0.1323,
      gp3GbMonth: 0.08,
      publicIpv4Hour: 0.005,
    },
    "eu-central-1": {
      t4g: 0.0768,
      c7g: 0.0827,
      m7g: 0.0979,
      r7g: 0.1299,
      t3: 0.096,
      c7i: 0.10185,
      m7i: 0.12075,
      r7i: 0.1596,
      gp3GbMonth: 0.0952,
      publicIpv4Hour: 0.005,
    },
    "eu-west-1": {
      t4g: 0.0736,
      c7g: 0.0777,
      m7g: 0.0914,
      r7g: 0.12,
      t3: 0.0912,
      c7i: 0.0958,
      m7i: 0.11235,
      r7i: 0.14805,
      gp3GbMonth: 0.088,
      publicIpv4Hour: 0.005,
    },
  },
};

/** How each type that the component can register is paid for. */
export const PRICED: Readonly<Record<string, PricedBy>> = {
  "openclaw-fleet:compute:HostsEc2": { free: "groups resources" },
  "aws:ec2/instance:Instance": {
    lines: ["hosts", "system disks"],
  },
  "aws:ec2/networkInterface:NetworkInterface": { free: "AWS asks nothing for it" },
  "aws:ec2/eip:Eip": { lines: ["hosts' public IPv4 addresses"] },
  "aws:ebs/volume:Volume": { lines: ["state disks"] },
  "openclaw:host:Artifact": { free: "what is put on a host is paid for with it" },
  "openclaw:host:Drained": { free: "what is put on a host is paid for with it" },
  "openclaw:host:Release": { free: "what is put on a host is paid for with it" },
  "aws:ec2/volumeAttachment:VolumeAttachment": { free: "the volume is paid for" },
  "aws:ec2/eipAssociation:EipAssociation": { free: "edge pays for the address" },
  "aws:lb/targetGroupAttachment:TargetGroupAttachment": { free: "part of the balancer" },
  "aws:ec2/securityGroup:SecurityGroup": { free: "AWS asks nothing for it" },
  "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": { free: "AWS asks nothing for it" },
  "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": { free: "AWS asks nothing for it" },
  "aws:iam/role:Role": { free: "IAM is free" },
  "aws:iam/rolePolicy:RolePolicy": { free: "IAM is free" },
  "aws:iam/instanceProfile:InstanceProfile": { free: "IAM is free" },
};
