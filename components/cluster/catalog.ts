import type { PricedBy, PriceTable } from "../cost.ts";

/** Addons in the order in which they are installed: before the system nodes, and after. */
export const ADDONS_BEFORE_NODES = ["vpc-cni", "kube-proxy", "eks-pod-identity-agent"] as const;
export const ADDONS_AFTER_NODES = ["coredns", "aws-ebs-csi-driver", "metrics-server"] as const;
export const ADDONS = [...ADDONS_BEFORE_NODES, ...ADDONS_AFTER_NODES] as const;
export type AddonName = (typeof ADDONS)[number];

/** What one minor of Kubernetes on EKS runs with. */
export interface ClusterVersion {
  /** Last day of standard support, ISO; null where it was not verified. */
  readonly standardUntil: string | null;
  readonly addons: Readonly<Record<AddonName, string>>;
  /** AL2023 release of managed node groups. */
  readonly al2023Release: string;
  /** The same images as Karpenter names them. */
  readonly al2023Alias: string;
}

/**
 * Versions this project was made for, oldest first. A cluster goes through them one at a time.
 * Checked 2026-11-21. Support: docs.aws.amazon.com/eks/latest/userguide/kubernetes-versions.html (1.36's
 * dates were not verified). Addons: what `aws eks describe-addon-versions` called default in autumn 2026
 * (1.35 on 2026-10-02), as public configurations record it. AMIs: github.com/awslabs/amazon-eks-ami/releases,
 * v20260810 (1.34), v20260911 (1.35), v20260903 (1.36).
 */
export const VERSIONS = {
  "1.34": {
    standardUntil: "2026-12-02",
    addons: {
      "vpc-cni": "v1.22.4-eksbuild.3",
      "kube-proxy": "v1.34.6-eksbuild.18",
      "eks-pod-identity-agent": "v1.3.10-eksbuild.3",
      coredns: "v1.13.2-eksbuild.11",
      "aws-ebs-csi-driver": "v1.63.0-eksbuild.1",
      "metrics-server": "v0.9.0-eksbuild.5",
    },
    al2023Release: "1.34.9-20260810",
    al2023Alias: "al2023@v20260810",
  },
  "1.35": {
    standardUntil: "2027-03-27",
    addons: {
      "vpc-cni": "v1.22.4-eksbuild.3",
      "kube-proxy": "v1.35.3-eksbuild.29",
      "eks-pod-identity-agent": "v1.3.10-eksbuild.3",
      coredns: "v1.13.2-eksbuild.31",
      "aws-ebs-csi-driver": "v1.65.0-eksbuild.1",
      "metrics-server": "v0.9.0-eksbuild.7",
    },
    al2023Release: "1.35.7-20260911",
    al2023Alias: "al2023@v20260911",
  },
  "1.36": {
    standardUntil: null,
    addons: {
      "vpc-cni": "v1.22.4-eksbuild.3",
      "kube-proxy": "v1.36.0-eksbuild.25",
      "eks-pod-identity-agent": "v1.3.10-eksbuild.3",
      coredns: "v1.14.3-eksbuild.23",
      "aws-ebs-csi-driver": "v1.65.0-eksbuild.1",
      "metrics-server": "v0.9.0-eksbuild.11",
    },
    al2023Release: "1.36.3-20260903",
    al2023Alias: "al2023@v20260903",
  },
} as const satisfies Record<string, ClusterVersion>;

export type VersionName = keyof typeof VERSIONS;
export const VERSION_NAMES = Object.keys(VERSIONS) as [VersionName, ...VersionName[]];
export const DEFAULT_VERSION: VersionName = "1.35";

/**
 * Bottlerocket as Karpenter names it. Managed node groups name its releases with a commit's hash, so they
 * take EKS's newest at creation and stay. Source: github.com/bottlerocket-os/bottlerocket/releases, checked 2026-11-21.
 */
export const BOTTLEROCKET_ALIAS = "bottlerocket@v1.64.0";

export const ARCHITECTURES = ["arm64", "x86_64"] as const;
export type Architecture = (typeof ARCHITECTURES)[number];
export const OPERATING_SYSTEMS = ["al2023", "bottlerocket"] as const;
export type OperatingSystem = (typeof OPERATING_SYSTEMS)[number];

/** EKS's names. Source: docs.aws.amazon.com/eks/latest/APIReference/API_Nodegroup.html (amiType). */
export const AMI_TYPES = {
  al2023: { arm64: "AL2023_ARM_64_STANDARD", x86_64: "AL2023_x86_64_STANDARD" },
  bottlerocket: { arm64: "BOTTLEROCKET_ARM_64", x86_64: "BOTTLEROCKET_x86_64" },
} as const satisfies Record<OperatingSystem, Record<Architecture, string>>;

/** Disks that a node starts with, GiB; null: the one that holds containers, sized by the plan. */
export const DISKS = {
  al2023: { "/dev/xvda": null },
  // Its own small system, and the containers.
  bottlerocket: { "/dev/xvda": 4, "/dev/xvdb": null },
} as const satisfies Record<OperatingSystem, Record<string, number | null>>;

/** CIDRs of the API's allow-list. Source: docs.aws.amazon.com/eks/latest/userguide/service-quotas.html. */
export const ALLOWLIST_MAX = 40;

/** Range of Kubernetes services where none is set; EKS takes it as well unless the VPC overlaps. */
export const DEFAULT_SERVICE_CIDR = "172.20.0.0/16";

/** Taint of the system nodes, which addons and Karpenter tolerate; the key is the one that charts know. */
export const SYSTEM_TAINT = "CriticalAddonsOnly";

/**
 * Requests of what runs on the system nodes: two each of coredns, metrics-server, the EBS driver's
 * controller and Karpenter. Source: the charts' defaults; Karpenter's from components/nodes.
 */
export const SYSTEM_PODS = { cpuMilli: 1_600, memoryMiB: 2_400 } as const;

export interface SystemType {
  readonly type: string;
  readonly architecture: Architecture;
  readonly cores: number;
  readonly memoryMiB: number;
}

/** Small to large. Source: aws.amazon.com/ec2/instance-types. */
export const SYSTEM_TYPES = [
  { type: "t4g.medium", architecture: "arm64", cores: 2, memoryMiB: 4_096 },
  { type: "t4g.large", architecture: "arm64", cores: 2, memoryMiB: 8_192 },
  { type: "m7g.xlarge", architecture: "arm64", cores: 4, memoryMiB: 16_384 },
  { type: "m7g.2xlarge", architecture: "arm64", cores: 8, memoryMiB: 32_768 },
  { type: "m7g.4xlarge", architecture: "arm64", cores: 16, memoryMiB: 65_536 },
  { type: "t3.medium", architecture: "x86_64", cores: 2, memoryMiB: 4_096 },
  { type: "t3.large", architecture: "x86_64", cores: 2, memoryMiB: 8_192 },
  { type: "m7i.xlarge", architecture: "x86_64", cores: 4, memoryMiB: 16_384 },
  { type: "m7i.2xlarge", architecture: "x86_64", cores: 8, memoryMiB: 32_768 },
  { type: "m7i.4xlarge", architecture: "x86_64", cores: 16, memoryMiB: 65_536 },
] as const satisfies readonly SystemType[];
export type SystemTypeName = (typeof SYSTEM_TYPES)[number]["type"];

/** Disk of a system node: images and logs. GiB. */
export const SYSTEM_DISK_GIB = 30;

/**
 * GB a month that the control plane of a fleet's size writes, by log. An estimate: audit logs follow the
 * number of API calls, most of them renewals of leases.
 */
export const LOG_GB = {
  api: 1,
  audit: 5,
  authenticator: 0.1,
  controllerManager: 0.5,
  scheduler: 0.2,
} as const;
export type LogType = keyof typeof LOG_GB;
export const LOG_TYPES = Object.keys(LOG_GB) as [LogType, ...LogType[]];

export type ClusterPrice = "controlPlaneHour" | "gp3GbMonth" | "logsIngestGb" | SystemTypeName;

export const CLUSTER_PRICES: PriceTable<ClusterPrice> = {
  date: "2026-11-21",
  source:
    "aws.amazon.com/eks/pricing, aws.amazon.com/ec2/pricing/on-demand, aws.amazon.com/ebs/pricing, aws.amazon.com/cloudwatch/pricing; from memory, to be checked",
  regions: {
    "us-east-1": {
      controlPlaneHour: 0.1,
      gp3GbMonth: 0.08,
      logsIngestGb: 0.5,
      "t4g.medium": 0.0336,
      "t4g.large": 0.0672,
      "m7g.xlarge": 0.1632,
      "m7g.2xlarge": 0.3264,
      "m7g.4xlarge": 0.6528,
      "t3.medium": 0.0416,
      "t3.large": 0.0832,
      "m7i.xlarge": 0.2016,
      "m7i.2xlarge": 0.4032,
      "m7i.4xlarge": 0.8064,
    },
    "eu-central-1": {
      controlPlaneHour: 0.1,
      gp3GbMonth: 0.0952,
      logsIngestGb: 0.63,
      "t4g.medium": 0.0384,
      "t4g.large": 0.0768,
      "m7g.xlarge": 0.1955,
      "m7g.2xlarge": 0.391,
      "m7g.4xlarge": 0.782,
      "t3.medium": 0.048,
      "t3.large": 0.096,
      "m7i.xlarge": 0.2415,
      "m7i.2xlarge": 0.483,
      "m7i.4xlarge": 0.966,
    },
    "eu-west-1": {
      controlPlaneHour: 0.1,
      gp3GbMonth: 0.088,
      logsIngestGb: 0.57,
      "t4g.medium": 0.0368,
      "t4g.large": 0.0736,
      "m7g.xlarge": 0.1822,
      "m7g.2xlarge": 0.3644,
      "m7g.4xlarge": 0.7287,
      "t3.medium": 0.0456,
      "t3.large": 0.0912,
      "m7i.xlarge": 0.2247,
      "m7i.2xlarge": 0.4494,
      "m7i.4xlarge": 0.8988,
    },
  },
};

/** Names of cost lines. */
export const LINES = {
  controlPlane: "EKS control plane hours",
  nodes: "system node hours",
  disks: "system node disks",
  logs: "control plane logs",
} as const;

const IAM = { free: "IAM costs nothing" };
const PART = { free: "part of the EKS control plane" };

/** How each AWS resource of the component is paid for. */
export const PRICED: Readonly<Record<string, PricedBy>> = {
  "aws:eks/cluster:Cluster": { lines: [LINES.controlPlane] },
  "aws:eks/nodeGroup:NodeGroup": { lines: [LINES.nodes, LINES.disks] },
  "aws:ec2/launchTemplate:LaunchTemplate": { free: "a description; its nodes are priced" },
  "aws:cloudwatch/logGroup:LogGroup": { lines: [LINES.logs] },
  "aws:eks/addon:Addon": { free: "EKS's own addons cost nothing beside the nodes they run on" },
  "aws:eks/accessEntry:AccessEntry": PART,
  "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": PART,
  "aws:eks/podIdentityAssociation:PodIdentityAssociation": PART,
  "aws:iam/role:Role": IAM,
  "aws:iam/rolePolicy:RolePolicy": IAM,
  "aws:iam/rolePolicyAttachment:RolePolicyAttachment": IAM,
};
