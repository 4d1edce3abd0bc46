import { indexHistory } from "./checks/index.ts";
import { knownFacts } from "./fault-names.ts";
import type { HistoryEvent, HistoryHeader, RequestKind } from "./history.ts";
import type { Outcome, Verdict } from "./verdict.ts";

export interface FaultLine {
  name: string;
  title: string;
  count: number;
  /** From a fault to the first answer on each shard it hit, ms, slowest shard of each time. */
  recoveryMs: { each: number[]; median: number | null; max: number | null };
  mustMs: number | null;
  failed: number;
}

export interface RequestLine {
  kind: RequestKind;
  sent: number;
  answered: number;
  /** Sent more than once, under the same key, because a connection was lost. */
  resent: number;
  /** By code. */
  errors: Record<string, number>;
  /** Time beyond what the model was asked to take, ms. */
  overheadMs: { median: number | null; p99: number | null; max: number | null };
}

/** What a drill found; the document of `--json`. */
export interface DrillReport {
  version: 1;
  ok: boolean;
  /** The one line that matters: verdict and why. */
  verdict: string;
  seed: number;
  minutes: number;
  startedAt: string;
  release: string;
  command: string;
  nodes: number;
  shards: number;
  checks: Verdict[];
  faults: FaultLine[];
  requests: RequestLine[];
  modelCalls: number;
  /** Why the drill could not be carried through; null when it was. */
  trouble: string | null;
}

/** `1 fault`, `2 faults`. */
export const some = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`;

/** Nearest rank; null for nothing. */
export function quantile(values: readonly number[], q: number): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? null;
}

/** History and verdicts → what people read. Pure. */
export function summarize(
  header: HistoryHeader,
  events: readonly HistoryEvent[],
  outcome: Outcome,
  trouble: string | null,
): DrillReport {
  const index = indexHistory(events);
  const ok = outcome.ok && trouble === null;
  const bad = outcome.verdicts.filter((verdict) => verdict.status !== "passed");
  const kinds = [...new Set(index.requests.map((request) => request.invoked.kind))];
  return {
    version: 1,
    ok,
    verdict: verdictLine(ok, bad, index.faults.length, index.requests.length, trouble),
    seed: header.seed,
    minutes: header.minutes || minutesOfLoad(events),
    startedAt: header.startedAt,
    release: header.release,
    command: header.command,
    nodes: header.nodes.length,
    shards: header.shards.length,
    checks: outcome.verdicts,
    faults: faultLines(events),
    requests: kinds.map((kind) => requestLine(events, kind)),
    modelCalls: index.calls.length,
    trouble,
  };
}

function verdictLine(
  ok: boolean,
  bad: readonly Verdict[],
  faults: number,
  requests: number,
  trouble: string | null,
): string {
  if (ok) {
    return `passed: ${some(faults, "fault")}, ${some(requests, "request")}, nothing lost, one owner`;
  }
  if (trouble !== null) return `FAILED: ${trouble}`;
  const failed = bad.filter((verdict) => verdict.status === "failed").length;
  const open = bad.length - failed;
  const parts = [
    ...(failed > 0 ? [`${failed} check${failed === 1 ? "" : "s"} failed`] : []),
    ...(open > 0 ? [`${open} not evaluated, which counts as failed`] : []),
  ];
  return `FAILED: ${parts.join(", ")}`;
}

/** From the first turn of the load to no new ones, whole minutes. */
function minutesOfLoad(events: readonly HistoryEvent[]): number {
  const at = (text: string) => events.find((e) => e.type === "note" && e.text === text)?.t ?? 0;
  return Math.max(0, Math.round((at("load ends") - at("load begins")) / 60_000));
}

/** Each fault's recovery: from it to the answer of the last probe of it, on the slowest of its shards. */
export function recoveries(events: readonly HistoryEvent[]): Map<number, number | null> {
  const index = indexHistory(events);
  const out = new Map<number, number | null>();
  for (const fault of index.faults) {
    // What could not be done hit nobody.
    if (fault.shards.length === 0) continue;
    const until = fault.recovered ?? Number.POSITIVE_INFINITY;
    const probes = index.requests
      .filter(({ invoked }) => invoked.client === "probe")
      .filter(({ invoked }) => invoked.t >= fault.from && invoked.t <= until);
    // Each shard is asked in a session of its own: again after an error, and when it answered before it was hit.
    const times = [...Map.groupBy(probes, ({ invoked }) => invoked.session).values()].map(
      (asked) => {
        const last = asked.findLast(({ outcome }) => outcome?.type === "answered");
        return last?.outcome ? last.outcome.t - fault.from : null;
      },
    );
    const good = times.length > 0 && times.every((time) => time !== null);
    out.set(fault.n, good ? Math.max(...times.map((time) => time ?? 0)) : null);
  }
  return out;
}

function faultLines(events: readonly HistoryEvent[]): FaultLine[] {
  const index = indexHistory(events);
  const times = recoveries(events);
  return [...Map.groupBy(index.faults, (fault) => fault.name)].map(([name, faults]) => {
    const facts = knownFacts(name);
    const ms = faults.flatMap((fault) => times.get(fault.n) ?? []);
    return {
      name,
      title: facts?.title ?? name,
      count: faults.length,
      recoveryMs: { each: ms, median: quantile(ms, 0.5), max: quantile(ms, 1) },
      mustMs: facts?.mustMs ?? null,
      failed: faults.filter((fault) => fault.recovered === null).length,
    };
  });
}

function requestLine(events: readonly HistoryEvent[], kind: RequestKind): RequestLine {
  const requests = indexHistory(events).requests.filter(({ invoked }) => invoked.kind === kind);
  const errors: Record<string, number> = {};
  const over: number[] = [];
  let answered = 0;
  let resent = 0;
  for (const { invoked, outcome } of requests) {
    if (outcome === null) errors.none = (errors.none ?? 0) + 1;
    else if (outcome.type === "failed") errors[outcome.code] = (errors[outcome.code] ?? 0) + 1;
    else {
      answered++;
      over.push(Math.max(0, outcome.t - invoked.t - invoked.turnMs));
    }
    if (outcome && outcome.attempts > 1) resent++;
  }
  return {
    kind,
    sent: requests.length,
    answered,
    resent,
    errors,
    overheadMs: {
      median: quantile(over, 0.5),
      p99: quantile(over, 0.99),
      max: quantile(over, 1),
    },
  };
}
