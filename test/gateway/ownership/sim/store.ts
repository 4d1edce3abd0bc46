import type { NodeId, ShardId } from "../../../../gateway/contract.ts";
import type {
  Expected,
  Lease,
  NodeRecord,
  Renewal,
  RenewalResult,
  StoreView,
} from "../../../../gateway/leases/store.ts";

/** The contract of LeaseStore, in memory and without waiting: each method is one atomic moment. */
export class SimStore {
  readonly id: string;
  readonly pristine: boolean;
  leases: Record<ShardId, Lease> = {};
  nodes: Record<NodeId, NodeRecord> = {};
  pins: Record<ShardId, NodeId> = {};
  maintenance: Record<NodeId, { since: string }> = {};

  constructor(id: string, pristine: boolean) {
    this.id = id;
    this.pristine = pristine;
  }

  /** What an old copy put in its place is: the same content under another name, and not pristine. */
  copy(id: string): SimStore {
    const copy = new SimStore(id, false);
    copy.leases = { ...this.leases };
    copy.nodes = { ...this.nodes };
    copy.pins = { ...this.pins };
    copy.maintenance = { ...this.maintenance };
    return copy;
  }

  view(): StoreView {
    return {
      storeId: this.id,
      pristine: this.pristine,
      leases: { ...this.leases },
      nodes: { ...this.nodes },
      pins: { ...this.pins },
      maintenance: { ...this.maintenance },
    };
  }

  renew({ node, held }: Renewal): RenewalResult {
    const kept: ShardId[] = [];
    const lost: ShardId[] = [];
    for (const { shard, epoch, position } of held) {
      const lease = this.leases[shard];
      const ours = lease?.owner === node.id && lease.incarnation === node.incarnation;
      if (lease && (lease.epoch > epoch || (lease.epoch === epoch && !ours))) {
        lost.push(shard);
        continue;
      }
      const anew = !lease || lease.epoch < epoch;
      const base = anew ? fresh(shard, node.id, node.incarnation, node.bootId, epoch) : lease;
      this.leases[shard] = { ...base, beat: (lease?.beat ?? 0) + 1, position };
      kept.push(shard);
    }
    const before = this.nodes[node.id];
    this.nodes[node.id] = { ...node, beat: (before?.beat ?? 0) + 1 };
    return { kept, lost, view: this.view() };
  }

  acquire(request: {
    shard: ShardId;
    storeId: string;
    expected: Expected;
    node: NodeId;
    incarnation: string;
    bootId: string;
    epoch: number;
  }): Lease | null {
    const { shard, storeId, expected, node, incarnation, bootId, epoch } = request;
    const lease = this.leases[shard];
    const asExpected =
      expected === null
        ? lease === undefined
        : lease?.epoch === expected.epoch &&
          lease.beat === expected.beat &&
          lease.owner === expected.owner;
    if (storeId !== this.id || !asExpected || (lease && epoch <= lease.epoch)) return null;
    const taken = {
      ...fresh(shard, node, incarnation, bootId, epoch),
      beat: (lease?.beat ?? 0) + 1,
    };
    this.leases[shard] = taken;
    return taken;
  }

  release(request: {
    shard: ShardId;
    node: NodeId;
    incarnation: string;
    epoch: number;
    handTo: NodeId | null;
    reason: string;
  }): boolean {
    const { shard, node, incarnation, epoch, handTo, reason } = request;
    const lease = this.leases[shard];
    if (lease?.owner !== node || lease.incarnation !== incarnation || lease.epoch !== epoch) {
      return false;
    }
    const free = { owner: null, incarnation: null, bootId: null, handTo, reason };
    this.leases[shard] = { ...lease, ...free, beat: lease.beat + 1 };
    return true;
  }
}

function fresh(
  shard: ShardId,
  owner: NodeId,
  incarnation: string,
  bootId: string,
  epoch: number,
): Lease {
  const rest = { beat: 0, release: "r1", position: null, handTo: null, reason: null };
  return { shard, owner, incarnation, bootId, epoch, ...rest };
}
