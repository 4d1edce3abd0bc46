import { judge, type Verdict, type Violation } from "../verdict.ts";
import { at, type GroupRecord, type HistoryIndex, type RequestRecord } from "./index.ts";

/** A woken process may exist for this long before it is killed. */
const WAKE_GRACE_MS = 1_000;
/** An observer that did not look for longer than this cannot vouch for that time. */
const MOST_GAP_MS = 5_000;
/** Longest time all looks together may have missed, as a part of the whole. */
const MOST_BLIND = 0.05;
/** An answer may lie in a socket for this long after its sender lost the shard. */
const IN_FLIGHT_MS = 1_000;
/** TCP sends again after pauses that double: a cut longer than half a minute ends in one of nearly that length. */
const SENT_AGAIN_MS = 30_000;

/** How long two groups could both run, ms. */
function overlap(a: GroupRecord, b: GroupRecord, end: number): { ms: number; from: number } {
  let ms = 0;
  let from = end;
  for (const x of a.running) {
    for (const y of b.running) {
      const start = Math.max(x.from, y.from);
      const length = Math.min(x.to, y.to, end) - start;
      if (length <= 0) continue;
      ms += length;
      from = Math.min(from, start);
    }
  }
  return { ms, from };
}

/** Never two live owners of a shard: by processes, and by what they did. */
export function oneOwner(index: HistoryIndex, shards: readonly string[]): Verdict {
  const violations: Violation[] = [];
  for (const shard of shards) {
    const groups = index.groups.filter((group) => group.shard === shard);
    for (const [i, a] of groups.entries()) {
      for (const b of groups.slice(i + 1)) {
        const both = overlap(a, b, index.end);
        if (both.ms > WAKE_GRACE_MS) {
          violations.push({
            t: both.from,
            text: `${shard} had two gateways, process ${a.pid} and process ${b.pid}, for ${at(both.ms)} from ${at(both.from)}`,
          });
        }
      }
    }
  }
  let attributed = 0;
  for (const call of index.calls) {
    const { group, begin } = call;
    if (!group) continue;
    attributed++;
    const successor = index.groups.find(
      (other) => other.shard === group.shard && other.from > group.from && other.from < begin.t,
    );
    if (successor) {
      violations.push({
        t: begin.t,
        text: `process ${group.pid} of ${group.shard} began a model call at ${at(begin.t)}, after its successor ${successor.pid} had been there since ${at(successor.from)}`,
      });
    }
  }
  return judge("owners", "never two live owners of a shard", {
    evaluated: index.groups.length,
    of: "gateway starts",
    violations,
    missing: blind(index, attributed, shards),
    note: `${attributed} of ${index.calls.length} model calls traced to their process`,
  });
}

/** Why the observations cannot carry the verdict, if they cannot. */
function blind(
  index: HistoryIndex,
  attributed: number,
  shards: readonly string[],
): string | undefined {
  let missed = 0;
  let looks = 0;
  for (const event of index.events) {
    if (event.type !== "looked" || event.what !== "processes") continue;
    looks++;
    if (event.gapMs > MOST_GAP_MS) missed += event.gapMs;
  }
  if (looks === 0) return "nobody looked at the processes";
  if (missed > index.end * MOST_BLIND) return `processes were not looked at for ${at(missed)}`;
  const unseen = shards.find((shard) => !index.groups.some((group) => group.shard === shard));
  if (unseen) return `no gateway of ${unseen} was ever seen`;
  if (attributed === 0) return "no model call could be traced to its process";
  return undefined;
}

/** The answer was made before `t`, by one who owned the shard, and a cut network held it up. */
function wasOnItsWay(index: HistoryIndex, { invoked, outcome }: RequestRecord, t: number): boolean {
  const calls = index.callsByMarker.get(invoked.marker) ?? [];
  const made = calls.find(({ end }) => end?.outcome === "answered" && end.t < t)?.end?.t;
  if (made === undefined || outcome === null) return false;
  return index.faults.some(({ kind, from, healed }) => {
    const until = (healed ?? Number.POSITIVE_INFINITY) + SENT_AGAIN_MS;
    return kind === "pause" && from <= t && made <= until && outcome.t <= until;
  });
}

/** Epochs never fall, a new owner has a new one, and no answer comes from an older one. */
export function epochsGrow(index: HistoryIndex, shards: readonly string[]): Verdict {
  const violations: Violation[] = [];
  const sight = new Map<string, { epoch: number; owner: string | null; t: number }>();
  const highest = new Map<string, { epoch: number; t: number }[]>();
  for (const lease of index.leases) {
    const before = sight.get(lease.shard);
    if (before && lease.epoch < before.epoch) {
      violations.push({
        t: lease.t,
        text: `epoch of ${lease.shard} fell from ${before.epoch} (${at(before.t)}) to ${lease.epoch} (${at(lease.t)})`,
      });
    }
    if (before && lease.epoch === before.epoch && lease.owner !== before.owner) {
      if (lease.owner !== null && before.owner !== null) {
        violations.push({
          t: lease.t,
          text: `${lease.shard} went from ${before.owner} to ${lease.owner} at ${at(lease.t)} under one epoch, ${lease.epoch}`,
        });
      }
    }
    const owner = lease.owner ?? (before?.epoch === lease.epoch ? before.owner : null);
    sight.set(lease.shard, { epoch: lease.epoch, owner, t: lease.t });
    if (!before || lease.epoch > before.epoch) {
      const steps = highest.get(lease.shard) ?? [];
      steps.push({ epoch: lease.epoch, t: lease.t });
      highest.set(lease.shard, steps);
    }
  }
  for (const request of index.requests) {
    const { outcome } = request;
    if (outcome?.type !== "answered" || outcome.shard === null || outcome.epoch === null) continue;
    const { epoch } = outcome;
    const later = highest
      .get(outcome.shard)
      ?.find((step) => step.epoch > epoch && step.t < outcome.t - IN_FLIGHT_MS);
    if (later && !wasOnItsWay(index, request, later.t)) {
      violations.push({
        t: outcome.t,
        text: `${outcome.shard} answered under epoch ${epoch} at ${at(outcome.t)}, though epoch ${later.epoch} was there since ${at(later.t)}`,
      });
    }
  }
  const unseen = shards.find((shard) => !sight.has(shard));
  return judge("epochs", "epochs grow with each owner", {
    evaluated: index.leases.length,
    of: "sights of leases",
    violations,
    missing: unseen ? `the lease of ${unseen} was never seen` : undefined,
    note: [...sight].map(([shard, { epoch }]) => `${shard} at ${epoch}`).join(", "),
  });
}
