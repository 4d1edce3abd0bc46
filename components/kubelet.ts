/** Requests of pods, or what a node has for them. */
export interface NodeLoad {
  readonly cpuMilli: number;
  readonly memoryMiB: number;
}

/** Daemons on every node: CNI, kube-proxy, identity agent, EBS driver, log and metric collectors. */
export const DAEMONS: NodeLoad = { cpuMilli: 300, memoryMiB: 400 };

/** Kept from the first cores, thousandths each; 2.5 from every further one. */
const CORE_RESERVE = [60, 10, 5, 5];
const EVICTION_MIB = 100;

/**
 * What kubelet leaves to pods: cores less 6 % of the first, 1 % of the second, 0.5 % of the next two and
 * 0.25 % of the rest; memory less 255 MiB, 11 MiB for each pod that may run, and 100 MiB before eviction.
 * `unseenPercent` of the memory never reaches Linux.
 * Source: github.com/awslabs/amazon-eks-ami, nodeadm's defaults; checked 2026-11-21.
 */
export function allocatable(machine: {
  readonly cores: number;
  readonly memoryMiB: number;
  readonly maxPods: number;
  readonly unseenPercent: number;
}): NodeLoad {
  const { cores, memoryMiB, maxPods, unseenPercent } = machine;
  let cpu = cores * 1000;
  for (let core = 0; core < cores; core += 1) cpu -= CORE_RESERVE[core] ?? 2.5;
  const seen = Math.floor(memoryMiB * (1 - unseenPercent / 100));
  return { cpuMilli: Math.floor(cpu), memoryMiB: seen - 255 - 11 * maxPods - EVICTION_MIB };
}
