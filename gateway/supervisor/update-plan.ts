import type { FleetStatus, NodeId, ShardId } from "../contract.ts";
import type { Lease, StoreView } from "../leases/store.ts";
import { olderOpenClaw, openclawOf, releaseFor } from "./releases.ts";
import { UPDATE_LEASE } from "./turn-taking.ts";

/** A shard on which another OpenClaw failed, as the reason of {@link UPDATE_LEASE}: it stops the update everywhere. */
export interface Refusal {
  /** OpenClaw's version that failed. */
  to: string;
  shard: ShardId;
  why: string;
  /** Settings it failed under, and the shard's pin: others make it void. */
  revision: string;
  pin: NodeId | null;
}

const PREFIX = "refused ";
/** Longer texts are cut: it travels in every view. */
const MAX_WHY = 1_000;

export function refusalReason(refusal: Refusal): string {
  return PREFIX + JSON.stringify({ ...refusal, why: refusal.why.slice(0, MAX_WHY) });
}

/** The refusal in a lease's reason; null when it is another reason, or no valid one. */
export function parseRefusal(reason: string | null | undefined): Refusal | null {
  if (!reason?.startsWith(PREFIX)) return null;
  try {
    const { to, shard, why, revision, pin } = JSON.parse(reason.slice(PREFIX.length));
    const texts = [to, shard, why, revision].every((text) => typeof text === "string");
    if (!texts || (pin !== null && typeof pin !== "string")) return null;
    return { to, shard, why, revision, pin };
  } catch {
    return null;
  }
}

interface Facts {
  view: StoreView;
  /** Shards of the fleet. */
  shards: readonly ShardId[];
  /** Of the settings in force. */
  revision: string;
}

/** What stops the update to this version; null: nothing. */
function refusalOf({ view, revision }: Facts, to: string): Refusal | null {
  const refusal = parseRefusal(view.leases[UPDATE_LEASE]?.reason);
  if (refusal?.to !== to || refusal.revision !== revision) return null;
  return refusal.pin === (view.pins[refusal.shard] ?? null) ? refusal : null;
}

/** Shards that run an older OpenClaw than this release has. */
function behind({ view, shards }: Facts, release: string): Lease[] {
  return shards
    .flatMap((shard) => view.leases[shard] ?? [])
    .filter((lease) => lease.release !== null && olderOpenClaw(lease.release, release));
}

/**
 * What a taker starts a shard with, as {@link releaseFor} says it. A newer OpenClaw for one that has failed everywhere
 * is tried first, with the state from before beside it: what failed may have been anything, and the state would be
 * migrated for good.
 * @param has whether a release is on this machine
 */
export function startFor(
  previous: Lease | undefined,
  own: string,
  has: (release: string) => boolean,
): { release: string; tries: string | null } {
  const release = releaseFor(previous, own, has);
  const ran = previous?.release ?? null;
  if (ran === null || !olderOpenClaw(ran, release) || !has(ran)) return { release, tries: null };
  return { release: ran, tries: release };
}

/**
 * The shard that this node is to bring to its own OpenClaw now; null: none. Not before every node has that one,
 * since whoever takes a shard over has to start what it runs; and none after one on which it failed.
 */
export function nextUpdate(
  facts: Facts & {
    node: NodeId;
    /** The node's own. */
    release: string;
    /** Shards that serve here. */
    serving: readonly ShardId[];
  },
): ShardId | null {
  const { view, node, release, serving } = facts;
  const to = openclawOf(release);
  const ready = Object.values(view.nodes).every((record) => openclawOf(record.release) === to);
  if (!ready || view.maintenance[node] !== undefined || refusalOf(facts, to)) return null;
  const mine = behind(facts, release).find(
    ({ shard, owner }) => owner === node && serving.includes(shard),
  );
  return mine?.shard ?? null;
}

/** How far the fleet is with the newest OpenClaw that a node has; undefined: every shard runs it. */
export function updateStatus(facts: Facts): FleetStatus["update"] {
  const releases = Object.values(facts.view.nodes).map((record) => record.release);
  const newest = releases.reduce<string | null>(
    (best, each) => (best === null || olderOpenClaw(best, each) ? each : best),
    null,
  );
  if (newest === null) return undefined;
  const waiting = behind(facts, newest).map(({ shard }) => shard);
  if (waiting.length === 0) return undefined;
  const to = openclawOf(newest);
  const refusal = refusalOf(facts, to);
  return { to, waiting, refused: refusal && { shard: refusal.shard, why: refusal.why } };
}
