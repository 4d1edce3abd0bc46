import { indexHistory } from "../checks/index.ts";
import { knownFacts } from "../fault-names.ts";
import type { HistoryEvent, HistoryHeader } from "../history.ts";
import type { PastRun } from "../record.ts";
import { type DrillReport, recoveries, some } from "../summary.ts";
import { evidence } from "../text.ts";

/** Everything the page draws, times in seconds. Plain JSON. */
export interface PageData {
  verdict: string;
  ok: boolean;
  facts: string;
  end: number;
  nodes: string[];
  lanes: {
    name: string;
    /** Who held the lease, and in which state the shard was. */
    spans: { node: string; epoch: number; state: string; from: number; to: number }[];
    /** Gateways that could run: stopped and frozen time is left out. */
    processes: { pid: number; from: number; to: number }[];
  }[];
  /** Spans in which a bot was being polled. */
  polls: { from: number; to: number }[];
  faults: {
    n: number;
    title: string;
    target: string;
    from: number;
    to: number;
    ok: boolean;
    recovery: number | null;
    detail: string;
  }[];
  /** Per kind of request: when it was sent, and what it took beyond the model's own time. */
  series: { kind: string; points: [number, number][] }[];
  errors: { t: number; kind: string; code: string; allowed: boolean }[];
  /** Requests that were open, once a second; and those that a router held. */
  open: [number, number][];
  held: [number, number][];
  checks: { law: string; status: string; evidence: string; violations: string[] }[];
  requests: {
    kind: string;
    sent: number;
    answered: number;
    resent: number;
    errors: string;
    median: string;
    p99: string;
    max: string;
  }[];
  faultTable: {
    title: string;
    count: number;
    median: string;
    max: string;
    must: string;
    failed: number;
    met: boolean | null;
  }[];
  runs: { when: string; ok: boolean; verdict: string; seed: number; minutes: number }[];
}

const s = (ms: number): number => Math.round(ms) / 1000;
const text = (ms: number | null): string => (ms === null ? "–" : `${(ms / 1000).toFixed(2)} s`);

/** Below this a logarithmic axis would only show noise, seconds. */
const LEAST_SHOWN_S = 0.01;
/** Polls follow one another within milliseconds; gaps below this are not drawn. */
const POLL_GAP_MS = 1_500;

/** History and report → page. Pure. */
export function pageData(
  header: HistoryHeader,
  events: readonly HistoryEvent[],
  report: DrillReport,
  runs: readonly PastRun[],
): PageData {
  const index = indexHistory(events);
  const end = Math.max(index.end, 1);
  const times = recoveries(events);
  const kinds = report.requests.map((line) => line.kind);
  return {
    verdict: report.verdict,
    ok: report.ok,
    facts: `${some(report.nodes, "node")}, ${some(report.shards, "shard")}, ${report.minutes} min of faults, seed ${report.seed}, release ${report.release}, ${report.modelCalls} model calls, begun ${report.startedAt.slice(0, 16).replace("T", " ")} UTC`,
    end: s(end),
    nodes: header.nodes,
    lanes: header.shards.map((shard) => ({
      name: shard,
      spans: ownerSpans(events, shard, end),
      processes: index.groups
        .filter((group) => group.shard === shard)
        .flatMap((group) =>
          group.running.map((span) => ({
            pid: group.pid,
            from: s(span.from),
            to: s(Math.min(span.to, end)),
          })),
        ),
    })),
    polls: pollSpans(events, end),
    faults: index.faults.map((fault) => ({
      n: fault.n,
      title: knownFacts(fault.name)?.title ?? fault.name,
      target: fault.target,
      from: s(fault.from),
      to: s(fault.recovered ?? fault.healed ?? end),
      ok: fault.recovered !== null,
      recovery: times.get(fault.n) === null ? null : s(times.get(fault.n) ?? 0),
      detail: fault.failure ?? "",
    })),
    series: kinds.map((kind) => ({
      kind,
      points: index.requests
        .filter(({ invoked }) => invoked.kind === kind)
        .flatMap(({ invoked, outcome }): [number, number][] =>
          outcome?.type === "answered"
            ? [[s(invoked.t), Math.max(LEAST_SHOWN_S, s(outcome.t - invoked.t - invoked.turnMs))]]
            : [],
        ),
    })),
    errors: index.requests.flatMap(({ invoked, outcome }) =>
      outcome?.type === "failed"
        ? [
            {
              t: s(outcome.t),
              kind: invoked.kind,
              code: outcome.code,
              allowed: !report.checks
                .flatMap((check) => check.violations)
                .some((violation) => violation.text.includes(invoked.marker)),
            },
          ]
        : [],
    ),
    open: openCounts(index.requests, end),
    held: heldCounts(events, end),
    checks: report.checks.map((verdict) => ({
      law: verdict.law,
      status: verdict.status,
      evidence: evidence(verdict),
      violations: verdict.violations.slice(1, 51).map((violation) => violation.text),
    })),
    requests: report.requests.map((line) => ({
      kind: line.kind,
      sent: line.sent,
      answered: line.answered,
      resent: line.resent,
      errors:
        Object.entries(line.errors)
          .map(([code, count]) => `${count} × ${code}`)
          .join(", ") || "0",
      median: text(line.overheadMs.median),
      p99: text(line.overheadMs.p99),
      max: text(line.overheadMs.max),
    })),
    faultTable: report.faults.map((fault) => ({
      title: fault.title,
      count: fault.count,
      median: text(fault.recoveryMs.median),
      max: text(fault.recoveryMs.max),
      must: fault.mustMs === null ? "" : `≤ ${fault.mustMs / 1000} s`,
      failed: fault.failed,
      met:
        fault.mustMs === null || fault.recoveryMs.max === null
          ? null
          : fault.recoveryMs.max <= fault.mustMs,
    })),
    runs: runs.map((run) => ({
      when: run.startedAt.slice(0, 16).replace("T", " "),
      ok: run.ok,
      verdict: run.verdict,
      seed: run.seed,
      minutes: run.minutes,
    })),
  };
}

function ownerSpans(events: readonly HistoryEvent[], shard: string, end: number) {
  const spans: PageData["lanes"][number]["spans"] = [];
  for (const event of events) {
    if (event.type !== "lease" || event.shard !== shard) continue;
    const last = spans.at(-1);
    if (last && last.to === s(end)) last.to = s(event.t);
    if (event.owner === null) continue;
    const { owner: node, epoch, state } = event;
    spans.push({ node, epoch, state, from: s(event.t), to: s(end) });
  }
  return spans;
}

function pollSpans(events: readonly HistoryEvent[], end: number): PageData["polls"] {
  const open = new Map<string, number>();
  const spans: { from: number; to: number }[] = [];
  const add = (from: number, to: number) => {
    const last = spans.at(-1);
    if (last && from - last.to < POLL_GAP_MS) last.to = Math.max(last.to, to);
    else spans.push({ from, to });
  };
  for (const event of events) {
    if (event.type === "poll-begin") open.set(event.poll, event.t);
    if (event.type !== "poll-end") continue;
    add(open.get(event.poll) ?? event.t, event.t);
    open.delete(event.poll);
  }
  for (const from of open.values()) add(from, end);
  return spans.map(({ from, to }) => ({ from: s(from), to: s(to) }));
}

function openCounts(
  requests: ReturnType<typeof indexHistory>["requests"],
  end: number,
): [number, number][] {
  const seconds = Math.ceil(end / 1000);
  const change = new Array<number>(seconds + 2).fill(0);
  for (const { invoked, outcome } of requests) {
    const from = Math.floor(invoked.t / 1000);
    const to = Math.min(seconds + 1, Math.floor((outcome?.t ?? end) / 1000) + 1);
    change[from] = (change[from] ?? 0) + 1;
    change[to] = (change[to] ?? 0) - 1;
  }
  let open = 0;
  return change.slice(0, seconds + 1).map((by, second) => {
    open += by;
    return [second, open];
  });
}

function heldCounts(events: readonly HistoryEvent[], end: number): [number, number][] {
  const points: [number, number][] = [[0, 0]];
  for (const event of events) {
    if (event.type !== "held") continue;
    points.push([s(event.t), event.requests]);
  }
  points.push([s(end), points.at(-1)?.[1] ?? 0]);
  return points;
}
