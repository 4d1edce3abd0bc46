import type { EventOf, FaultKind, RequestKind } from "../history.ts";
import { type Expectation, judge, type Verdict, type Violation } from "../verdict.ts";
import { at, type FaultRecord, type HistoryIndex, type RequestRecord } from "./index.ts";

const ANY_LOSS: readonly FaultKind[] = ["crash", "hang", "pause", "full"];
/** Without room on its disk OpenClaw cannot write a question down, and says so: nobody waits for an answer in vain. */
const NO_ROOM: readonly FaultKind[] = ["full"];

/**
 * Errors that a client may see, per route, and under which kinds of fault. What is not here must end
 * in an answer: a crash costs `/api/v1/chat` time, not an error; a drain or a move costs nobody
 * anything, but a WebSocket may have to connect again.
 */
export const ALLOWED: Record<RequestKind, Record<string, readonly FaultKind[]>> = {
  chat: {
    no_owner: ANY_LOSS,
    overloaded: ANY_LOSS,
    shard_failed: ANY_LOSS,
    model_error: NO_ROOM,
  },
  stream: {
    no_owner: ANY_LOSS,
    overloaded: ANY_LOSS,
    shard_failed: ANY_LOSS,
    model_error: NO_ROOM,
  },
  v1: {
    owner_lost: ANY_LOSS,
    no_owner: ANY_LOSS,
    overloaded: ANY_LOSS,
    shard_failed: ANY_LOSS,
    // The router itself was killed under the request, and this route has no id to ask again by.
    connection_lost: ANY_LOSS,
    // See TAKEN_UP.
    gateway_error: ANY_LOSS,
  },
  "v1-stream": {
    owner_lost: ANY_LOSS,
    no_owner: ANY_LOSS,
    overloaded: ANY_LOSS,
    shard_failed: ANY_LOSS,
    connection_lost: ANY_LOSS,
    gateway_error: ANY_LOSS,
  },
  ws: {
    closed_1012: [...ANY_LOSS, "planned"],
    connection_lost: ANY_LOSS,
    model_error: NO_ROOM,
    // So it is refused, where it was not begun.
    UNAVAILABLE: NO_ROOM,
  },
  // See TWICE_LOST.
  telegram: { no_reply: ANY_LOSS },
};

/**
 * Errors that one loss does not excuse. A bot's answer between two crashes is OpenClaw's own: it does
 * not replay a delivery that may have gone out, and calls the turn done (docs/openclaw.md).
 */
const TWICE_LOST: Partial<Record<RequestKind, readonly string[]>> = { telegram: ["no_reply"] };

/**
 * While OpenClaw goes on with a turn that a crash interrupted, it refuses further turns of that session
 * on its own API with an error that says nothing of it (docs/openclaw.md); `/api/v1/chat` waits instead.
 */
const TAKEN_UP = "gateway_error";
/** A turn that is taken up ends after this at the latest: the load's longest, and OpenClaw's start of it. */
const TAKEN_UP_MS = 75_000;

/** A held request gets its 503 after 60 s; sooner means that nobody held it. Less 1 s of slack. */
export const LEAST_HOLD_MS = 59_000;
/** Errors may still arrive this long after a fault was over, from requests it had already met. */
const AFTERMATH_MS = 5_000;

/** Faults whose time overlaps the request's. */
function faultsDuring(
  request: RequestRecord,
  faults: readonly FaultRecord[],
  aftermathMs: number,
): FaultRecord[] {
  const from = request.invoked.t;
  const to = request.outcome?.t ?? Number.POSITIVE_INFINITY;
  return faults.filter((fault) => {
    const over = fault.recovered ?? Number.POSITIVE_INFINITY;
    return fault.from <= to && over + aftermathMs >= from;
  });
}

function failure(
  request: RequestRecord,
  outcome: EventOf<"failed">,
  faults: readonly FaultRecord[],
): string | null {
  const { invoked } = request;
  const kinds = ALLOWED[invoked.kind][outcome.code];
  const aftermathMs = outcome.code === TAKEN_UP ? TAKEN_UP_MS : AFTERMATH_MS;
  const during = faultsDuring(request, faults, aftermathMs);
  const what = `${invoked.kind} request ${invoked.marker} of ${invoked.client}, sent at ${at(invoked.t)}, failed at ${at(outcome.t)} with ${outcome.code} (${outcome.detail})`;
  if (!kinds) return `${what}: this route may never answer that`;
  const excuse = during.find((fault) => kinds.includes(fault.kind));
  if (!excuse) {
    const had = during.map((fault) => fault.name).join(", ") || "no fault";
    return `${what}: not allowed under ${had}`;
  }
  const losses = during.filter((fault) => kinds.includes(fault.kind)).length;
  if (TWICE_LOST[invoked.kind]?.includes(outcome.code) && losses < 2) {
    return `${what}: one loss (${excuse.name}) does not excuse that`;
  }
  const waited = outcome.t - invoked.t;
  if (outcome.code === "no_owner" && waited < LEAST_HOLD_MS) {
    return `${what}: it was given up after ${at(waited)} instead of being held for 60 s`;
  }
  return null;
}

/** Every request ends: in its own answer, or in an error that its route and the fault allow. */
export function nothingLostSilently(index: HistoryIndex, expected: Expectation): Verdict {
  const violations: Violation[] = [];
  const allowed = new Map<string, number>();
  for (const request of index.requests) {
    const { invoked, outcome } = request;
    if (outcome === null) {
      violations.push({
        t: invoked.t,
        text: `${invoked.kind} request ${invoked.marker} of ${invoked.client}, sent at ${at(invoked.t)}, never ended`,
      });
    } else if (outcome.type === "answered") {
      if (!outcome.reply.includes(invoked.marker)) {
        violations.push({
          t: outcome.t,
          text: `${invoked.kind} request ${invoked.marker} of ${invoked.client} got another answer than its own: ${JSON.stringify(outcome.reply.slice(0, 120))}`,
        });
      }
    } else {
      const text = failure(request, outcome, index.faults);
      if (text) violations.push({ t: outcome.t, text });
      else allowed.set(outcome.code, (allowed.get(outcome.code) ?? 0) + 1);
    }
  }
  const kinds = new Set(index.requests.map((request) => request.invoked.kind));
  const missing =
    expected.telegram && !kinds.has("telegram")
      ? "no Telegram message was sent"
      : expected.websocket && !kinds.has("ws")
        ? "no turn was sent over WebSocket"
        : undefined;
  return judge("requests", "no request is lost silently", {
    evaluated: index.requests.length,
    of: "requests",
    violations,
    missing,
    note: [...allowed].map(([code, count]) => `${count} × ${code}`).join(", "),
  });
}
