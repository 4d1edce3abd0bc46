import type { Fault } from "../errors.ts";
import { DAEMONS, SYSTEM_PODS, SYSTEM_TYPES, type SystemTypeName } from "./catalog.ts";
import type { ClusterSettings } from "./settings.ts";

/** Requests of pods. */
export interface NodeLoad {
  readonly cpuMilli: number;
  readonly memoryMiB: number;
}

/** The nodes of the cluster's own pods. */
export interface SystemNodes {
  readonly type: SystemTypeName;
  readonly cores: number;
  /** One a zone: pods of a pair never share a node, and one node may be away. */
  readonly count: number;
  /** The number that decided. */
  readonly why: string;
}

/** The smallest type of which all nodes but one hold the pods. Adds a fault when none does. */
export function planSystemNodes(
  { architecture, systemNodes }: ClusterSettings,
  zones: number,
  further: NodeLoad = { cpuMilli: 0, memoryMiB: 0 },
  faults: Fault[],
): SystemNodes | null {
  const count = Math.max(2, zones);
  const load = {
    cpuMilli: SYSTEM_PODS.cpuMilli + further.cpuMilli,
    memoryMiB: SYSTEM_PODS.memoryMiB + further.memoryMiB,
  };
  const holds = (type: { cores: number; memoryMiB: number }) => {
    const one = allocatable(type);
    return (
      (count - 1) * (one.cpuMilli - DAEMONS.cpuMilli) >= load.cpuMilli &&
      (count - 1) * (one.memoryMiB - DAEMONS.memoryMiB) >= load.memoryMiB
    );
  };
  const sum = `${load.cpuMilli} mCPU and ${load.memoryMiB} MiB of cluster pods`;
  const set = SYSTEM_TYPES.find(({ type }) => type === systemNodes.instanceType);
  if (set && set.architecture !== architecture) {
    faults.push({
      setting: "cluster.systemNodes.instanceType",
      problem: `is ${set.type}, whose processor is ${set.architecture}, and cluster.architecture is ${architecture}`,
      remedy: `Choose one of ${named(architecture)}, or set cluster.architecture to ${set.architecture}`,
    });
    return null;
  }
  if (set && !holds(set)) {
    faults.push({
      setting: "cluster.systemNodes.instanceType",
      problem: `is ${set.type}, and ${count - 1} of them (one may be away) do not hold ${sum}`,
      remedy: "Choose a larger one, or leave it out",
    });
    return null;
  }
  const type = set ?? SYSTEM_TYPES.find((t) => t.architecture === architecture && holds(t));
  if (!type) {
    faults.push({
      setting: "cluster.systemNodes",
      problem: `no listed type holds ${sum} on ${count - 1} nodes (one may be away)`,
      remedy: "Ask for less monitoring, or add a larger type to the catalog",
    });
    return null;
  }
  return {
    type: type.type,
    cores: type.cores,
    count,
    why: set ? "cluster.systemNodes.instanceType" : `${sum}, on ${count - 1} of ${count} nodes`,
  };
}

function named(architecture: string): string {
  return SYSTEM_TYPES.filter((t) => t.architecture === architecture)
    .map((t) => t.type)
    .join(", ");
}

/** Pods of a node with prefix delegation, below 30 vCPUs. Source: github.com/aws/amazon-vpc-cni-k8s, docs/prefix-and-ip-target.md. */
const MAX_PODS = 110;

/**
 * What kubelet leaves to pods: memory less 255 MiB, 11 MiB a pod and 100 MiB before eviction; cores less
 * 6 % of the first, 1 % of the second, 0.5 % of the next two, 0.25 % of the rest.
 * Source: github.com/awslabs/amazon-eks-ami, nodeadm's defaults. Of a machine's memory about 3 % never
 * reaches Linux.
 */
export function allocatable(type: {
  readonly cores: number;
  readonly memoryMiB: number;
}): NodeLoad {
  const reserved = [60, 10, 5, 5];
  let cpu = type.cores * 1000;
  for (let core = 0; core < type.cores; core += 1) cpu -= reserved[core] ?? 2.5;
  return {
    cpuMilli: Math.floor(cpu),
    memoryMiB: Math.floor(type.memoryMiB * 0.97) - 255 - 11 * MAX_PODS - 100,
  };
}
