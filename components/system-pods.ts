/** Requests of pods. */
export interface PodLoad {
  readonly cpuMilli: number;
  readonly memoryMiB: number;
}

/** Lets pods onto nodes that take nothing else: those of the cluster's own group. */
export const SYSTEM_TOLERATIONS = [{ key: "CriticalAddonsOnly", operator: "Exists" }] as const;

/** System nodes are preferred, since nothing takes them away; any other will do. */
export const SYSTEM_FIRST = {
  nodeAffinity: {
    preferredDuringSchedulingIgnoredDuringExecution: [
      {
        weight: 100,
        preference: {
          // EKS writes this label on nodes of managed node groups.
          matchExpressions: [{ key: "eks.amazonaws.com/nodegroup", operator: "Exists" }],
        },
      },
    ],
  },
} as const;

/** Both, as most charts take them. */
export const ON_SYSTEM_NODES = { tolerations: SYSTEM_TOLERATIONS, affinity: SYSTEM_FIRST } as const;

/** What a pod asks for, and what memory it may take at most, as its factor. */
export function podResources({ cpuMilli, memoryMiB }: PodLoad, factor = 2) {
  return {
    requests: { cpu: `${cpuMilli}m`, memory: `${memoryMiB}Mi` },
    limits: { memory: `${memoryMiB * factor}Mi` },
  };
}

/** What so many pods ask for together. */
export function sumLoad(pods: readonly (readonly [number, PodLoad])[]): PodLoad {
  return pods.reduce<PodLoad>(
    (sum, [count, each]) => ({
      cpuMilli: sum.cpuMilli + count * each.cpuMilli,
      memoryMiB: sum.memoryMiB + count * each.memoryMiB,
    }),
    { cpuMilli: 0, memoryMiB: 0 },
  );
}
