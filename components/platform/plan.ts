import type { Tier } from "../cost.ts";
import { type PodLoad, sumLoad } from "../system-pods.ts";
import { CONTROLLERS, type ControllerName } from "./catalog.ts";

export interface PlatformNeed {
  /** Nodes of the fleet: with more than one, the loss of one is survived. */
  readonly nodes: number;
  /** Nodes with NVIDIA GPUs are wanted, and of which family; the device plugin is part of Bottlerocket. */
  readonly gpu: "none" | "al2023" | "bottlerocket";
}

export interface PlatformPlan {
  readonly controllers: readonly ControllerName[];
  /** Copies of what may run twice. */
  readonly replicas: 1 | 2;
  readonly devicePlugin: boolean;
  /** What all controllers together ask of the system nodes. */
  readonly load: PodLoad;
}

/** Controllers beside the fleet, and how often each runs. */
export function planPlatform(need: PlatformNeed): PlatformPlan {
  const controllers = Object.keys(CONTROLLERS) as ControllerName[];
  const replicas = need.nodes > 1 ? 2 : 1;
  const load = sumLoad(
    controllers.map((name) => {
      const each = CONTROLLERS[name];
      return [each.podsTwice * replicas + each.podsOnce, each] as const;
    }),
  );
  return {
    controllers,
    replicas,
    devicePlugin: need.gpu === "al2023",
    load,
  };
}

/** Its row of `fleet plan`. What the controllers run on is a line of the cluster's. */
export function tierPlatform(plan: PlatformPlan): Tier {
  return {
    tier: "platform",
    size: `${plan.load.memoryMiB} MiB, ${plan.load.cpuMilli / 1000} cores on system nodes`,
    count: plan.controllers.length,
    why: `${plan.replicas} of each controller`,
    survives:
      plan.replicas > 1
        ? "the loss of one node"
        : "no loss of its node: what runs goes on, changes wait until it is back",
    costs: [],
  };
}
