import type { NodeId } from "../contract.ts";
import type { StoreView } from "../leases/store.ts";
import { supervisorGone } from "./processes.ts";

export interface DeadNodesSelf {
  node: NodeId;
  incarnation: string;
  bootId: string;
  /**
   * Incarnations of this node that were started in its directory, where the fleet's nodes are on
   * several machines; null where all of them are on this one.
   */
  startedHere: ReadonlySet<string> | null;
}

/**
 * Incarnations in the view that can extend and start nothing any more: on one machine those whose
 * recorded supervisor the kernel no longer knows, and always older ones of this very node. The keeper
 * runs one supervisor at a time and starts the next when nothing of the last is left, so that one has
 * started proves that its predecessors are gone, also where no record of them remains.
 *
 * Nodes on several machines: a kernel knows nothing of another's processes (and containers may share
 * one boot id), and a host that was replaced under its name proves nothing of the one before. So only
 * what was started here counts.
 */
export function deadNodes(
  view: StoreView,
  self: DeadNodesSelf,
): { node: NodeId; incarnation: string }[] {
  const { startedHere } = self;
  const gone =
    startedHere !== null
      ? []
      : Object.values(view.nodes)
          .filter(({ incarnation }) => incarnation !== self.incarnation)
          .filter((record) => supervisorGone(record, self.bootId))
          .map((record) => ({ node: record.id, incarnation: record.incarnation }));
  const mine = Object.values(view.leases)
    .filter(({ owner, incarnation }) => owner === self.node && incarnation !== self.incarnation)
    .flatMap(({ incarnation }) => (incarnation === null ? [] : [{ node: self.node, incarnation }]))
    .filter(({ incarnation }) => startedHere === null || startedHere.has(incarnation));
  return [...gone, ...mine];
}
