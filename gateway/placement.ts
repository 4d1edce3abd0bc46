import type { NodeId, ShardId } from "./contract.ts";

/**
 * Which nodes a shard likes, best first: rendezvous hashing. Every node computes the same list from
 * the same names, without talking; adding a node moves only the shards that now like it best, losing
 * one moves only its own. Why this hash: docs/decisions/030-placement-hash.md.
 */

/** FNV-1a, 32 bits, over UTF-16 code units, low byte first (parameters: the FNV reference). */
function fnv1a(text: string, seed: number): number {
  let hash = seed;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    hash = Math.imul(hash ^ (unit & 0xff), 0x01000193);
    hash = Math.imul(hash ^ (unit >>> 8), 0x01000193);
  }
  return hash;
}

/** Spreads a change of any bit over all bits (the 32-bit finaliser of MurmurHash3). */
function avalanche(value: number): number {
  let h = value;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** How much a shard likes a node, 0 to 2^32-1. Part of the contract between versions: never changes. */
export function affinity(shard: ShardId, node: NodeId): number {
  return avalanche(fnv1a(`\u0000${node}`, avalanche(fnv1a(shard, 0x811c9dc5))));
}

/** All `nodes`, the one this shard likes best first. The order of the input does not matter. */
export function rank(shard: ShardId, nodes: Iterable<NodeId>): NodeId[] {
  return [...new Set(nodes)]
    .map((node) => ({ node, score: affinity(shard, node) }))
    .sort((a, b) => b.score - a.score || (a.node < b.node ? -1 : 1))
    .map(({ node }) => node);
}

export interface Preference {
  /** Set by `move`; goes before everything. */
  pin?: NodeId | undefined;
  /** From `channelBinding`; goes before rank. */
  bound?: NodeId | undefined;
}

/**
 * The nodes that may serve the shard, best first: pin, then binding, then rank. `nodes` are those
 * that can take it now; a pin or binding to any other node counts for nothing.
 */
export function prefer(shard: ShardId, nodes: Iterable<NodeId>, wish: Preference): NodeId[] {
  const ranked = rank(shard, nodes);
  const first = [wish.pin, wish.bound].filter(
    (node): node is NodeId => node !== undefined && ranked.includes(node),
  );
  return [...new Set([...first, ...ranked])];
}
