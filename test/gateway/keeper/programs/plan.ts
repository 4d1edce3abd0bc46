import type { RunnerEvent } from "../../../../gateway/shard/types.ts";

/** How the gateway of a test behaves. */
export interface GatewayPlan {
  mode?: "well" | "hopeless" | "ends" | "stubborn";
  bootMs?: number;
}

/** `plan.json` of the node's directory. */
export interface Plan {
  gateway: GatewayPlan;
  /** How far ahead deadlines are set. */
  holdMs: number;
}

/** One line of `events.jsonl`. */
export type Noted =
  | { what: "up"; supervisor: number; epoch: number }
  | { what: "runner"; supervisor: number; epoch: number; event: RunnerEvent };
