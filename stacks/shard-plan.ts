import type { ShardId } from "../gateway/contract.ts";
import type { CapacityNumbers } from "./capacity.ts";
import type { AgentPlace, AgentToPlace } from "./placement.ts";
import type { Preset } from "./preset-table.ts";

export interface ShardPlan {
  readonly id: ShardId;
  readonly dedicated: boolean;
  readonly agents: string[];
  readonly memoryMiB: number;
  readonly recycleMiB: number;
}

/** Every shard with its agents and memory, shared ones first. */
export function planShards(
  agents: readonly (AgentToPlace & { readonly memoryMiB?: number })[],
  shared: readonly ShardId[],
  places: Record<string, AgentPlace>,
  numbers: CapacityNumbers,
): ShardPlan[] {
  const dedicated = agents
    .filter((a) => a.placement === "dedicated")
    .flatMap((a) => places[a.name]?.shards ?? []);
  return [...shared, ...dedicated].map((id) => {
    const here = agents.filter((a) => places[a.name]?.shards.includes(id));
    const own = here.map((a) => a.memoryMiB ?? numbers.agentMemoryMiB).sort((a, b) => a - b);
    // One average agent is already in the shard's own number.
    const further = own.slice(1).reduce((sum, m) => sum + m, 0);
    const first = Math.max(0, (own[0] ?? 0) - numbers.agentMemoryMiB);
    const wanted = numbers.shardMemoryMiB + first + further;
    const recycleMiB = Math.max(numbers.recycleMiB, numbers.shardMemoryMiB + first);
    return {
      id,
      dedicated: !shared.includes(id),
      agents: here.map((a) => a.name),
      memoryMiB: Math.min(wanted, recycleMiB),
      recycleMiB,
    };
  });
}

/**
 * What stands after the loss of one node (with `zones`: of the fullest zone), and what a node must hold then.
 * `voters`: hosts of which a majority must be left to say who owns what; 0: none is needed.
 */
export function planLoss(
  preset: Preset,
  nodes: number,
  shards: ShardPlan[],
  numbers: CapacityNumbers,
  { zones, voters }: { readonly zones?: number | undefined; readonly voters: number },
) {
  const nodesLost = zones === undefined ? 1 : Math.ceil(nodes / zones);
  const nodesLeft = nodes - nodesLost;
  const votersLost = zones === undefined ? 1 : Math.ceil(voters / zones);
  const majorityLeft = voters === 0 || voters - votersLost > voters / 2;
  const survives = nodesLeft > 0 && majorityLeft;
  const shardsPerNode = Math.ceil(shards.length / Math.max(1, nodesLeft));
  // The largest shards may meet on one node.
  const largest = shards.map((s) => s.memoryMiB).sort((a, b) => b - a);
  const memoryMiBPerNode =
    numbers.runtimeMemoryMiB + largest.slice(0, shardsPerNode).reduce((sum, m) => sum + m, 0);
  const lost =
    nodesLost === 1
      ? `one node${zones === undefined ? "" : " or zone"}`
      : `one zone (${nodesLost} nodes)`;
  const sentence = survives
    ? `${preset.name}: after the loss of ${lost} ${nodesLeft === 1 ? "the other" : `each of the other ${nodesLeft}`} holds up to ${shardsPerNode} ${shardsPerNode === 1 ? "shard" : "shards"} in ${memoryMiBPerNode} MiB`
    : nodesLeft === 0
      ? `${preset.name}: the loss of the only node stops the service until it is back`
      : `${preset.name}: the loss of ${nodesLost === 1 ? "the one host that votes" : lost} stops the service until it is back, since no majority is left to say who owns what`;
  return { nodesLost, nodesLeft, shardsPerNode, memoryMiBPerNode, survives, sentence };
}
