import type { NodeId, ShardId } from "../contract.ts";
import type { HoldPhase, OwnershipState } from "./state.ts";
import { eligibleNodes, failuresOf, isFailed } from "./take.ts";
import { isAlive } from "./watch.ts";

/** What the supervisor, the lease thread and the router read out of the rules' state. */

/**
 * Leases the next renewal must carry. Also those being killed or released: nobody else may take the
 * shard before its cage is empty.
 */
export function held(state: OwnershipState): { shard: ShardId; epoch: number }[] {
  return Object.entries(state.holds)
    .filter(([, hold]) => !hold.lost)
    .map(([shard, hold]) => ({ shard, epoch: hold.epoch }));
}

/** Shards whose processes may go on until the next renewal's deadline; for the keeper's `Extend`. */
export function extendable(state: OwnershipState): Record<ShardId, number> {
  const phases: readonly HoldPhase[] = ["clearing", "running", "draining", "stopping"];
  return Object.fromEntries(
    Object.entries(state.holds)
      .filter(([, hold]) => phases.includes(hold.phase))
      .map(([shard, hold]) => [shard, hold.epoch]),
  );
}

/**
 * The state to publish for a shard in this node's record, given what its gateway does. A homecoming
 * that is about to begin is announced as `draining`: the others wait for it.
 */
export function publishedState(state: OwnershipState, shard: ShardId, runner: string): string {
  return state.intent?.shard === shard ? "draining" : runner;
}

export type Standing =
  /** This node has the lease; it may answer requests only before `deadline`. */
  | { at: "here"; epoch: number; deadline: number; phase: HoldPhase }
  | { at: "peer"; node: NodeId; incarnation: string; epoch: number; alive: boolean }
  /** `failed`: why, when the shard is given up for now. */
  | { at: "none"; epoch: number; failed: string | null };

/** Who has the shard, as far as this node knows. */
export function standing(state: OwnershipState, shard: ShardId): Standing {
  const hold = state.holds[shard];
  if (hold && !hold.lost) {
    return { at: "here", epoch: hold.epoch, deadline: hold.deadline, phase: hold.phase };
  }
  const lease = state.view?.leases[shard];
  const epoch = lease?.epoch ?? 0;
  if (lease?.owner && lease.incarnation !== null && lease.owner !== state.self.node) {
    const record = state.view?.nodes[lease.owner];
    const alive =
      record !== undefined && record.incarnation === lease.incarnation && isAlive(state, record);
    return { at: "peer", node: lease.owner, incarnation: lease.incarnation, epoch, alive };
  }
  const failures = failuresOf(state, shard);
  const failed = failures && isFailed(failures, eligibleNodes(state)) ? failures.why : null;
  return { at: "none", epoch, failed };
}

/** `active`, `maintenance` or `lost`, as this node sees it. */
export function nodeState(state: OwnershipState, node: NodeId): "active" | "maintenance" | "lost" {
  const record = state.view?.nodes[node];
  if (!record || (node !== state.self.node && !isAlive(state, record))) return "lost";
  return state.view?.maintenance[node] === undefined ? "active" : "maintenance";
}

/** One line for logs. */
export function describe(state: OwnershipState): string {
  const holds = Object.entries(state.holds).map(([shard, hold]) => {
    const left = Math.round(hold.deadline - state.now);
    const leave = hold.leave ? ` ${hold.leave.why}→${hold.leave.to ?? "anyone"}` : "";
    const lost = hold.lost ? " lost" : "";
    return `${shard}@${hold.epoch} ${hold.phase}${leave}${lost} ${left} ms`;
  });
  const asks = Object.entries(state.asks)
    .filter(([, ask]) => ask.pending)
    .map(([shard]) => `${shard} asked`);
  const parts = [...holds, ...asks];
  if (state.intent) parts.push(`${state.intent.shard} home to ${state.intent.to} announced`);
  if (state.stopping) parts.push(state.stopped ? "stopped" : "stopping");
  const store = state.store ? `store ${state.store.id}` : "no store yet";
  return `${state.self.node}/${state.self.incarnation}: ${store}; ${parts.join(", ") || "nothing held"}`;
}
