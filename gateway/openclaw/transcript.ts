import { type HistoryPage, type TurnTrace, traceTurn } from "./history.ts";
import type { GatewaySocket } from "./socket.ts";

/** Rows of one page of history; OpenClaw's limit is 1,000. */
const PAGE_ROWS = 200;
/** Rows looked through for a key before it counts as absent. */
const MAX_ROWS = 10_000;
/** Longest text of a row that OpenClaw hands out; its default cuts long answers. */
const MAX_ROW_CHARS = 500_000;
/** Times a turn is sent under a new key because a crash ended the queue it waited in. */
export const MAX_ATTEMPTS = 8;

export function sessionKey(agent: string, session: string): string {
  return `agent:${agent}:${session}`.toLowerCase();
}

/** Key of the n-th attempt (from 0). The first is the run id itself. */
export function attemptKey(runId: string, attempt: number): string {
  return attempt === 0 ? runId : `${runId}.${attempt + 1}`;
}

/**
 * What a page tells of a run, and under which key it stands or is to be sent. `burnt` are keys that
 * the running gateway will not take again.
 */
export function traceRun(
  page: HistoryPage,
  runId: string,
  burnt: ReadonlySet<string> = new Set(),
): { trace: TurnTrace; key: string } {
  let last: { trace: TurnTrace; attempt: number } | null = null;
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const key = attemptKey(runId, attempt);
    const seen = traceTurn(page, key);
    if (seen.state === "answered") return { trace: seen, key };
    // A key is burnt in memory only, and the attempt may have left no row.
    const idle = seen.state === "absent" || seen.state === "unstarted";
    const trace: TurnTrace = idle && burnt.has(key) ? { state: "dropped" } : seen;
    if (trace.state !== "absent") last = { trace, attempt };
  }
  if (last === null) return { trace: { state: "absent" }, key: runId };
  const { trace, attempt } = last;
  if (trace.state === "dropped" && attempt + 1 < MAX_ATTEMPTS) {
    return { trace: { state: "absent" }, key: attemptKey(runId, attempt + 1) };
  }
  return { trace, key: attemptKey(runId, attempt) };
}

/** Looks a run up in its session's transcript, as far back as it takes. */
export async function lookUp(
  socket: Pick<GatewaySocket, "call">,
  session: string,
  runId: string,
  burnt: ReadonlySet<string> = new Set(),
): Promise<{ trace: TurnTrace; key: string }> {
  const keys = Array.from({ length: MAX_ATTEMPTS }, (_, n) => attemptKey(runId, n));
  const all: HistoryPage = { messages: [] };
  let offset = 0;
  for (;;) {
    const page = await socket.call<HistoryPage & { hasMore?: boolean; nextOffset?: number }>(
      "chat.history",
      {
        sessionKey: session,
        limit: PAGE_ROWS,
        maxChars: MAX_ROW_CHARS,
        ...(offset === 0 ? { inputRunIds: keys } : { offset }),
      },
    );
    if (offset === 0) {
      all.pendingInputs = page.pendingInputs;
      all.inputReceipts = page.inputReceipts;
      all.sessionInfo = page.sessionInfo;
    }
    all.messages.unshift(...page.messages);
    const found = traceRun(all, runId, burnt);
    // Known by an earlier attempt: a later one would stand behind it, so it was never made.
    if (found.trace.state !== "absent" || found.key !== runId) return found;
    if (!page.hasMore || page.nextOffset === undefined || all.messages.length >= MAX_ROWS) {
      return found;
    }
    offset = page.nextOffset;
  }
}
