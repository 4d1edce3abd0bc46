import type { ShardId } from "../contract.ts";
import { type Draft, dropAsk, dropHold, kill, type Step, setHold } from "./draft.ts";
import { bringHome, endDrain, leaveOf, moveShards } from "./moves.ts";
import { beginRelease, giveBack, isWished, returnUnwished, sendRelease } from "./release.ts";
import { type Hold, type OwnershipState, type Self, TIMING, type Timing } from "./state.ts";
import { takeShards } from "./take.ts";
import type { OwnershipEffect, OwnershipEvent } from "./types.ts";
import { observe } from "./watch.ts";

/** A supervisor that has just started and knows nothing. */
export function initial(self: Self, timing: Timing = TIMING): OwnershipState {
  return {
    self,
    timing,
    now: 0,
    config: { shards: [], bound: {}, revision: "" },
    store: null,
    view: null,
    renewedAt: null,
    leaseWatch: {},
    nodeWatch: {},
    dead: [],
    holds: {},
    asks: {},
    intent: null,
    intentNotBefore: 0,
    stopping: false,
    stopped: false,
  };
}

/** One event in, the next state and what to do out. Never throws, never looks at a clock. */
export function step(
  before: OwnershipState,
  event: OwnershipEvent,
): { state: OwnershipState; effects: OwnershipEffect[] } {
  const state: Draft = { ...before, now: Math.max(before.now, event.now) };
  const step: Step = { state, effects: [] };
  // First of all, so that no answer that comes too late can lengthen a life that was over.
  expire(step);
  apply(step, event);
  expire(step);
  moveShards(step);
  bringHome(step, event.type === "renewed" ? event.sentAt : null);
  returnUnwished(step);
  takeShards(step);
  leaveToExpire(step);
  repeat(step);
  state.asks = answerless(state);
  state.stopped =
    state.stopping &&
    Object.keys(state.holds).length === 0 &&
    !Object.values(state.asks).some((ask) => ask.pending);
  return { state, effects: step.effects };
}

function apply(step: Step, event: OwnershipEvent): void {
  const { state } = step;
  switch (event.type) {
    case "configured":
      configured(state, event);
      return;
    case "view":
      observe(state, event.view, state.now);
      dropStolen(step);
      return;
    case "renewed":
      renewed(step, event);
      return;
    case "acquired":
      acquired(step, event);
      return;
    case "refused":
      refused(step, event.shard);
      return;
    case "node-dead":
      buried(state, event);
      return;
    case "stop":
      state.stopping = true;
      return;
    case "tick":
      return;
    default: {
      const hold = state.holds[event.shard];
      if (hold?.epoch === event.epoch) answered(step, hold, event);
    }
  }
}

function configured(state: Draft, event: Extract<OwnershipEvent, { type: "configured" }>): void {
  const { shards, bound, revision } = event;
  if (revision !== state.config.revision) {
    // New settings may have cured what failed: every node is a good one again.
    const cured = Object.entries(state.holds).map(([shard, hold]) => [
      shard,
      { ...hold, avoid: [], failures: null },
    ]);
    state.holds = Object.fromEntries(cured);
  }
  state.config = { shards, bound, revision };
}

type Answer = Extract<
  OwnershipEvent,
  { type: "cleared" | "serving" | "emptied" | "drained" | "released" | "gave-up" }
>;

function answered(step: Step, hold: Hold, event: Answer): void {
  const { shard, epoch } = event;
  const { phase } = hold;
  switch (event.type) {
    case "cleared":
      // A reason to leave may have come meanwhile; moveShards then kills what was never started.
      if (phase !== "clearing" || leaveOf(step.state, shard, hold)) return;
      setHold(step, shard, { ...hold, phase: "running" });
      step.effects.push({ do: "start", shard, epoch });
      return;
    case "serving":
      if (phase === "running" || phase === "draining")
        setHold(step, shard, { ...hold, served: true, failures: null });
      return;
    case "drained":
      if (phase === "draining") endDrain(step, shard, hold);
      return;
    case "gave-up":
      if (phase === "running" || phase === "draining")
        kill(step, shard, { ...hold, gaveUp: event.reason }, event.reason);
      return;
    case "emptied":
      if (phase !== "releasing") beginRelease(step, shard, hold);
      return;
    case "released":
      if (phase !== "releasing") return;
      dropHold(step, shard);
      settleView(step, shard);
      return;
  }
}

/** What is known of the shard in the store is older than its release: wait for the next view. */
function settleView(step: Step, shard: ShardId): void {
  const { state } = step;
  const until = state.now + state.timing.refusedMs;
  const ask = { storeId: "", until, pending: false, failures: null, weighedPin: null };
  state.asks = { ...state.asks, [shard]: ask };
}

function renewed(step: Step, event: Extract<OwnershipEvent, { type: "renewed" }>): void {
  const { state } = step;
  state.renewedAt = Math.max(state.renewedAt ?? event.sentAt, event.sentAt);
  for (const { shard, epoch } of event.held) {
    const hold = state.holds[shard];
    if (hold?.epoch !== epoch) continue;
    if (event.lost.includes(shard)) {
      lose(step, shard, hold);
    } else if (event.kept.includes(shard)) {
      // From when it was sent: the store may have counted it any time after that.
      const deadline = Math.max(hold.deadline, event.sentAt + state.timing.holdMs);
      setHold(step, shard, { ...hold, deadline });
    }
  }
  observe(state, event.view, state.now);
  dropStolen(step);
}

/** The lease is not ours any more. What still runs under it must end; nothing is left to release. */
function lose(step: Step, shard: ShardId, hold: Hold): void {
  if (hold.phase === "releasing") dropHold(step, shard);
  else if (hold.phase === "killing") setHold(step, shard, { ...hold, lost: true });
  else kill(step, shard, hold, "the lease was lost", true);
}

/** A view can tell of a loss earlier than a renewal. */
function dropStolen(step: Step): void {
  const { self } = step.state;
  for (const [shard, hold] of Object.entries(step.state.holds)) {
    const lease = step.state.view?.leases[shard];
    if (!lease || hold.lost || lease.epoch < hold.epoch) continue;
    const ours = lease.owner === self.node && lease.incarnation === self.incarnation;
    if (lease.epoch > hold.epoch || !ours) lose(step, shard, hold);
  }
}

function acquired(step: Step, event: Extract<OwnershipEvent, { type: "acquired" }>): void {
  const { state } = step;
  const { shard, epoch } = event;
  const { timing, now } = state;
  const ask = state.asks[shard];
  const hold = state.holds[shard];
  if (hold) {
    // The late answer to an older question. The lease has moved on under our own hands: what runs
    // under the older epoch ends, and the newer one is found in the store and taken properly.
    if (epoch > hold.epoch && !hold.lost) lose(step, shard, hold);
    return;
  }
  const deadline = event.sentAt + timing.holdMs;
  if (now >= deadline) return; // too old to start under; it is found in the store
  dropAsk(step, shard);
  const failures = ask?.failures ?? null;
  if (!isWished(state, shard)) {
    giveBack(step, shard, epoch, failures);
    return;
  }
  setHold(step, shard, {
    phase: "clearing",
    epoch,
    deadline,
    lost: false,
    leave: null,
    killed: null,
    gaveUp: null,
    served: false,
    failures,
    avoid: failures?.nodes.filter((node) => node !== state.self.node) ?? [],
    weighedPin: ask?.weighedPin ?? null,
    repeatAt: now + timing.repeatMs,
  });
  step.effects.push({ do: "clear", shard, epoch });
}

function refused(step: Step, shard: ShardId): void {
  const { state } = step;
  const ask = state.asks[shard];
  if (!ask?.pending) return;
  const until = state.now + state.timing.refusedMs;
  state.asks = { ...state.asks, [shard]: { ...ask, pending: false, until } };
}

/** More than enough: entries matter only while a lease or record names them. */
const REMEMBERED_DEAD = 64;

function buried(state: Draft, event: Extract<OwnershipEvent, { type: "node-dead" }>): void {
  const { node, incarnation } = event;
  if (incarnation === state.self.incarnation) return;
  if (state.dead.some((d) => d.node === node && d.incarnation === incarnation)) return;
  state.dead = [...state.dead, { node, incarnation, at: state.now }].slice(-REMEMBERED_DEAD);
}

/** Kills what has outlived its deadline. The keeper does the same without asking. */
function expire(step: Step): void {
  for (const [shard, hold] of Object.entries(step.state.holds)) {
    if (hold.phase === "killing" || hold.phase === "releasing") continue;
    if (step.state.now >= hold.deadline) kill(step, shard, hold, "its deadline passed");
  }
}

/**
 * A node that stops does not stay for a store that is away: nothing runs under its leases any more, and what nobody
 * renews ends by itself.
 */
function leaveToExpire(step: Step): void {
  const { stopping, now, timing, holds } = step.state;
  if (!stopping) return;
  for (const [shard, hold] of Object.entries(holds)) {
    if (hold.phase === "releasing" && now >= hold.deadline + timing.stopMs) dropHold(step, shard);
  }
}

/** Repeats effects whose answer did not come. */
function repeat(step: Step): void {
  const { now, timing } = step.state;
  for (const [shard, hold] of Object.entries(step.state.holds)) {
    if (now < hold.repeatAt) continue;
    const { epoch } = hold;
    if (hold.phase === "clearing") {
      setHold(step, shard, { ...hold, repeatAt: now + timing.repeatMs });
      step.effects.push({ do: "clear", shard, epoch });
    } else if (hold.phase === "stopping") kill(step, shard, hold, "it did not stop in time");
    else if (hold.phase === "killing") kill(step, shard, hold, hold.killed ?? "again");
    else if (hold.phase === "releasing") sendRelease(step, shard);
  }
}

/** Acquisitions whose answer will not come any more. They are kept: see `Ask`. */
function answerless(state: OwnershipState): OwnershipState["asks"] {
  const late = Object.entries(state.asks).filter(([, a]) => a.pending && state.now >= a.until);
  if (late.length === 0) return state.asks;
  const settled = late.map(([shard, ask]) => [shard, { ...ask, pending: false }] as const);
  return { ...state.asks, ...Object.fromEntries(settled) };
}
