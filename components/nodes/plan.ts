import { type CostLine, HOURS_A_MONTH, pricesOf, type Tier } from "../cost.ts";
import { ConfigError, type Fault } from "../errors.ts";
import type { NodeLoad } from "../kubelet.ts";
import {
  type Architecture,
  KARPENTER,
  LINES,
  NODE_DISK_GIB,
  NODES_PRICES,
  QUEUE_REQUESTS_K,
} from "./catalog.ts";
import { type Machine, machineFor, machines } from "./machines.ts";
import { gatewayPool, gpuCores, gpuPool, type PoolPlan, workerPool } from "./pools.ts";
import type { GpuSettings, KarpenterSettings } from "./settings.ts";

/** What the nodes' plan is made of. */
export interface NodesNeed {
  /** The stack's name. */
  readonly fleet: string;
  readonly karpenter: KarpenterSettings;
  /** Left out: no GPUs. */
  readonly gpu?: GpuSettings;
  /** Of the cluster's plan. */
  readonly cluster: {
    readonly clusterName: string;
    readonly adopted: boolean;
    readonly version: string;
    readonly amiAlias: string;
    readonly os: "al2023" | "bottlerocket";
    readonly architecture: Architecture;
    readonly zonalShift: boolean;
  };
  /** One pod of the fleet, and how many there are: the fleet plan's nodes. */
  readonly gateways: {
    readonly count: number;
    readonly cores: number;
    readonly memoryMiB: number;
    /** State of all shards of one node, MiB. */
    readonly diskMiB: number;
  };
  /** The VPC has no way to AWS's price list. @default false */
  readonly isolated?: boolean;
}

export interface QuotaNeed {
  readonly service: string;
  readonly code: string;
  readonly name: string;
  readonly need: number;
}

export interface NodesPlan {
  readonly clusterName: string;
  readonly adopted: boolean;
  /** False: the adopted cluster runs Karpenter already. */
  readonly install: boolean;
  readonly amiAlias: string;
  /** Disks of a node beside the one that pools size: device to GiB. */
  readonly systemDisks: Readonly<Record<string, number>>;
  /** The device that pools size. */
  readonly dataDevice: string;
  readonly zonalShift: boolean;
  readonly isolated: boolean;
  readonly pools: readonly PoolPlan[];
  readonly gateways: {
    readonly count: number;
    /** What the pool's cheapest machine for a gateway is, as priced. */
    readonly machine: Machine;
    readonly diskGiB: number;
    /** What the fleet's pods should ask for, so that one fills one such machine. */
    readonly pod: NodeLoad;
    /** The number that decided. */
    readonly why: string;
  };
  readonly workers: { readonly cpuLimit: number };
  readonly gpu: { readonly limit: number; readonly families: readonly string[] } | null;
  readonly quotas: readonly QuotaNeed[];
  readonly notes: readonly string[];
}

/** Room for a second copy while a shard is restored beside what it had. */
const STATE_COPIES = 2;

/** Makes Karpenter's pools of a fleet's plan. Pure. Throws ConfigError with everything that cannot be. */
export function planNodes(need: NodesNeed): NodesPlan {
  const { karpenter, gpu, cluster, gateways } = need;
  const faults: Fault[] = [];
  const machine = machineFor(cluster.architecture, gateways);
  if (!machine) faults.push(tooLarge(need));
  if (!karpenter.install && !cluster.adopted) {
    faults.push({
      setting: "karpenter.install",
      problem: "is false, and the cluster is this stack's own: nothing would make nodes",
      remedy: "Leave it out, or set cluster.adopt",
    });
  }
  if (!(KARPENTER.kubernetes as readonly string[]).includes(cluster.version)) {
    faults.push({
      setting: "cluster.version",
      problem: `is ${cluster.version}, and Karpenter ${KARPENTER.version} supports ${KARPENTER.kubernetes[0]} to ${KARPENTER.kubernetes.at(-1)}`,
      remedy: "Choose one of them",
    });
  }
  if (faults.length > 0 || !machine) throw new ConfigError(faults);

  // Pools are of the whole cluster: in one that is not ours they must not meet others of that name.
  const named = (name: string) => (cluster.adopted ? `${need.fleet}-${name}` : name);
  const stateGiB = Math.ceil((STATE_COPIES * gateways.diskMiB) / 1024);
  const diskGiB = karpenter.gateways.diskGiB ?? NODE_DISK_GIB + stateGiB;
  const { architecture } = cluster;
  const bottlerocket = cluster.os === "bottlerocket";
  return {
    clusterName: cluster.clusterName,
    adopted: cluster.adopted,
    install: karpenter.install,
    amiAlias: cluster.amiAlias,
    systemDisks: bottlerocket ? { "/dev/xvda": 4 } : {},
    dataDevice: bottlerocket ? "/dev/xvdb" : "/dev/xvda",
    zonalShift: cluster.zonalShift,
    isolated: need.isolated ?? false,
    pools: [
      gatewayPool({
        name: named("gateways"),
        architecture,
        machine,
        cores: gateways.cores,
        count: gateways.count,
        diskGiB,
        settings: karpenter.gateways,
      }),
      workerPool({
        name: named("workers"),
        architecture,
        diskGiB: NODE_DISK_GIB,
        settings: karpenter.workers,
      }),
      ...(gpu ? [gpuPool({ name: named("gpu"), settings: gpu })] : []),
    ],
    gateways: {
      count: gateways.count,
      machine,
      diskGiB,
      pod: { cpuMilli: machine.pod.cpuMilli, memoryMiB: gateways.memoryMiB },
      why: `${gateways.cores} cores and ${gateways.memoryMiB} MiB a fleet node, beside kubelet and daemons`,
    },
    workers: { cpuLimit: karpenter.workers.cpuLimit },
    gpu: gpu ? { limit: gpu.limit, families: gpu.families } : null,
    quotas: quotasOf(machine, gateways.count, gpu),
    notes: notesOf(need),
  };
}

/** Rows of `fleet plan`. Costs are empty where the region has no prices. */
export function tierNodes(plan: NodesPlan, region: string): Tier[] {
  const prices = pricesOf(NODES_PRICES, region);
  const { count, machine, diskGiB, why } = plan.gateways;
  const costs: CostLine[] = prices
    ? [
        {
          what: LINES.gateways,
          quantity: count * HOURS_A_MONTH,
          unit: "h",
          priceUsd: machine.cores * prices[machine.family],
        },
        {
          what: LINES.disks,
          quantity: count * diskGiB,
          unit: "GB-month",
          priceUsd: prices.gp3GbMonth,
        },
        ...(plan.install
          ? [
              {
                what: LINES.queue,
                quantity: QUEUE_REQUESTS_K,
                unit: "thousand requests",
                priceUsd: prices.queueRequestsK,
              },
            ]
          : []),
      ]
    : [];
  const gpu: Tier[] = plan.gpu
    ? [
        {
          tier: "gpu",
          size: plan.gpu.families.join(" or "),
          count: 0,
          why: `none until a pod asks; gpu.limit is ${plan.gpu.limit}, and each hour of one is paid`,
          survives: "a spot machine that is taken back: its pod starts on another",
          costs: [],
        },
      ]
    : [];
  return [
    {
      tier: "gateways",
      size: machine.type,
      count,
      why,
      survives:
        count > 1
          ? "the loss of one node: the others take its shards, and Karpenter makes a new one"
          : "nothing: until Karpenter has made another node the service stands still",
      costs,
    },
    {
      tier: "workers",
      size: "c, m or r, as pods ask",
      count: 0,
      why: `none until something asks; karpenter.workers.cpuLimit is ${plan.workers.cpuLimit} vCPUs, and each hour of one is paid`,
      survives: "a spot machine that is taken back: its pods start on another",
      costs: [],
    },
    ...gpu,
  ];
}

function tooLarge({ cluster, gateways }: NodesNeed): Fault {
  const largest = machines(cluster.architecture).reduce((a, b) =>
    b.cores > a.cores || (b.cores === a.cores && b.memoryMiB > a.memoryMiB) ? b : a,
  );
  return {
    setting: "nodes",
    problem: `is ${gateways.count}, so that one must hold ${gateways.cores} cores and ${gateways.memoryMiB} MiB, and the largest listed machine, ${largest.type}, leaves ${largest.cores} and ${largest.pod.memoryMiB} to it`,
    remedy: "Raise nodes, or lower users, shards or sizes",
  };
}

/** Preflight asks for the fleet itself; workers and GPUs must at least be able to begin. */
function quotasOf(machine: Machine, count: number, gpu: GpuSettings | undefined): QuotaNeed[] {
  const standard = {
    service: "ec2",
    code: "L-1216C47A",
    name: "vCPUs of running on-demand standard instances",
    // One more while a node is replaced.
    need: (count + 1) * machine.cores,
  };
  if (!gpu) return [standard];
  const g = gpu.spot
    ? { code: "L-3819A6DF", name: "vCPUs of G and VT spot requests" }
    : { code: "L-DB2E81BA", name: "vCPUs of running on-demand G and VT instances" };
  return [standard, { service: "ec2", ...g, need: gpuCores(gpu) }];
}

function notesOf({ karpenter, gpu, cluster }: NodesNeed): string[] {
  const notes = [
    `a gateway's node is drained for at most ${karpenter.gateways.graceMinutes} min; then its pods are killed, do-not-disrupt or not`,
  ];
  if (gpu && cluster.os === "al2023") {
    notes.push("AL2023's GPU nodes need NVIDIA's device plugin, which the platform installs");
  }
  if (!karpenter.install) {
    notes.push(
      `Karpenter of ${cluster.clusterName} is used as it is: its controller must be allowed to pass the fleet's node role`,
    );
  }
  return notes;
}
