import type { ShardId } from "../contract.ts";
import type { Hold, OwnershipState } from "./state.ts";
import type { OwnershipEffect } from "./types.ts";

/** The state while one step works on it: top-level fields may be replaced, what they hold may not. */
export type Draft = { -readonly [K in keyof OwnershipState]: OwnershipState[K] };

/** A step in progress. */
export interface Step {
  readonly state: Draft;
  readonly effects: OwnershipEffect[];
}

export function setHold(step: Step, shard: ShardId, hold: Hold): void {
  step.state.holds = { ...step.state.holds, [shard]: hold };
}

export function dropHold(step: Step, shard: ShardId): void {
  const { [shard]: _gone, ...rest } = step.state.holds;
  step.state.holds = rest;
}

export function dropAsk(step: Step, shard: ShardId): void {
  const { [shard]: _gone, ...rest } = step.state.asks;
  step.state.asks = rest;
}

/** Ends the epoch by force. From here on it can only become empty. */
export function kill(step: Step, shard: ShardId, hold: Hold, why: string, lost = hold.lost): void {
  const { now, timing } = step.state;
  const killed = hold.killed ?? why;
  setHold(step, shard, {
    ...hold,
    phase: "killing",
    killed,
    lost,
    repeatAt: now + timing.repeatMs,
  });
  step.effects.push({ do: "kill", shard, epoch: hold.epoch, why: killed });
}
