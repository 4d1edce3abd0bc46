import type { NodeId } from "../contract.ts";
import type { StoreView } from "../leases/store.ts";
import { supervisorGone } from "./processes.ts";

/**
 * Incarnations in the view that can extend and start nothing any more: those whose recorded
 * supervisor the kernel no longer knows, and older ones of this very node. The keeper runs one
 * supervisor at a time and starts the next when nothing of the last is left, so that one has started
 * proves that its predecessors are gone, also where no record of them remains.
 */
export function deadNodes(
  view: StoreView,
  self: { node: NodeId; incarnation: string; bootId: string },
): { node: NodeId; incarnation: string }[] {
  const gone = Object.values(view.nodes)
    .filter(({ incarnation }) => incarnation !== self.incarnation)
    .filter((record) => supervisorGone(record, self.bootId))
    .map((record) => ({ node: record.id, incarnation: record.incarnation }));
  const mine = Object.values(view.leases)
    .filter(({ owner, incarnation }) => owner === self.node && incarnation !== self.incarnation)
    .flatMap(({ incarnation }) => (incarnation === null ? [] : [{ node: self.node, incarnation }]));
  return [...gone, ...mine];
}
