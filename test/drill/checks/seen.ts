import type { HistoryEvent } from "../history.ts";
import { indexHistory, type RequestRecord } from "./index.ts";
import { LEAST_HOLD_MS } from "./requests.ts";

/** What clients and the model saw between two moments. */
export interface Seen {
  /** How many requests began then. */
  readonly requests: number;
  /** Those that were not answered, or had to be sent again, in words. */
  readonly failed: readonly string[];
  /** Those that were held to the end, in words: their shard had nobody for a minute. Not among the failed ones. */
  readonly held: readonly string[];
  /** Turns that asked the model more than once, or not at all, in words. */
  readonly repeated: readonly string[];
  /** Those that have no end yet. */
  readonly open: readonly string[];
  /** Longest time that a request took beyond its turn, ms. */
  readonly longestWaitMs: number;
  /** Longest turn, ms. */
  readonly longestTurnMs: number;
  /** Longest time from the start of a gateway until its shard was served, as leases say, ms. */
  readonly longestBootMs: number;
}

/** What was seen of the requests that were under way between two moments of a history, ms. Pure. */
export function seenIn(events: readonly HistoryEvent[], from: number, to: number): Seen {
  const { requests, callsByMarker } = indexHistory(events);
  const within = requests.filter(
    ({ invoked, outcome }) => invoked.t <= to && (outcome === null || outcome.t >= from),
  );
  const failed: string[] = [];
  const held: string[] = [];
  const repeated: string[] = [];
  const open: string[] = [];
  let longestWaitMs = 0;
  for (const { invoked, outcome } of within) {
    const who = `${invoked.client} ${invoked.marker} at ${seconds(invoked.t)}`;
    if (outcome === null) {
      open.push(who);
      continue;
    }
    const end = `after ${seconds(outcome.t - invoked.t)}`;
    if (outcome.type === "failed") {
      const list = heldToTheEnd({ invoked, outcome }) ? held : failed;
      list.push(`${who}: ${outcome.code} (${outcome.detail}) ${end}`);
      continue;
    }
    longestWaitMs = Math.max(longestWaitMs, outcome.t - invoked.t - invoked.turnMs);
    if (outcome.attempts > 1) failed.push(`${who}: sent ${outcome.attempts} times, ${end}`);
    const calls = (callsByMarker.get(invoked.marker) ?? []).filter(
      ({ begin }) => !begin.continuation,
    );
    if (calls.length !== 1) repeated.push(`${who}: ${calls.length} calls of the model`);
  }
  const longestTurnMs = Math.max(0, ...within.map(({ invoked }) => invoked.turnMs));
  const boots = bootsOf(events).filter((boot) => boot.to >= from && boot.from <= to);
  const longestBootMs = Math.max(0, ...boots.map((boot) => boot.to - boot.from));
  const times = { longestWaitMs, longestTurnMs, longestBootMs };
  return { requests: within.length, failed, held, repeated, open, ...times };
}

/** Whether a request got its 503 only after the time for which routers hold what has no owner. */
export const heldToTheEnd = ({ invoked, outcome }: RequestRecord): boolean =>
  outcome?.type === "failed" &&
  outcome.code === "no_owner" &&
  outcome.t - invoked.t >= LEAST_HOLD_MS;

/** From each start of a gateway until the lease says that its shard is served there. */
function bootsOf(events: readonly HistoryEvent[]): { from: number; to: number }[] {
  return events.flatMap((event, i) => {
    if (event.type !== "process-up") return [];
    const served = events.slice(i).find((later) => {
      return later.type === "lease" && later.shard === event.shard && later.state === "serving";
    });
    return served ? [{ from: event.t, to: served.t }] : [];
  });
}

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
