import type { Fault } from "../errors.ts";
import { allocatable, DAEMONS, type NodeLoad } from "../kubelet.ts";
import { CLUSTER_PRICES, SYSTEM_PODS, SYSTEM_TYPES, type SystemTypeName } from "./catalog.ts";
import type { ClusterSettings } from "./settings.ts";

/** Pods of a node with prefix delegation, below 30 vCPUs. Source: github.com/aws/amazon-vpc-cni-k8s, docs/prefix-and-ip-target.md. */
const MAX_PODS = 110;
/** Of a machine's memory, what firmware and hypervisor keep: up to 3 % on the listed types. */
const UNSEEN_PERCENT = 3;

/** The nodes of the cluster's own pods. */
export interface SystemNodes {
  readonly type: SystemTypeName;
  readonly cores: number;
  /** At least one a zone and two: pods of a pair never share a node, and one node may be away. */
  readonly count: number;
  /** The number that decided. */
  readonly why: string;
}

/** More small nodes than this would only be more to replace. */
const MOST = 5;

/**
 * The cheapest nodes of one type of which all but one hold the pods; a set type in as many as it takes.
 * Adds a fault when none does.
 */
export function planSystemNodes(
  { architecture, systemNodes }: ClusterSettings,
  zones: number,
  further: NodeLoad = { cpuMilli: 0, memoryMiB: 0 },
  faults: Fault[],
): SystemNodes | null {
  const load = {
    cpuMilli: SYSTEM_PODS.cpuMilli + further.cpuMilli,
    memoryMiB: SYSTEM_PODS.memoryMiB + further.memoryMiB,
  };
  const sum = `${load.cpuMilli} mCPU and ${load.memoryMiB} MiB of cluster pods`;
  const set = SYSTEM_TYPES.find(({ type }) => type === systemNodes.instanceType);
  const setting = set ? "cluster.systemNodes.instanceType" : "cluster.systemNodes";
  if (set && set.architecture !== architecture) {
    faults.push({
      setting,
      problem: `is ${set.type}, whose processor is ${set.architecture}, and cluster.architecture is ${architecture}`,
      remedy: `Choose one of ${named(architecture)}, or set cluster.architecture to ${set.architecture}`,
    });
    return null;
  }
  const types = set ? [set] : SYSTEM_TYPES.filter((t) => t.architecture === architecture);
  const fitting = types
    .map((type) => ({ ...type, count: countOf(type, load, zones) }))
    .filter(({ count }) => count <= MOST)
    .sort((a, b) => hourUsd(a) - hourUsd(b) || a.count - b.count);
  const [best] = fitting;
  if (!best) {
    faults.push({
      setting,
      problem: set
        ? `is ${set.type}, and ${MOST - 1} of them (one more may be away) do not hold ${sum}`
        : `cannot be planned: no listed type holds ${sum} on ${MOST - 1} nodes (one more may be away)`,
      remedy: set
        ? "Choose a larger one, or leave it out"
        : "Ask for less monitoring, or add a larger type to the catalog",
    });
    return null;
  }
  const { type, cores, count } = best;
  return { type, cores, count, why: `${sum}, on ${count - 1} of ${count} nodes` };
}

/** Nodes of a type that hold the pods with one of them away. */
function countOf(
  type: { readonly cores: number; readonly memoryMiB: number },
  load: NodeLoad,
  zones: number,
): number {
  const one = allocatable({ ...type, maxPods: MAX_PODS, unseenPercent: UNSEEN_PERCENT });
  const nodes = Math.max(
    load.cpuMilli / (one.cpuMilli - DAEMONS.cpuMilli),
    load.memoryMiB / (one.memoryMiB - DAEMONS.memoryMiB),
  );
  return Math.max(2, zones, Math.ceil(nodes) + 1);
}

/** By one region's prices, so that the same cluster gets the same nodes everywhere. */
function hourUsd({ type, count }: { type: SystemTypeName; count: number }): number {
  return count * CLUSTER_PRICES.regions["us-east-1"][type];
}

function named(architecture: string): string {
  return SYSTEM_TYPES.filter((t) => t.architecture === architecture)
    .map((t) => t.type)
    .join(", ");
}
