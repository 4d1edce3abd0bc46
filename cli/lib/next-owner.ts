import type { FleetStatus, NodeId, ShardId } from "../../gateway/contract.ts";
import { rank } from "../../gateway/placement.ts";
import { rawSettings } from "../settings.ts";
import type { FleetAccess } from "./fleet.ts";

/**
 * Which of `nodes` a shard goes to when the fleet chooses: the first by rank, which every node computes alike. All of
 * them where channels are bound to nodes, since a binding goes before rank; none when there are none.
 * Likely, not certain: where a `move` has pinned the shard is known to the fleet alone.
 */
export function nextOwners(
  { config, stack }: Pick<FleetAccess, "config" | "stack">,
  shard: ShardId,
  nodes: readonly NodeId[],
): NodeId[] {
  const bindings = config ? config.channelBinding : rawSettings(stack).channelBinding;
  if (Object.keys(bindings ?? {}).length > 0) return [...nodes];
  return rank(shard, nodes).slice(0, 1);
}

/** Nodes that take shards, without one of them. */
export const activeBeside = ({ nodes }: FleetStatus, without?: NodeId): NodeId[] =>
  nodes.filter(({ id, state }) => id !== without && state === "active").map(({ id }) => id);
