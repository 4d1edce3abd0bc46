import type { FleetStatus } from "../gateway/contract.ts";

/**
 * How a drain went: the node is empty; it was left as it was, since it has shards and none of the other nodes is
 * active now; or since it has no others, no shards, or is not there.
 */
export type Emptied = "emptied" | "nobody takes" | "alone";

/** How the drain of a node ends before it begins; null: another node can take its shards. */
export function drainInVain(
  status: FleetStatus | null,
  node: string,
): Exclude<Emptied, "emptied"> | null {
  const self = status?.nodes.find(({ id }) => id === node);
  if (!status || !self || self.state === "lost") return "alone";
  const others = status.nodes.filter(({ id }) => id !== node);
  if (others.some(({ state }) => state === "active")) return null;
  const owns = status.shards.some(({ owner }) => owner === node);
  return others.length > 0 && owns ? "nobody takes" : "alone";
}
