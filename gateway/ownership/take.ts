import type { NodeId, ShardId } from "../contract.ts";
import type { Lease } from "../leases/store.ts";
import { prefer } from "../placement.ts";
import type { Step } from "./draft.ts";
import { FAILED_NODES, type FailureRecord, parseFailure } from "./failure.ts";
import type { OwnershipState } from "./state.ts";
import { diskLimit, freeSince, isAlive, isConnected, isOwnLease } from "./watch.ts";

/** Nodes that can take shards now, as this node sees it. */
export function eligibleNodes(state: OwnershipState): NodeId[] {
  const { view, self } = state;
  if (!view) return [];
  return Object.values(view.nodes)
    .filter((record) => view.maintenance[record.id] === undefined)
    .filter((record) => (record.id === self.node ? selfIsAble(state) : isAlive(state, record)))
    .map((record) => record.id);
}

function selfIsAble(state: OwnershipState): boolean {
  return !state.stopping && isConnected(state);
}

/** Eligible nodes in the order in which the shard likes them. */
export function orderFor(
  state: OwnershipState,
  shard: ShardId,
  eligible = eligibleNodes(state),
): NodeId[] {
  return prefer(shard, eligible, {
    pin: state.view?.pins[shard],
    bound: state.config.bound[shard],
  });
}

/** The failures recorded in a released lease, unless new settings or another pin made them void. */
export function failuresOf(state: OwnershipState, shard: ShardId): FailureRecord | null {
  const lease = state.view?.leases[shard];
  if (!lease || lease.owner !== null) return null;
  const record = parseFailure(lease.reason);
  if (!record || record.revision !== state.config.revision) return null;
  return record.pin === (state.view?.pins[shard] ?? null) ? record : null;
}

/** It failed on two nodes, or on every node there is; one of them tries again every five minutes. */
export function isFailed(failures: FailureRecord, eligible: readonly NodeId[]): boolean {
  const untried = eligible.some((node) => !failures.nodes.includes(node));
  return failures.nodes.length >= FAILED_NODES || !untried;
}

/** When this node takes the shard if nothing changes; null: not its turn. */
export function takeAt(
  state: OwnershipState,
  shard: ShardId,
  eligible: readonly NodeId[],
): number | null {
  const { self, timing, now, view } = state;
  const since = freeSince(state, shard);
  if (since === null || !eligible.includes(self.node)) return null;
  const lease = view?.leases[shard];
  if (lease && isOwnLease(state, lease)) return since;

  const order = orderFor(state, shard, [...eligible]);
  const failures = failuresOf(state, shard);
  if (failures) return takeFailedAt(state, since, order, failures);

  const heir = handedTo(lease);
  if (heir === self.node) return since;
  const waitsForHeir = heir !== null && eligible.includes(heir) && since + timing.ttlMs > now;
  const from = waitsForHeir ? since + timing.ttlMs : since;
  return from + order.indexOf(self.node) * timing.rankDelayMs;
}

function handedTo(lease: Lease | undefined): NodeId | null {
  return lease && lease.owner === null ? lease.handTo : null;
}

/** Nodes that have not tried go first, then the one whose failure is the oldest. */
function takeFailedAt(
  state: OwnershipState,
  since: number,
  order: readonly NodeId[],
  failures: FailureRecord,
): number | null {
  const { self, timing } = state;
  const untried = order.filter((node) => !failures.nodes.includes(node));
  const failed = isFailed(failures, order);
  const queue = failed
    ? [...untried, ...failures.nodes.filter((node) => order.includes(node))]
    : untried;
  const place = queue.indexOf(self.node);
  if (place < 0) return null;
  return since + (failed ? timing.failedRetryMs : 0) + place * timing.rankDelayMs;
}

/** Asks for every shard whose time has come. */
export function takeShards(step: Step): void {
  const { state } = step;
  const { view, store, now, timing } = state;
  if (!view || !store) return;
  const eligible = eligibleNodes(state);
  for (const shard of state.config.shards) {
    const ask = state.asks[shard];
    if (state.holds[shard] || (ask && now < ask.until)) continue;
    const at = takeAt(state, shard, eligible);
    if (at === null || now < at) continue;
    const lease = view.leases[shard];
    const expected = lease ? { epoch: lease.epoch, beat: lease.beat, owner: lease.owner } : null;
    // Our own lost acquisition carries what the first attempt knew.
    const failures = failuresOf(state, shard) ?? ask?.failures ?? null;
    // A pin that could be followed and was not is still a wish; one to a node that is away, or to one
    // that the shard may have failed on, was weighed.
    const pin = view.pins[shard];
    const weighed = pin !== undefined && (failures !== null || !eligible.includes(pin));
    const weighedPin = weighed ? pin : null;
    const until = now + timing.askMs;
    const next = { storeId: store.id, until, pending: true, failures, weighedPin };
    state.asks = { ...state.asks, [shard]: next };
    const diskAtMost = diskLimit(state, shard);
    const epochAbove = lease?.epoch ?? 0;
    const storeId = store.id;
    step.effects.push({ do: "acquire", shard, storeId, expected, epochAbove, diskAtMost });
  }
}
