import { isCronMarker } from "../marker.ts";
import { judge, type Verdict, type Violation } from "../verdict.ts";
import { at, type CallRecord, type GroupRecord, type HistoryIndex } from "./index.ts";
import { type HostLoss, hostLosses, mayBeForgotten } from "./losses.ts";

/** Calls that are a run of their own: not the continuation of a turn after a tool. */
const runs = (calls: readonly CallRecord[]): CallRecord[] =>
  calls.filter((call) => !call.begin.continuation);

/** Gateways that ended between two times, on the given shards (all shards when none is known). */
function crashesBetween(
  groups: readonly GroupRecord[],
  shards: ReadonlySet<string>,
  from: number,
  to: number,
): number {
  return groups.filter(
    (group) => group.to >= from && group.to <= to && (shards.size === 0 || shards.has(group.shard)),
  ).length;
}

/** Longest that a call lives whose caller was gone before it came, ms. */
const ORPHAN_MS = 1_000;

/**
 * Calls of gateways that had ended already: what one had sent before is delivered when the network is back, from no process
 * that there is, and is cut off as it comes. Each tells of a gateway's end that lies before it.
 */
const orphans = (calls: readonly CallRecord[]): number =>
  calls.filter(
    ({ group, begin, end }) =>
      group === null && end?.outcome === "aborted" && end.t - begin.t <= ORPHAN_MS,
  ).length;

/**
 * One model call a turn, and one more for each crash in the middle of it; none after the client had
 * its answer; no answer delivered twice. A crash between an answer's row and the end of its turn leaves both: the row is the
 * answer, and OpenClaw's recovery asks the model once more all the same (docs/openclaw.md). What a lost host said last may be unknown to the next one, which then does it again.
 */
export function oneRunPerTurn(index: HistoryIndex): Verdict {
  const violations: Violation[] = [];
  let evaluated = 0;
  let repeated = 0;
  const losses = hostLosses(index);
  for (const [marker, calls] of index.callsByMarker) {
    if (isCronMarker(marker)) continue;
    evaluated++;
    const own = runs(calls);
    const first = own[0];
    const last = own.at(-1);
    const request = index.requestByMarker.get(marker);
    if (!first || !last) continue;
    const shards = new Set(own.flatMap((call) => (call.group ? [call.group.shard] : [])));
    const crashes = crashesBetween(index.groups, shards, first.begin.t, last.begin.t);
    if (own.length > 1) repeated++;
    if (own.length > 1 + crashes + orphans(own.slice(0, -1))) {
      violations.push({
        t: last.begin.t,
        text: `turn ${marker} ran ${own.length} times (${own.map((call) => at(call.begin.t)).join(", ")}) with ${crashes} crash${crashes === 1 ? "" : "es"} in between`,
      });
    }
    const answered = request?.outcome?.type === "answered" ? request.outcome : null;
    if (
      answered &&
      last.begin.t > answered.t &&
      !mayBeForgotten(index, losses, marker, answered.t) &&
      !(last.begin.resumed && crashesBetween(index.groups, shards, first.begin.t, answered.t) > 0)
    ) {
      violations.push({
        t: last.begin.t,
        text: `turn ${marker} ran again at ${at(last.begin.t)}, after its answer had been given at ${at(answered.t)}`,
      });
    }
  }
  for (const request of index.requests) {
    const { invoked, outcome } = request;
    if (outcome?.type === "answered" && !index.callsByMarker.has(invoked.marker)) {
      violations.push({
        t: outcome.t,
        text: `turn ${invoked.marker} was answered at ${at(outcome.t)}, but the model was never asked`,
      });
    }
  }
  violations.push(...deliveredTwice(index, losses));
  return judge("turns", "no turn is answered twice", {
    evaluated,
    of: "turns seen by the model",
    violations,
    note: repeated > 0 ? `${repeated} ran again after a crash in mid-turn` : "",
  });
}

/** A bot's user sees one message per turn. */
function deliveredTwice(index: HistoryIndex, losses: readonly HostLoss[]): Violation[] {
  const violations: Violation[] = [];
  const seen = new Map<string, number>();
  for (const event of index.events) {
    if (event.type !== "delivered") continue;
    for (const marker of event.markers) {
      const before = seen.get(marker);
      seen.set(marker, event.t);
      if (before !== undefined && !mayBeForgotten(index, losses, marker, before)) {
        violations.push({
          t: event.t,
          text: `bot ${event.bot} delivered the answer to ${marker} at ${at(before)} and again at ${at(event.t)}`,
        });
      }
    }
  }
  return violations;
}

/** Of one bot, no two processes poll at the same time. */
export function onePoller(index: HistoryIndex): Verdict {
  interface Open {
    poll: string;
    pid: number | null;
    from: number;
  }
  const violations: Violation[] = [];
  const open = new Map<string, Open[]>();
  let evaluated = 0;
  for (const event of index.events) {
    if (event.type === "poll-end") {
      const polls = open.get(event.bot) ?? [];
      open.set(
        event.bot,
        polls.filter((poll) => poll.poll !== event.poll),
      );
    }
    if (event.type !== "poll-begin") continue;
    evaluated++;
    const polls = open.get(event.bot) ?? [];
    // One process may ask again before the server saw its earlier connection close.
    const other = polls.find((poll) => poll.pid === null || poll.pid !== event.pid);
    if (other) {
      violations.push({
        t: event.t,
        text: `bot ${event.bot} was polled by process ${event.pid ?? "?"} at ${at(event.t)} while process ${other.pid ?? "?"} was polling since ${at(other.from)}`,
      });
    }
    open.set(event.bot, [...polls, { poll: event.poll, pid: event.pid, from: event.t }]);
  }
  return judge("pollers", "one poller per bot", { evaluated, of: "polls", violations });
}

/** Length of a slot of the drill's cron job, ms. */
export const CRON_SLOT_MS = 60_000;

/** A run whose answer was not stored yet may be begun again after a crash; storing takes less. */
const STORING_MS = 2_000;

/** True when the gateway of a run ended before the run was over, and before the given time. */
function diedInMidRun({ group, end }: CallRecord, before: number): boolean {
  if (group === null || group.to > before) return false;
  return end === null || end.outcome !== "answered" || group.to - end.t < STORING_MS;
}

/**
 * A slot runs once: two runs in one minute of the wall clock, close together, are one slot's. Two
 * things may look like that and are none: OpenClaw's recovery of a run that a crash met, and its
 * catching up on a slot that was missed before, by the same gateway.
 * @param startedAt wall clock at the history's zero, ms since the epoch
 */
export function oneCronRunPerSlot(index: HistoryIndex, startedAt: number): Verdict {
  const violations: Violation[] = [];
  let evaluated = 0;
  for (const [marker, calls] of index.callsByMarker) {
    if (!isCronMarker(marker)) continue;
    const own = runs(calls);
    evaluated += own.length;
    const slotOf = (call: CallRecord) => Math.floor((startedAt + call.begin.t) / CRON_SLOT_MS);
    const slots = new Set(own.map(slotOf));
    const first = Math.min(...slots);
    for (const [i, later] of own.entries()) {
      const earlier = own[i - 1];
      if (!earlier || slotOf(earlier) !== slotOf(later)) continue;
      if (later.begin.t - earlier.begin.t >= CRON_SLOT_MS / 2) continue;
      if (diedInMidRun(earlier, later.begin.t)) continue;
      const missedBefore = slotOf(later) > first && !slots.has(slotOf(later) - 1);
      if (missedBefore && earlier.group !== null && earlier.group === later.group) continue;
      violations.push({
        t: later.begin.t,
        text: `job ${marker} ran at ${at(earlier.begin.t)} (${earlier.group?.group ?? "unknown process"}) and again at ${at(later.begin.t)} (${later.group?.group ?? "unknown process"})`,
      });
    }
  }
  return judge("cron", "one run per cron slot", { evaluated, of: "cron runs", violations });
}
