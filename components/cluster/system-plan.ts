import type { Fault } from "../errors.ts";
import { allocatable, DAEMONS, type NodeLoad } from "../kubelet.ts";
import { SYSTEM_PODS, SYSTEM_TYPES, type SystemTypeName } from "./catalog.ts";
import type { ClusterSettings } from "./settings.ts";

/** Pods of a node with prefix delegation, below 30 vCPUs. Source: github.com/aws/amazon-vpc-cni-k8s, docs/prefix-and-ip-target.md. */
const MAX_PODS = 110;
/** Of a machine's memory, what firmware and hypervisor keep: up to 3 % on the listed types. */
const UNSEEN_PERCENT = 3;

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
    const one = allocatable({ ...type, maxPods: MAX_PODS, unseenPercent: UNSEEN_PERCENT });
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
