import { allocatable, DAEMONS, type NodeLoad } from "../kubelet.ts";
import {
  type Architecture,
  FAMILIES,
  type FamilyName,
  NODES_PRICES,
  SIZES,
  UNSEEN_PERCENT,
} from "./catalog.ts";

/** One EC2 type that a gateway may run on. */
export interface Machine {
  /** `m7g.large`. */
  readonly type: string;
  readonly family: FamilyName;
  readonly cores: number;
  readonly memoryMiB: number;
  /** What is left to a gateway's pod beside kubelet and the node's daemons. */
  readonly pod: NodeLoad;
}

/** Every listed machine with that processor, cheapest first; of equal price the larger. */
export function machines(architecture: Architecture): Machine[] {
  const all = FAMILIES.filter((f) => f.architecture === architecture).flatMap((family) =>
    SIZES.filter(({ architectures }) =>
      (architectures as readonly string[]).includes(architecture),
    ).map(({ size, cores, maxPods }) => {
      const memoryMiB = cores * family.memoryMiBPerCore;
      const left = allocatable({ cores, memoryMiB, maxPods, unseenPercent: UNSEEN_PERCENT });
      return {
        type: `${family.family}.${size}`,
        family: family.family,
        cores,
        memoryMiB,
        pod: {
          cpuMilli: left.cpuMilli - DAEMONS.cpuMilli,
          memoryMiB: left.memoryMiB - DAEMONS.memoryMiB,
        },
      };
    }),
  );
  return all.sort((a, b) => hourUsd(a) - hourUsd(b) || b.memoryMiB - a.memoryMiB);
}

/** Order is by one region's prices, so that the same fleet gets the same machines everywhere. */
function hourUsd({ family, cores }: Machine): number {
  return cores * NODES_PRICES.regions["us-east-1"][family];
}

/** The cheapest machine that holds a gateway's pod; undefined when none does. */
export function machineFor(
  architecture: Architecture,
  need: { readonly cores: number; readonly memoryMiB: number },
): Machine | undefined {
  return machines(architecture).find(
    (machine) => machine.cores >= need.cores && machine.pod.memoryMiB >= need.memoryMiB,
  );
}
