import type { NodeId, ShardId } from "../contract.ts";
import type { Lease, NodeRecord, StoreView } from "../leases/store.ts";
import type { Draft } from "./draft.ts";
import type { NodeWatch, OwnershipState, Watch } from "./state.ts";

/** Takes in a view: every lease and node whose key changed is watched anew from `now`. */
export function observe(state: Draft, view: StoreView, now: number): void {
  if (state.store?.id !== view.storeId) {
    state.store = { id: view.storeId, since: now, first: state.store === null };
    state.leaseWatch = {};
    state.nodeWatch = {};
  }
  state.view = view;
  state.leaseWatch = watchLeases(state, view, now);
  state.nodeWatch = watchNodes(state, view, now);
}

function watchLeases(state: Draft, view: StoreView, now: number): Record<ShardId, Watch> {
  const watches: Record<ShardId, Watch> = {};
  for (const [shard, lease] of Object.entries(view.leases)) {
    const key = `${lease.owner}/${lease.incarnation}/${lease.epoch}/${lease.beat}`;
    const before = state.leaseWatch[shard];
    watches[shard] = before?.key === key ? before : { key, since: now };
  }
  // A row that vanished from a store that is still the same one proves nothing: watch its absence.
  for (const [shard, before] of Object.entries(state.leaseWatch)) {
    if (view.leases[shard]) continue;
    watches[shard] = before.key === ABSENT ? before : { key: ABSENT, since: now };
  }
  return watches;
}

const ABSENT = "absent";

function watchNodes(state: Draft, view: StoreView, now: number): Record<NodeId, NodeWatch> {
  const watches: Record<NodeId, NodeWatch> = {};
  for (const [node, record] of Object.entries(view.nodes)) {
    const { incarnation } = record;
    const key = `${incarnation}/${record.beat}`;
    const before = state.nodeWatch[node];
    if (before?.key === key) {
      watches[node] = before;
      continue;
    }
    const steady =
      before?.incarnation === incarnation && before.since + state.timing.ttlMs > now
        ? before.activeSince
        : now;
    watches[node] = { key, since: now, incarnation, activeSince: steady };
  }
  return watches;
}

/**
 * Since when (own clock, may lie ahead) the shard is without a living owner; null: no time is known.
 * This is the only place that calls a lease dead.
 *
 * A store that took the place of another may show any past: a lease of somebody long dead, or given
 * up long ago, while today's owner has not found the new store yet. Nothing in it counts before one
 * TTL. The first store of a supervisor's life gets the benefit of the doubt, and `diskLimit` guards it.
 */
export function freeSince(state: OwnershipState, shard: ShardId): number | null {
  const { store, timing } = state;
  const since = standingSince(state, shard);
  if (since === null || !store) return null;
  return store.first ? since : Math.max(since, store.since + timing.ttlMs);
}

/**
 * Until this supervisor has watched the store for one TTL, an epoch found on disk that is higher than
 * the one in the store proves that the store has forgotten an owner, who may live. Null: no limit.
 */
export function diskLimit(state: OwnershipState, shard: ShardId): number | null {
  const { store, view, timing, now } = state;
  if (!store || store.since + timing.ttlMs <= now) return null;
  return view?.leases[shard]?.epoch ?? 0;
}

function standingSince(state: OwnershipState, shard: ShardId): number | null {
  const { store, view, self, timing } = state;
  if (!store || !view) return null;
  const lease = view.leases[shard];
  const watch = state.leaseWatch[shard];
  if (!lease) {
    if (watch) return watch.since + timing.ttlMs;
    return view.pristine ? store.since : store.since + timing.ttlMs;
  }
  if (!watch) return null;
  if (lease.owner === null) return watch.since;
  if (self.sameMachine && lease.bootId !== null && lease.bootId !== self.bootId) return watch.since;
  if (isOwnLease(state, lease)) {
    // Our own acquisition whose answer was lost: nothing was ever started under it.
    const asked = state.asks[shard]?.storeId === store.id;
    return asked ? watch.since : watch.since + timing.ttlMs;
  }
  const death = deathOf(state, lease.owner, lease.incarnation);
  return death === null ? watch.since + timing.ttlMs : Math.max(death, watch.since);
}

export function isOwnLease(state: OwnershipState, lease: Lease): boolean {
  return lease.owner === state.self.node && lease.incarnation === state.self.incarnation;
}

function deathOf(state: OwnershipState, node: NodeId, incarnation: string | null): number | null {
  const dead = state.dead.find((d) => d.node === node && d.incarnation === incarnation);
  return dead ? dead.at : null;
}

/** The node's record moved within the last TTL, and nothing says that it died. */
export function isAlive(state: OwnershipState, record: NodeRecord): boolean {
  const { self, timing, now } = state;
  const watch = state.nodeWatch[record.id];
  if (!watch || watch.since + timing.ttlMs <= now) return false;
  if (self.sameMachine && record.bootId !== self.bootId) return false;
  return deathOf(state, record.id, record.incarnation) === null;
}

/** This incarnation can renew what it takes: the store knows it, and answered it lately. */
export function isConnected(state: OwnershipState): boolean {
  const { self, view, renewedAt, timing, now } = state;
  if (renewedAt === null || renewedAt + timing.holdMs <= now) return false;
  return view?.nodes[self.node]?.incarnation === self.incarnation;
}
