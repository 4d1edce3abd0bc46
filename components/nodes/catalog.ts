import type { PricedBy, PriceTable } from "../cost.ts";

/**
 * Karpenter at one version: its definitions in a chart of their own, which goes first, and its controller.
 * Source: github.com/aws/karpenter-provider-aws, tag v1.14.1 (2026-08-21), charts/karpenter and
 * charts/karpenter-crd. Minors of Kubernetes: its compatibility table. Checked 2026-11-21.
 */
export const KARPENTER = {
  version: "1.14.1",
  repository: "oci://public.ecr.aws/karpenter",
  crdChart: "karpenter-crd",
  chart: "karpenter",
  kubernetes: ["1.30", "1.31", "1.32", "1.33", "1.34", "1.35", "1.36"],
  /** Where API priority and fairness favours it; its service account is named as the chart does. */
  namespace: "kube-system",
  serviceAccount: "karpenter",
} as const;

/** What two replicas of the controller ask of system nodes, each. */
export const CONTROLLER = {
  requests: { cpu: "500m", memory: "512Mi" },
  limits: { memory: "1Gi" },
} as const;

/** Label of nodes: which of this project's pools made them. */
export const POOL_LABEL = "openclaw-fleet/pool";
/** Taint of nodes that only gateways may use. */
export const GATEWAY_TAINT = "openclaw-fleet/gateways";
/** Taint of nodes with GPUs, as NVIDIA's device plugin tolerates it. */
export const GPU_TAINT = "nvidia.com/gpu";

/** The shortest time that a drained node's pods get: a drain takes up to 10 min, and its stop 330 s. */
export const GRACE_MINUTES_MIN = 30;

export type Architecture = "arm64" | "x86_64";

/** A family of EC2: its sizes have the same memory a core. Price of its `large`, two cores. */
interface Family {
  readonly family: string;
  readonly architecture: Architecture;
  readonly memoryMiBPerCore: number;
}

/** Source: aws.amazon.com/ec2/instance-types. */
export const FAMILIES = [
  { family: "c7g", architecture: "arm64", memoryMiBPerCore: 2_048 },
  { family: "m7g", architecture: "arm64", memoryMiBPerCore: 4_096 },
  { family: "r7g", architecture: "arm64", memoryMiBPerCore: 8_192 },
  { family: "c7i", architecture: "x86_64", memoryMiBPerCore: 2_048 },
  { family: "m7i", architecture: "x86_64", memoryMiBPerCore: 4_096 },
  { family: "r7i", architecture: "x86_64", memoryMiBPerCore: 8_192 },
] as const satisfies readonly Family[];
export type FamilyName = (typeof FAMILIES)[number]["family"];

/**
 * Sizes of these families, with the pods that their interfaces have addresses for.
 * Source: github.com/awslabs/amazon-eks-ami, eni-max-pods.txt. Only Graviton has a `medium`.
 */
export const SIZES = [
  { size: "medium", cores: 1, maxPods: 8, architectures: ["arm64"] },
  { size: "large", cores: 2, maxPods: 29, architectures: ["arm64", "x86_64"] },
  { size: "xlarge", cores: 4, maxPods: 58, architectures: ["arm64", "x86_64"] },
  { size: "2xlarge", cores: 8, maxPods: 58, architectures: ["arm64", "x86_64"] },
  { size: "4xlarge", cores: 16, maxPods: 234, architectures: ["arm64", "x86_64"] },
  { size: "8xlarge", cores: 32, maxPods: 234, architectures: ["arm64", "x86_64"] },
  { size: "12xlarge", cores: 48, maxPods: 234, architectures: ["arm64", "x86_64"] },
  { size: "16xlarge", cores: 64, maxPods: 737, architectures: ["arm64", "x86_64"] },
] as const;

/** Share of a machine's memory that Karpenter counts as the hypervisor's. Source: the chart's vmMemoryOverheadPercent. */
export const UNSEEN_PERCENT = 7.5;

/** Families of GPUs that may be asked for. Source: aws.amazon.com/ec2/instance-types (accelerated computing). */
export const GPU_FAMILIES = ["g4dn", "g5", "g6", "g6e"] as const;
/** vCPUs of the smallest machine with one GPU in any of them (xlarge). */
export const GPU_CORES = 4;

/** Disk of a node before any state: system, images, logs. GiB. */
export const NODE_DISK_GIB = 30;

/** Interruption events and the polls of two controllers, each a long poll of 20 s. Thousands a month. */
export const QUEUE_REQUESTS_K = 270;

export type NodesPrice = FamilyName | "gp3GbMonth" | "queueRequestsK";

/** Of families: US dollars an hour of a core. */
export const NODES_PRICES: PriceTable<NodesPrice> = {
  date: "2026-11-21",
  source:
    "aws.amazon.com/ec2/pricing/on-demand, aws.amazon.com/ebs/pricing, aws.amazon.com/sqs/pricing; from memory, to be checked",
  regions: {
    "us-east-1": {
      c7g: 0.03625,
      m7g: 0.0408,
      r7g: 0.05355,
      c7i: 0.044625,
      m7i: 0.0504,
      r7i: 0.06615,
      gp3GbMonth: 0.08,
      queueRequestsK: 0.0004,
    },
    "eu-central-1": {
      c7g: 0.04125,
      m7g: 0.0489,
      r7g: 0.0644,
      c7i: 0.0509,
      m7i: 0.060375,
      r7i: 0.07965,
      gp3GbMonth: 0.0952,
      queueRequestsK: 0.0004,
    },
    "eu-west-1": {
      c7g: 0.0388,
      m7g: 0.04555,
      r7g: 0.05965,
      c7i: 0.04785,
      m7i: 0.056175,
      r7i: 0.0735,
      gp3GbMonth: 0.088,
      queueRequestsK: 0.0004,
    },
  },
};

/** Names of cost lines. */
export const LINES = {
  gateways: "gateway node hours",
  disks: "gateway node disks",
  queue: "interruption queue requests",
} as const;

const IAM = { free: "IAM costs nothing" };
const PART = { free: "part of the EKS control plane" };
const EVENTS = { free: "events of AWS's own services cost nothing" };

/** How each type that the component registers is paid for. */
export const PRICED: Readonly<Record<string, PricedBy>> = {
  "aws:sqs/queue:Queue": { lines: [LINES.queue] },
  "aws:sqs/queuePolicy:QueuePolicy": { free: "part of the queue" },
  "aws:cloudwatch/eventRule:EventRule": EVENTS,
  "aws:cloudwatch/eventTarget:EventTarget": EVENTS,
  "aws:eks/accessEntry:AccessEntry": PART,
  "aws:eks/podIdentityAssociation:PodIdentityAssociation": PART,
  "aws:iam/role:Role": IAM,
  "aws:iam/rolePolicy:RolePolicy": IAM,
  "aws:iam/policy:Policy": IAM,
  "aws:iam/rolePolicyAttachment:RolePolicyAttachment": IAM,
  "aws:iam/instanceProfile:InstanceProfile": IAM,
  "kubernetes:helm.sh/v3:Release": { free: "runs on the system nodes, which the cluster prices" },
  "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass": { free: "a description; its nodes are priced" },
  // Pools of workers and GPUs have no node until a pod asks.
  "kubernetes:karpenter.sh/v1:NodePool": { lines: [LINES.gateways, LINES.disks] },
  "openclaw:kube:Gone": { free: "makes nothing" },
};
