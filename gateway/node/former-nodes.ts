import type { NodeId, ShardId } from "../contract.ts";
import { StoreUnavailable, type StoreView } from "../leases/store.ts";

export interface FormerNodesDeps {
  /** Nodes that the deployment names; undefined: it names none, and nothing is ever taken away. */
  members: () => readonly NodeId[] | undefined;
  /** Of the present settings. */
  shards: () => readonly ShardId[];
  view: () => StoreView | null;
  isLost: (node: NodeId) => boolean;
  forget: (node: NodeId) => Promise<void>;
  log: (message: string) => void;
}

/** Nodes of which only the store still knows: not of this fleet any more, gone, and without a shard to their name. */
export function formerNodes(
  view: StoreView,
  { members, shards }: { members: readonly NodeId[]; shards: readonly ShardId[] },
  isLost: (node: NodeId) => boolean,
): NodeId[] {
  // A turn, or a shard that is no more, is nobody's to take: its row would keep the node for ever.
  const owners = new Set(shards.map((shard) => view.leases[shard]?.owner));
  const known = new Set([...Object.keys(view.nodes), ...Object.keys(view.maintenance)]);
  return [...known].filter((id) => !members.includes(id) && isLost(id) && !owners.has(id));
}

/**
 * Takes what the store has of removed nodes away: their record, which would count as lost for good, and their mark of
 * maintenance, which a new host of that name would inherit. Every node does; a second time does nothing.
 */
export class FormerNodes {
  readonly #deps: FormerNodesDeps;
  #busy = false;

  constructor(deps: FormerNodesDeps) {
    this.#deps = deps;
  }

  async look(): Promise<void> {
    const { view, members, shards, isLost, forget, log } = this.#deps;
    const [seen, named] = [view(), members()];
    if (this.#busy || !seen || !named) return;
    this.#busy = true;
    try {
      for (const node of formerNodes(seen, { members: named, shards: shards() }, isLost)) {
        await forget(node);
        log(`node ${node} is not of this fleet any more; the store has nothing of it now`);
      }
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
      // The store tells of its own faults; the next look tries again.
    } finally {
      this.#busy = false;
    }
  }
}
