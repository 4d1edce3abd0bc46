import type { NodeId, ShardId } from "../contract.ts";
import { dropAsk, dropHold, type Step, setHold } from "./draft.ts";
import { addFailure, type FailureRecord, failureReason } from "./failure.ts";
import type { Hold, OwnershipState } from "./state.ts";
import { eligibleNodes, failuresOf, orderFor } from "./take.ts";
import { isOwnLease } from "./watch.ts";

/**
 * The cage is empty: give the lease up, unless it is somebody else's already. It is also given up
 * when the deadline has passed: the store compares, so it can do no harm, and the others need not
 * wait for a TTL.
 */
export function beginRelease(step: Step, shard: ShardId, hold: Hold): void {
  if (hold.lost) {
    dropHold(step, shard);
    return;
  }
  setHold(step, shard, { ...hold, phase: "releasing" });
  sendRelease(step, shard);
}

/** Sends the release (again). The heir is chosen at this moment. */
export function sendRelease(step: Step, shard: ShardId): void {
  const { state } = step;
  const hold = state.holds[shard];
  if (!hold) return;
  setHold(step, shard, { ...hold, repeatAt: state.now + state.timing.repeatMs });
  const handTo = heirOf(state, shard, hold);
  const reason = reasonOf(state, shard, hold);
  step.effects.push({ do: "release", shard, epoch: hold.epoch, handTo, reason });
}

function heirOf(state: OwnershipState, shard: ShardId, hold: Hold): NodeId | null {
  if (!hold.leave || hold.gaveUp !== null) return null;
  const { to, why } = hold.leave;
  if (to !== null && eligibleNodes(state).includes(to)) return to;
  return why === "stop" || why === "maintenance" ? bestOther(state, shard, hold.avoid) : null;
}

/** The best other node for the shard, if any can take it. */
export function bestOther(
  state: OwnershipState,
  shard: ShardId,
  avoid: readonly NodeId[],
): NodeId | null {
  const others = orderFor(state, shard).filter((node) => node !== state.self.node);
  return others.find((node) => !avoid.includes(node)) ?? null;
}

function reasonOf(state: OwnershipState, shard: ShardId, hold: Hold): string {
  const failures = failuresAfter(state, shard, hold);
  if (failures) return failureReason(failures);
  return hold.leave?.why ?? `ended: ${hold.killed ?? "stopped by itself"}`;
}

/** What the next owner must know of failures: an epoch that never served has disproved none. */
function failuresAfter(state: OwnershipState, shard: ShardId, hold: Hold): FailureRecord | null {
  const before = hold.served ? null : hold.failures;
  return hold.gaveUp === null ? before : failureHere(state, shard, before, hold.gaveUp);
}

/** The record after this node could not run the shard either. */
function failureHere(
  state: OwnershipState,
  shard: ShardId,
  before: FailureRecord | null,
  why: string,
): FailureRecord {
  const pin = state.view?.pins[shard] ?? null;
  const { revision } = state.config;
  return addFailure(before, { node: state.self.node, revision, pin, why });
}

/**
 * With which reason to give back a lease under which nothing could be begun on this machine, so that the others go
 * first. Null: nobody else could take it; then it is tried again here.
 */
export function refusalOf(state: OwnershipState, shard: ShardId, why: string): string | null {
  if (bestOther(state, shard, []) === null) return null;
  const before = failuresOf(state, shard) ?? state.asks[shard]?.failures ?? null;
  return failureReason(failureHere(state, shard, before, why));
}

/** Gives back what an acquisition with a lost answer brought, when it is no longer wished. */
export function returnUnwished(step: Step): void {
  const { state } = step;
  for (const [shard, ask] of Object.entries(state.asks)) {
    const lease = state.view?.leases[shard];
    if (!lease || !isOwnLease(state, lease) || ask.storeId !== state.store?.id) continue;
    if (state.now < ask.until || state.holds[shard] || isWished(state, shard)) continue;
    dropAsk(step, shard);
    giveBack(step, shard, lease.epoch, ask.failures);
  }
}

/** This node would run the shard if it had it. */
export function isWished(state: OwnershipState, shard: ShardId): boolean {
  if (state.stopping || !state.config.shards.includes(shard)) return false;
  return state.view?.maintenance[state.self.node] === undefined;
}

/** Releases an epoch under which nothing was started. */
export function giveBack(
  step: Step,
  shard: ShardId,
  epoch: number,
  failures: FailureRecord | null,
): void {
  beginRelease(step, shard, {
    phase: "releasing",
    epoch,
    deadline: step.state.now,
    lost: false,
    leave: null,
    killed: "not needed",
    gaveUp: null,
    served: false,
    failures,
    avoid: [],
    weighedPin: null,
    repeatAt: step.state.now,
  });
}
