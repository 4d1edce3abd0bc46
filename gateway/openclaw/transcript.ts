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

/** What a page tells of a run, and under which key it stands or is to be sent. */
export function traceRun(page: HistoryPage, runId: string): { trace: TurnTrace; key: string } {
  for (let attempt = 0; ; attempt++) {
    const key = attemptKey(runId, attempt);
    const trace = traceTurn(page, key);
    if (trace.state !== "dropped" || attempt === MAX_ATTEMPTS - 1) return { trace, key };
  }
}

/** Looks a run up in its session's transcript, as far back as it takes. */
export async function lookUp(
  socket: Pick<GatewaySocket, "call">,
  session: string,
  runId: string,
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
    const found = traceRun(all, runId);
    if (found.trace.state !== "absent") return found;
    if (!page.hasMore || page.nextOffset === undefined || all.messages.length >= MAX_ROWS) {
      return found;
    }
    offset = page.nextOffset;
  }
}
