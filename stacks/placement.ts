import { createHash } from "node:crypto";
import type { ShardId } from "../gateway/contract.ts";

/** The agent that answers when a request names none; it lives on every shared shard. */
export const DEFAULT_AGENT = "main";

/** What placement needs to know of an agent. */
export interface AgentToPlace {
  readonly name: string;
  readonly replicas?: number;
  readonly placement?: "shared" | "dedicated";
}

/** Where an agent lives. */
export interface AgentPlace {
  readonly shards: ShardId[];
  /** Channels, cron and hooks live here. */
  readonly homeShard: ShardId;
}

/** Ids of the shared shards. Growing or shrinking only touches the tail. */
export function sharedShardIds(count: number): ShardId[] {
  return Array.from({ length: count }, (_, i) => `s${i + 1}`);
}

/** Longest part of an agent's name that fits into a shard id beside its prefix. */
const NAME_IN_SHARD_ID = 36;

/**
 * Id of one shard of a dedicated agent. The replica's number stands before the name, so that no
 * agent's name can be mistaken for another agent's replica.
 */
export function dedicatedShardId(agent: string, replica: number): ShardId {
  const fits = agent.length <= NAME_IN_SHARD_ID && /^[a-z0-9-]+$/.test(agent);
  if (fits) return `d${replica}-${agent}`;
  const hash = createHash("sha256").update(agent).digest("hex").slice(0, 8);
  return `d${replica}-${agent.replaceAll("_", "-").slice(0, 24)}-${hash}`;
}

/**
 * Places every agent. A dedicated agent gets shards of its own, `main` gets all shared ones, every
 * other agent gets `replicas` of them.
 *
 * `recorded` is where agents live already. What is recorded and still exists is kept, the home first:
 * so shards that are added or taken away never move a home, nor a session's shard. An agent without
 * a record is spread by rendezvous hashing, the first rank becoming its home.
 */
export function placeAgents(
  agents: readonly AgentToPlace[],
  shared: readonly ShardId[],
  recorded: Readonly<Record<string, AgentPlace>> = {},
): Record<string, AgentPlace> {
  const places: Record<string, AgentPlace> = {};
  for (const agent of agents) {
    const mine = agent.placement === "dedicated" ? dedicatedShards(agent) : [...shared];
    const old = recorded[agent.name];
    const kept = old
      ? [old.homeShard, ...old.shards].filter(
          (id, i, all) => mine.includes(id) && all.indexOf(id) === i,
        )
      : [];
    const all = agent.name === DEFAULT_AGENT || agent.placement === "dedicated";
    // main and dedicated agents are everywhere they can be: only the home is a choice, and the
    // first shard is the one that every later size still has.
    const ranked = all ? mine : rankShards(agent.name, mine);
    const wanted = all ? mine.length : Math.min(agent.replicas ?? 1, mine.length);
    const chosen = [...kept, ...ranked.filter((id) => !kept.includes(id))].slice(0, wanted);
    const homeShard = chosen[0];
    if (homeShard === undefined) throw new Error(`no shard for agent ${agent.name}`);
    places[agent.name] = { homeShard, shards: mine.filter((id) => chosen.includes(id)) };
  }
  return places;
}

function dedicatedShards(agent: AgentToPlace): ShardId[] {
  return Array.from({ length: agent.replicas ?? 1 }, (_, i) => dedicatedShardId(agent.name, i + 1));
}

function rankShards(agent: string, shards: readonly ShardId[]): ShardId[] {
  const weight = (id: ShardId) => createHash("sha256").update(`${agent}\n${id}`).digest("hex");
  return shards
    .map((id) => ({ id, weight: weight(id) }))
    .sort((a, b) => (a.weight < b.weight ? 1 : -1))
    .map(({ id }) => id);
}
