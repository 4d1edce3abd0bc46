/**
 * What a session's transcript says about one turn. The transcript is the only thing that survives a
 * crash of OpenClaw with the turn's id in it; the rules below were measured (docs/openclaw.md).
 */

/** One row of `chat.history`; only what the rules read. */
export interface HistoryRow {
  role: string;
  content?: unknown;
  /** `<key>:user` on the row of a question; OpenClaw's own on what it writes itself. */
  idempotencyKey?: string;
  stopReason?: string;
  errorMessage?: string;
  /** Of a row with role `custom`: what it reports. */
  customType?: string;
  /** When it was written, milliseconds since 1970 by the gateway's clock. */
  timestamp?: number;
  usage?: { input?: number; output?: number; totalTokens?: number };
  __openclaw?: { runId?: string; id?: string };
}

/** A page of `chat.history`, or several joined, oldest row first. */
export interface HistoryPage {
  messages: HistoryRow[];
  pendingInputs?: { items: { runId?: string; state: string }[] };
  inputReceipts?: { runId: string; state: string }[];
  sessionInfo?: {
    /** How the session's last run ended, or `running`. */
    status?: string;
    /** When that run ended, by the same clock as the rows. */
    endedAt?: number;
    activeRunIds?: string[];
    abortedLastRun?: boolean;
  };
}

export type Usage = { input: number; output: number; total: number };

export type TurnTrace =
  /** Its answer is there. `recovered`: under another run's id, from a queue or OpenClaw's recovery. */
  | { state: "answered"; reply: string; usage: Usage | null; recovered: boolean }
  /** It ended without an answer. */
  | { state: "failed"; message: string }
  /** It runs, waits in a queue, or will be taken up by OpenClaw's own recovery. */
  | { state: "waiting" }
  /**
   * The question is stored and no model was called: sending the same key again runs it, once. `late`: unless its run
   * ended a moment ago and its answer's row is still to come, so look again before that.
   */
  | { state: "unstarted"; late?: true }
  /**
   * It waited in a queue that a crash ended, or OpenClaw could not begin it: no model was called, its
   * key is burnt, it must be sent under a new one.
   */
  | { state: "dropped" }
  /** Crashes ended its recovery too often: OpenClaw closed its session, and a successor of that must go on with it. */
  | { state: "abandoned" }
  /** Nothing is known of it. */
  | { state: "absent" };

/** Begins the row that OpenClaw writes when it takes up a turn that a restart interrupted. */
const RECOVERY = "[System] Your previous turn was interrupted";
/** Begins the row with which a closed session is gone on with, in its successor or open again. */
export const CONTINUATION = "[System] Continue from the recovered transcript";
/** Key of the row, an assistant's by its role, with which OpenClaw closes a session. */
const CLOSING = /^main-session-restart-recovery:.*:failed-notice$/;
/** Kind of the row that OpenClaw writes when a run ended before it said anything. */
const FAILED_BEFORE_REPLY = "run-failed-before-reply";
/**
 * OpenClaw's threads wait 5 s for each other's locks, then the run that waits ends with one of the first. The last is said
 * to a run that comes upon another one of its session, as after a recovery.
 */
const CONTENTION =
  /another OpenClaw process owns state-|database is locked|SQLITE_BUSY|already has an active turn claim/;

/** True when OpenClaw's own storage was busy: nothing is wrong with the turn, it may be tried again. */
export function isContention(message: string): boolean {
  return CONTENTION.test(message);
}

/** What the page tells of the turn with this key. */
export function traceTurn(page: HistoryPage, key: string): TurnTrace {
  const rows = page.messages;
  const at = rows.findIndex(
    (row) => row.role === "user" && row.idempotencyKey === `${key}:user` && !isRecovery(row),
  );
  if (at < 0) return traceQueue(page, key);

  const own = rows.slice(at + 1).filter((row) => row.__openclaw?.runId === key);
  const answer = own.findLast(isFinal);
  if (answer) return answered(answer, own, false);

  // Everything up to the next question belongs to this one, recovery rows included.
  const after = rows.slice(at + 1);
  const next = after.findIndex((row) => isQuestion(row));
  const block = next < 0 ? after : after.slice(0, next);
  const recovered = block.findLast(isFinal);
  if (recovered) {
    const run = recovered.__openclaw?.runId;
    return answered(
      recovered,
      block.filter((row) => run !== undefined && row.__openclaw?.runId === run),
      true,
    );
  }
  const closed = block.findLastIndex(isClosing);
  if (closed >= 0 && !block.slice(closed).some(isContinuation)) return { state: "abandoned" };
  const report = own.findLast((row) => row.customType === FAILED_BEFORE_REPLY);
  if (report) {
    const message = textOfRow(report);
    // Rows of the run's own would be traces of a model call: that is not run a second time.
    if (isContention(message) && !own.some((row) => row !== report)) return { state: "dropped" };
    return { state: "failed", message };
  }
  const { status, activeRunIds, endedAt } = page.sessionInfo ?? {};
  if (status === "running" || (activeRunIds?.length ?? 0) > 0) return { state: "waiting" };
  // Merged into a running turn: one answer serves both questions, behind the later one.
  const merged = after.find(isFinal);
  if (merged) return answered(merged, [merged], true);
  const error = block.findLast((row) => row.stopReason === "error" || row.errorMessage);
  if (error) {
    const message = error.errorMessage ?? (textOfRow(error) || "the model failed");
    return { state: "failed", message };
  }
  // No status at all: the session was made for this turn, and its run never began.
  if (status === undefined) return { state: "unstarted" };
  // A status from before the question speaks of an earlier run.
  const asked = rows[at]?.timestamp;
  if (asked !== undefined && endedAt !== undefined && endedAt < asked) {
    return { state: "unstarted" };
  }
  if (status === "done") {
    // Only tools were called. Without any row of the agent the status is another run's.
    const silent = block.some((row) => row.role === "assistant");
    if (!silent) return { state: "unstarted", late: true };
    return { state: "answered", reply: "", usage: sumUsage(own), recovered: false };
  }
  return { state: "failed", message: `OpenClaw ended the turn without an answer (${status})` };
}

function traceQueue(page: HistoryPage, key: string): TurnTrace {
  const item = page.pendingInputs?.items.find((candidate) => candidate.runId === key);
  if (item?.state === "interrupted") return { state: "dropped" };
  if (item?.state === "cancelled") return { state: "failed", message: "the turn was cancelled" };
  const receipt = page.inputReceipts?.find((candidate) => candidate.runId === key);
  if (item !== undefined || receipt?.state === "pending") return { state: "waiting" };
  return { state: "absent" };
}

function answered(row: HistoryRow, run: HistoryRow[], recovered: boolean): TurnTrace {
  return { state: "answered", reply: textOfRow(row), usage: sumUsage(run), recovered };
}

/** True when the last that was said in these rows is an answer. */
export function isAnswered(rows: readonly HistoryRow[]): boolean {
  const last = rows.findLast((row) => row.role !== "custom" && !isClosing(row));
  return last === undefined || isFinal(last);
}

/** An assistant's last word: not one that only calls tools, not a failed or cut one. */
function isFinal(row: HistoryRow): boolean {
  if (row.role !== "assistant" || isClosing(row)) return false;
  const stop = row.stopReason;
  if (stop !== undefined && stop !== "stop" && stop !== "length" && stop !== "endTurn")
    return false;
  return textOfRow(row) !== "";
}

function isQuestion(row: HistoryRow): boolean {
  return row.role === "user" && !isRecovery(row);
}

function isRecovery(row: HistoryRow): boolean {
  return textOfRow(row).startsWith(RECOVERY) || isContinuation(row);
}

function isContinuation(row: HistoryRow): boolean {
  return row.role === "user" && textOfRow(row).startsWith(CONTINUATION);
}

/** True for the row with which OpenClaw closes a session. */
export function isClosing(row: HistoryRow): boolean {
  return row.role === "assistant" && CLOSING.test(row.idempotencyKey ?? "");
}

/** The text of a row, whichever form its content has. */
export function textOfRow(row: HistoryRow): string {
  if (typeof row.content === "string") return row.content;
  if (!Array.isArray(row.content)) return "";
  return row.content
    .map((part: { type?: unknown; text?: unknown } | null) =>
      part?.type === "text" && typeof part.text === "string" ? part.text : "",
    )
    .filter((text) => text !== "")
    .join("\n\n");
}

/** Tokens of all model calls of a run; null when no row says. */
export function sumUsage(rows: HistoryRow[]): Usage | null {
  let usage: Usage | null = null;
  for (const row of rows) {
    if (row.role !== "assistant" || !row.usage) continue;
    const { input = 0, output = 0, totalTokens } = row.usage;
    usage ??= { input: 0, output: 0, total: 0 };
    usage.input += input;
    usage.output += output;
    usage.total += totalTokens ?? input + output;
  }
  return usage;
}
