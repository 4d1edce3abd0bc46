import { type Architecture, GATEWAY_TAINT, GPU_CORES, GPU_TAINT, POOL_LABEL } from "./catalog.ts";
import type { Machine } from "./machines.ts";
import type { GpuSettings, KarpenterSettings } from "./settings.ts";

export type PoolName = "gateways" | "workers" | "gpu";

interface Requirement {
  readonly key: string;
  readonly operator: "In" | "NotIn" | "Gt" | "Lt" | "Exists";
  readonly values: readonly string[];
}

interface Budget {
  readonly nodes: string;
  readonly schedule?: string;
  readonly duration?: string;
  readonly reasons?: readonly ("Underutilized" | "Empty" | "Drifted")[];
}

/** A `karpenter.sh/v1` NodePool, and what its nodes are made of. */
export interface PoolPlan {
  readonly pool: PoolName;
  /** Name of the NodePool and of its EC2NodeClass. */
  readonly name: string;
  /** Disk of a node, GiB. */
  readonly diskGiB: number;
  readonly requirements: readonly Requirement[];
  readonly taints: readonly {
    readonly key: string;
    readonly value: string;
    readonly effect: string;
  }[];
  /** `Never`, or how old a node gets. */
  readonly expireAfter: string;
  /** Longest drain in minutes; it overrides `karpenter.sh/do-not-disrupt`. */
  readonly graceMinutes: number;
  readonly consolidationPolicy: "WhenEmpty" | "WhenEmptyOrUnderutilized";
  readonly consolidateAfter: string;
  readonly budgets: readonly Budget[];
  readonly limits: Readonly<Record<string, string>>;
}

const ARCH: Record<Architecture, string> = { arm64: "arm64", x86_64: "amd64" };
/** Age at which a node is replaced, with a new image if there is one. */
const TWO_WEEKS = "336h";
/** Every further node of the pool is replaced at this pace. */
const ONE = "1";

function requirement(
  key: string,
  operator: Requirement["operator"],
  ...values: string[]
): Requirement {
  return { key, operator, values };
}

function machineRequirements(architecture: Architecture, spot: boolean): Requirement[] {
  return [
    requirement("kubernetes.io/os", "In", "linux"),
    requirement("kubernetes.io/arch", "In", ARCH[architecture]),
    // With both, Karpenter takes spot while there is any.
    requirement(
      "karpenter.sh/capacity-type",
      "In",
      ...(spot ? ["spot", "on-demand"] : ["on-demand"]),
    ),
  ];
}

/**
 * On demand and never too old: a gateway moves when a person or a release says so. Nodes go when they are
 * empty; those with an old image are replaced one at a time, in the window.
 */
export function gatewayPool(args: {
  readonly name: string;
  readonly architecture: Architecture;
  readonly machine: Machine;
  readonly cores: number;
  readonly count: number;
  readonly diskGiB: number;
  readonly settings: KarpenterSettings["gateways"];
}): PoolPlan {
  const { name, architecture, machine, cores, count, diskGiB, settings } = args;
  // All of them may be replaced side by side by hand, and one more may stand ready.
  const most = 2 * count + 1;
  return {
    pool: "gateways",
    name,
    diskGiB,
    requirements: [
      ...machineRequirements(architecture, false),
      requirement("karpenter.k8s.aws/instance-category", "In", "c", "m", "r"),
      requirement("karpenter.k8s.aws/instance-generation", "Gt", "6"),
      requirement("karpenter.k8s.aws/instance-cpu", "Gt", String(Math.ceil(cores) - 1)),
    ],
    taints: [{ key: GATEWAY_TAINT, value: "true", effect: "NoSchedule" }],
    expireAfter: "Never",
    graceMinutes: settings.graceMinutes,
    consolidationPolicy: "WhenEmpty",
    consolidateAfter: "5m",
    budgets: budgets(settings.window),
    // Not memory: where the cheapest machine is sold out, another has more of it.
    limits: { cpu: String(most * machine.cores) },
  };
}

/**
 * One node at a time, and outside of the window none that is not empty. A budget holds *from* its
 * schedule *for* its duration, so the closed hours are written, not the open ones.
 */
function budgets({ startHourUtc, hours }: { startHourUtc: number; hours: number }): Budget[] {
  const always: Budget = { nodes: ONE };
  if (hours === 24) return [always];
  return [
    always,
    {
      nodes: "0",
      schedule: `0 ${(startHourUtc + hours) % 24} * * *`,
      duration: `${24 - hours}h`,
      reasons: ["Drifted", "Underutilized"],
    },
  ];
}

/** Spot first, for what can be started anew elsewhere. */
export function workerPool(args: {
  readonly name: string;
  readonly architecture: Architecture;
  readonly diskGiB: number;
  readonly settings: KarpenterSettings["workers"];
}): PoolPlan {
  const { name, architecture, diskGiB, settings } = args;
  return {
    pool: "workers",
    name,
    diskGiB,
    requirements: [
      ...machineRequirements(architecture, settings.spot),
      requirement("karpenter.k8s.aws/instance-category", "In", "c", "m", "r"),
      requirement("karpenter.k8s.aws/instance-generation", "Gt", "5"),
    ],
    taints: [],
    expireAfter: TWO_WEEKS,
    graceMinutes: 30,
    consolidationPolicy: "WhenEmptyOrUnderutilized",
    consolidateAfter: "2m",
    budgets: [{ nodes: "20%" }],
    limits: { cpu: String(settings.cpuLimit) },
  };
}

/** Nodes with GPUs, only for pods that ask for one, gone a minute after the last. */
export function gpuPool(args: { readonly name: string; readonly settings: GpuSettings }): PoolPlan {
  const { name, settings } = args;
  return {
    pool: "gpu",
    name,
    diskGiB: settings.diskGiB,
    requirements: [
      ...machineRequirements("x86_64", settings.spot),
      requirement("karpenter.k8s.aws/instance-family", "In", ...new Set(settings.families)),
      // The limit is looked at before a node is made: one large machine would pass far beyond it.
      requirement("karpenter.k8s.aws/instance-gpu-count", "Lt", String(settings.limit + 1)),
    ],
    taints: [{ key: GPU_TAINT, value: "true", effect: "NoSchedule" }],
    expireAfter: TWO_WEEKS,
    graceMinutes: 30,
    consolidationPolicy: "WhenEmpty",
    consolidateAfter: "60s",
    budgets: [{ nodes: "100%" }],
    limits: { [GPU_TAINT]: String(settings.limit) },
  };
}

/** vCPUs of the smallest machines that reach a GPU limit. */
export const gpuCores = ({ limit }: GpuSettings): number => limit * GPU_CORES;

/** A NodePool as Kubernetes takes it. */
export function nodePoolSpec(pool: PoolPlan): Record<string, unknown> {
  return {
    template: {
      metadata: { labels: { [POOL_LABEL]: pool.pool } },
      spec: {
        nodeClassRef: { group: "karpenter.k8s.aws", kind: "EC2NodeClass", name: pool.name },
        requirements: pool.requirements,
        taints: pool.taints,
        expireAfter: pool.expireAfter,
        terminationGracePeriod: `${pool.graceMinutes}m`,
      },
    },
    disruption: {
      consolidationPolicy: pool.consolidationPolicy,
      consolidateAfter: pool.consolidateAfter,
      budgets: pool.budgets,
    },
    limits: pool.limits,
  };
}
