import type { EventOf, FaultKind, HistoryEvent } from "../history.ts";

/** One request from invocation to outcome. */
export interface RequestRecord {
  invoked: EventOf<"invoked">;
  /** Null: the history ends without one. */
  outcome: EventOf<"answered"> | EventOf<"failed"> | null;
}

export interface CallRecord {
  begin: EventOf<"model-begin">;
  end: EventOf<"model-end"> | null;
  /** Group of the process that called; null when not known. */
  group: GroupRecord | null;
}

/** One start of a gateway, as seen from outside. */
export interface GroupRecord {
  shard: string;
  group: string;
  pid: number;
  /** Null: not known. */
  node: string | null;
  from: number;
  /** Infinity while it lives. */
  to: number;
  /** Spans in which some process of it could run (not stopped, not frozen). */
  running: { from: number; to: number }[];
}

export interface FaultRecord {
  n: number;
  name: string;
  kind: FaultKind;
  target: string;
  shards: string[];
  from: number;
  healed: number | null;
  recovered: number | null;
  failure: string | null;
}

export interface HistoryIndex {
  events: readonly HistoryEvent[];
  /** Time of the last event. */
  end: number;
  requests: RequestRecord[];
  calls: CallRecord[];
  callsByMarker: Map<string, CallRecord[]>;
  requestByMarker: Map<string, RequestRecord>;
  groups: GroupRecord[];
  faults: FaultRecord[];
  leases: EventOf<"lease">[];
}

/** Puts events that belong together into records, once, for all checks. */
export function indexHistory(events: readonly HistoryEvent[]): HistoryIndex {
  const requests = new Map<string, RequestRecord>();
  const calls = new Map<string, CallRecord>();
  const groups = new Map<string, GroupRecord>();
  const faults = new Map<number, FaultRecord>();
  const leases: EventOf<"lease">[] = [];
  let end = 0;
  for (const event of events) {
    end = Math.max(end, event.t);
    switch (event.type) {
      case "invoked":
        requests.set(event.id, { invoked: event, outcome: null });
        break;
      case "answered":
      case "failed": {
        const request = requests.get(event.id);
        if (request && request.outcome === null) request.outcome = event;
        break;
      }
      case "model-begin":
        calls.set(event.call, { begin: event, end: null, group: groupOf(groups, event) });
        break;
      case "model-end": {
        const call = calls.get(event.call);
        if (call) call.end = event;
        break;
      }
      case "process-up":
        groups.set(event.group, {
          shard: event.shard,
          group: event.group,
          pid: event.pid,
          node: event.node,
          from: event.t,
          to: Number.POSITIVE_INFINITY,
          running: [{ from: event.t, to: Number.POSITIVE_INFINITY }],
        });
        break;
      case "process-state":
        setRunning(groups.get(event.group), event.t, event.running);
        break;
      case "process-down": {
        const group = groups.get(event.group);
        if (!group) break;
        setRunning(group, event.t, false);
        group.to = event.t;
        break;
      }
      case "fault":
        recordFault(faults, event);
        break;
      case "lease":
        leases.push(event);
        break;
    }
  }
  const list = [...calls.values()];
  return {
    events,
    end,
    requests: [...requests.values()],
    calls: list,
    callsByMarker: Map.groupBy(
      list.filter((call) => call.begin.marker !== null),
      (call) => call.begin.marker as string,
    ),
    requestByMarker: new Map([...requests.values()].map((r) => [r.invoked.marker, r])),
    groups: [...groups.values()],
    faults: [...faults.values()],
    leases,
  };
}

/** The newest group that had the caller's pid: pids are used again. */
function groupOf(
  groups: Map<string, GroupRecord>,
  begin: EventOf<"model-begin">,
): GroupRecord | null {
  let found: GroupRecord | null = null;
  for (const group of groups.values()) if (group.pid === begin.pid) found = group;
  return found;
}

function setRunning(group: GroupRecord | undefined, t: number, running: boolean): void {
  if (!group) return;
  const last = group.running.at(-1);
  const open = last !== undefined && last.to === Number.POSITIVE_INFINITY;
  if (running && !open) group.running.push({ from: t, to: Number.POSITIVE_INFINITY });
  if (!running && open) last.to = t;
}

function recordFault(faults: Map<number, FaultRecord>, event: EventOf<"fault">): void {
  const known = faults.get(event.n);
  if (!known) {
    faults.set(event.n, {
      n: event.n,
      name: event.name,
      kind: event.kind,
      target: event.target,
      shards: event.shards,
      from: event.t,
      healed: null,
      recovered: null,
      failure: event.phase === "failed" ? event.detail : null,
    });
    return;
  }
  // Whom a fault hits second is known later.
  known.target = event.target;
  if (event.phase === "heal") known.healed = event.t;
  if (event.phase === "recovered") known.recovered = event.t;
  if (event.phase === "failed") known.failure = event.detail;
}

/** Seconds with one digit, as evidence lines show times. */
export const at = (t: number): string => `${(t / 1000).toFixed(1)} s`;
