import type { NodeId, ShardId } from "../contract.ts";
import { kill, type Step, setHold } from "./draft.ts";
import { bestOther } from "./release.ts";
import type { Hold, OwnershipState } from "./state.ts";
import { eligibleNodes, failuresOf, isFailed, orderFor } from "./take.ts";
import type { LeaveWhy } from "./types.ts";
import { isAlive, isConnected } from "./watch.ts";

interface Leave {
  why: LeaveWhy;
  to: NodeId | null;
}

/** Why the shard should leave this node now; null: it stays. Homecomings are begun elsewhere. */
export function leaveOf(
  state: OwnershipState,
  shard: ShardId,
  hold: Hold,
  eligible = eligibleNodes(state),
): Leave | null {
  const { self, view, config } = state;
  if (!config.shards.includes(shard)) return { why: "removed", to: null };
  if (state.stopping) return { why: "stop", to: bestOther(state, shard, hold.avoid) };
  if (view?.maintenance[self.node] !== undefined) {
    return { why: "maintenance", to: bestOther(state, shard, hold.avoid) };
  }
  const pin = view?.pins[shard];
  const isCommand = pin !== undefined && pin !== self.node && pin !== hold.weighedPin;
  if (isCommand && eligible.includes(pin)) return { why: "move", to: pin };
  if (hold.leave?.why !== "homecoming") return null;
  const { to } = hold.leave;
  return to !== null && orderFor(state, shard, eligible)[0] === to ? hold.leave : null;
}

/** Begins, changes and calls off what makes shards leave. */
export function moveShards(step: Step): void {
  const eligible = eligibleNodes(step.state);
  for (const [shard, found] of Object.entries(step.state.holds)) {
    const hold = forgetWeighed(step, shard, found);
    if (hold.phase === "clearing") {
      const leave = leaveOf(step.state, shard, hold, eligible);
      if (leave) kill(step, shard, { ...hold, leave }, leave.why);
    } else if (hold.phase === "running" || hold.phase === "draining") {
      steer(step, shard, hold, leaveOf(step.state, shard, hold, eligible));
    }
  }
}

/** A pin that was taken away or changed is a command when it comes again. */
function forgetWeighed(step: Step, shard: ShardId, hold: Hold): Hold {
  if (hold.weighedPin === null || !step.state.view) return hold;
  if (step.state.view.pins[shard] === hold.weighedPin) return hold;
  const next = { ...hold, weighedPin: null };
  setHold(step, shard, next);
  return next;
}

function steer(step: Step, shard: ShardId, hold: Hold, leave: Leave | null): void {
  const { epoch } = hold;
  if (leave) {
    if (hold.leave?.why === leave.why && hold.leave.to === leave.to) return;
    setHold(step, shard, { ...hold, phase: "draining", leave });
    step.effects.push({ do: "drain", shard, epoch, ...leave });
  } else if (hold.phase === "draining") {
    setHold(step, shard, { ...hold, phase: "running", leave: null });
    step.effects.push({ do: "undrain", shard, epoch });
  }
}

/** `drained` came: go on to the end, or turn back when the reason is gone. */
export function endDrain(step: Step, shard: ShardId, hold: Hold): void {
  const { state } = step;
  steer(step, shard, hold, leaveOf(state, shard, hold));
  const now = step.state.holds[shard];
  if (now?.phase !== "draining") return;
  const repeatAt = state.now + state.timing.stopMs;
  setHold(step, shard, { ...now, phase: "stopping", repeatAt });
  step.effects.push({ do: "stop", shard, epoch: now.epoch });
}

/**
 * Homecomings, one at a time in the fleet. A node that wants to begin one first announces it: its
 * record in the store says `draining` for that shard. Renewals are atomic, so of two nodes that
 * announce, the view that comes back with the later renewal shows the earlier announcement; whoever
 * sees another one withdraws. Only a view that came back with the announcing renewal itself, and is
 * calm otherwise, lets the move begin. `confirmedSince`: when the renewal behind this step was sent.
 */
export function bringHome(step: Step, confirmedSince: number | null): void {
  const { state } = step;
  const candidate = isConnected(state) ? homecoming(state) : null;
  const intent = state.intent;
  if (!candidate || !isCalm(state, intent?.shard ?? null)) {
    if (intent) withdraw(step);
    return;
  }
  if (!intent) {
    if (state.now >= state.intentNotBefore) state.intent = { ...candidate, since: state.now };
    return;
  }
  if (intent.shard !== candidate.shard || intent.to !== candidate.to) {
    withdraw(step);
    return;
  }
  const record = state.view?.nodes[state.self.node];
  const announced = record?.shards[intent.shard]?.state === "draining";
  const hold = state.holds[intent.shard];
  if (!hold || !announced || confirmedSince === null || confirmedSince < intent.since) return;
  state.intent = null;
  steer(step, intent.shard, hold, { why: "homecoming", to: intent.to });
}

/** Nodes wait differently long before they announce again, so that one of them is first. */
function withdraw(step: Step): void {
  const { state } = step;
  const place = Object.keys(state.view?.nodes ?? {})
    .sort()
    .indexOf(state.self.node);
  state.intent = null;
  state.intentNotBefore = state.now + (place + 1) * state.timing.repeatMs;
}

/** The first shard here that another node, active for long enough, should have. */
function homecoming(state: OwnershipState): { shard: ShardId; to: NodeId } | null {
  const { self, timing, now } = state;
  const eligible = eligibleNodes(state);
  if (!eligible.includes(self.node)) return null;
  for (const shard of Object.keys(state.holds).sort()) {
    const hold = state.holds[shard];
    const to = orderFor(state, shard, eligible)[0];
    if (hold?.phase !== "running" || to === undefined || to === self.node) continue;
    if (hold.avoid.includes(to)) continue;
    const since = state.nodeWatch[to]?.activeSince;
    if (since !== undefined && since + timing.homecomingMs <= now) return { shard, to };
  }
  return null;
}

/** Every shard is either served by its owner or failed, and nobody has announced a move. */
function isCalm(state: OwnershipState, except: ShardId | null): boolean {
  if (Object.values(state.asks).some((ask) => ask.pending)) return false;
  const eligible = eligibleNodes(state);
  return state.config.shards.every((shard) => {
    const hold = state.holds[shard];
    if (hold) return hold.phase === "running" && hold.served;
    return shard === except ? false : isServedElsewhere(state, shard, eligible);
  });
}

function isServedElsewhere(
  state: OwnershipState,
  shard: ShardId,
  eligible: readonly NodeId[],
): boolean {
  const lease = state.view?.leases[shard];
  if (!lease) return false;
  if (lease.owner === null) {
    const failures = failuresOf(state, shard);
    return failures !== null && isFailed(failures, eligible);
  }
  const record = state.view?.nodes[lease.owner];
  if (!record || record.incarnation !== lease.incarnation || !isAlive(state, record)) return false;
  const report = record.shards[shard];
  return report?.state === "serving" && report.epoch === lease.epoch;
}
