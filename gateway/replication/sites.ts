import type { NodeId, ShardId } from "../contract.ts";
import type { ReplicaTarget } from "./target.ts";

/** The place that a position names; null: there is only one. */
export type Site = NodeId | null;

/**
 * Where replicas are. A directory and S3 are one site for all. Where hosts keep each other's replicas, each is
 * a site: a shard's replica is on one of them, which its position names.
 */
export interface Sites {
  /** Where the newest replica is: at the site that was published last. */
  source(shard: ShardId, site: Site): ReplicaTarget;
  /** Where this node's replica of the shard should be, best first. Never empty. */
  preferred(shard: ShardId): readonly Site[];
  /** The same object for as long as the way there is the same. */
  target(shard: ShardId, site: Site): ReplicaTarget;
}

/** One target for everybody; `target` gives the same one each time. */
export function oneSite(target: (shard: ShardId) => ReplicaTarget): Sites {
  return { source: target, target, preferred: () => [null] };
}

/** What is published: a position, and after ` @` the site that has it. */
export function withSite(position: string, site: Site): string {
  return site === null ? position : `${position} @${site}`;
}

/** Parts what {@link withSite} joined. */
export function splitSite(published: string | null): { position: string | null; site: Site } {
  const found = /^(.*) @([a-z0-9-]+)$/.exec(published ?? "");
  return found
    ? { position: found[1] as string, site: found[2] as string }
    : { position: published, site: null };
}

/** Another site is preferred for this long before the replica moves there, ms: nodes restart in less. */
export const SETTLE_MS = 60_000;
/** A site that fails for this long is left for the next one. */
export const LEAVE_MS = 5_000;
/** And is not gone back to before this. */
export const SHUN_MS = 600_000;

export interface SiteWatch {
  /** What the present site is not, and since when it is preferred. */
  wished: { site: Site; since: number } | null;
  /** Sites that failed, and when they were left. */
  left: ReadonlyMap<Site, number>;
}

export const NO_WATCH: SiteWatch = { wished: null, left: new Map() };

/**
 * The site to move to; the present one: stay. A new one is seeded while the old one is still there, so a change
 * costs sending, not safety; but not each restart of a node is worth a gigabyte.
 */
export function chooseSite(
  watch: SiteWatch,
  facts: { preferred: readonly Site[]; present: Site; failingMs: number; now: number },
): { site: Site; watch: SiteWatch } {
  const { preferred, present, failingMs, now } = facts;
  const left = new Map([...watch.left].filter(([, at]) => now - at < SHUN_MS));
  const best = preferred.find((site) => !left.has(site)) ?? present;
  if (failingMs >= LEAVE_MS && preferred.length > 1) {
    const others = preferred.filter((site) => site !== present);
    // When all fail, the one that was left first is tried again.
    const byAge = [...others].sort((a, b) => (left.get(a) ?? 0) - (left.get(b) ?? 0));
    const next = others.find((site) => !left.has(site)) ?? byAge[0] ?? present;
    return { site: next, watch: { wished: null, left: new Map(left).set(present, now) } };
  }
  if (best === present) return { site: present, watch: { wished: null, left } };
  const since = watch.wished?.site === best ? watch.wished.since : now;
  // A site that is wanted no more at all (its host left the fleet) is left at once.
  if (!preferred.includes(present) || now - since >= SETTLE_MS) {
    return { site: best, watch: { wished: null, left } };
  }
  return { site: present, watch: { wished: { site: best, since }, left } };
}
