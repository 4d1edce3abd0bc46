import { describe, expect, test } from "vitest";
import type { HistoryPage, HistoryRow } from "../../../gateway/openclaw/history.ts";
import { traceTurn } from "../../../gateway/openclaw/history.ts";
import { attemptKey, traceRun } from "../../../gateway/openclaw/transcript.ts";

const asked = (key: string, text = "q"): HistoryRow => ({
  role: "user",
  content: text,
  idempotencyKey: `${key}:user`,
});
const said = (runId: string, text: string, more: Partial<HistoryRow> = {}): HistoryRow => ({
  role: "assistant",
  content: [{ type: "text", text }],
  stopReason: "stop",
  usage: { input: 10, output: 2, totalTokens: 12 },
  __openclaw: { runId },
  ...more,
});
const system = (key: string): HistoryRow =>
  asked(key, "[System] Your previous turn was interrupted by a gateway restart while it ran.");
/** What OpenClaw writes when crashes ended a recovery too often. */
const closing: HistoryRow = {
  role: "assistant",
  content: [{ type: "text", text: "I couldn't continue this session after a gateway restart." }],
  stopReason: "stop",
  idempotencyKey: "main-session-restart-recovery:r:failed-notice",
};
/** The first thing in a successor that is new. */
const continuation = asked(
  "restart-recovery-rollover:s",
  "[System] Continue from the recovered transcript and finish the interrupted work.",
);
/** What OpenClaw writes when a run ended before it said anything. */
const report = (runId: string, why: string): HistoryRow => ({
  role: "custom",
  customType: "run-failed-before-reply",
  content: `This turn ended before a reply: ${why}`,
  __openclaw: { runId },
});
const BUSY =
  "StateDatabaseCoordinatorContentionError: another OpenClaw process owns state-lifecycle";
const page = (
  messages: HistoryRow[],
  status?: string,
  more: Partial<HistoryPage> = {},
): HistoryPage => ({
  messages,
  sessionInfo: { status, activeRunIds: [] },
  ...more,
});

describe("what the transcript says about a turn", () => {
  test("an answer under its own id is its answer, with the usage of all its calls", () => {
    const rows = [
      asked("a"),
      said("a", "thinking", { stopReason: "toolUse" }),
      said("a", "done"),
      asked("b"),
      said("b", "other"),
    ];
    expect(traceTurn(page(rows, "done"), "a")).toEqual({
      state: "answered",
      reply: "done",
      usage: { input: 20, output: 4, total: 24 },
      recovered: false,
    });
  });

  test("its own answer counts also while OpenClaw runs its recovery once more", () => {
    const rows = [asked("a"), said("a", "first"), system("r"), said("r", "again")];
    expect(traceTurn(page(rows, "running"), "a")).toMatchObject({
      reply: "first",
      recovered: false,
    });
  });

  test("a question alone in a running session waits for the recovery", () => {
    expect(traceTurn(page([asked("a")], "running"), "a").state).toBe("waiting");
    expect(traceTurn(page([asked("a"), system("r")], "running"), "a").state).toBe("waiting");
    const cut = said("a", "You", { stopReason: "aborted" });
    expect(traceTurn(page([asked("a"), cut, system("r")], "running"), "a").state).toBe("waiting");
  });

  test("a turn whose session OpenClaw closed must go on in a successor, and is not answered by the notice", () => {
    const rows = [asked("a"), system("r1"), system("r2"), closing];
    expect(traceTurn(page(rows, "failed"), "a")).toEqual({ state: "abandoned" });
    // Of earlier turns nothing is taken back.
    const earlier = [asked("z"), said("z", "kept"), ...rows];
    expect(traceTurn(page(earlier, "failed"), "z")).toMatchObject({ reply: "kept" });

    const successor = [...rows, continuation];
    expect(traceTurn(page(successor, "running"), "a")).toEqual({ state: "waiting" });
    const answer = [...successor, said("c", "at last"), asked("b"), said("b", "no")];
    expect(traceTurn(page(answer, "done"), "a")).toMatchObject({
      state: "answered",
      reply: "at last",
      recovered: true,
    });
    // Closed once more: again in a successor.
    const again = [...successor, system("r3"), closing];
    expect(traceTurn(page(again, "failed"), "a")).toEqual({ state: "abandoned" });
    const error = [...successor, said("c", "", { stopReason: "error", errorMessage: "no" })];
    expect(traceTurn(page(error, "failed"), "a")).toEqual({ state: "failed", message: "no" });
  });

  test("the answer behind the recovery row is its answer", () => {
    const rows = [asked("a"), system("r"), said("r", "recovered"), asked("b"), said("b", "no")];
    expect(traceTurn(page(rows, "done"), "a")).toMatchObject({
      state: "answered",
      reply: "recovered",
      recovered: true,
    });
  });

  test("an answer to somebody else's later question is not taken while the session is busy", () => {
    const rows = [asked("a"), asked("b"), said("b", "b's")];
    expect(traceTurn(page(rows, "running"), "a").state).toBe("waiting");
    expect(traceTurn(page(rows, "done"), "a")).toMatchObject({ state: "answered", reply: "b's" });
  });

  test("a question in a session that never ran anything was not begun", () => {
    expect(traceTurn(page([asked("a")]), "a").state).toBe("unstarted");
  });

  test("a status from before the question is not its end: it was not begun", () => {
    const rows = [asked("x"), said("x", "old"), { ...asked("a"), timestamp: 2_000 }];
    for (const status of ["done", "failed", "killed"]) {
      const info = { status, activeRunIds: [] };
      const before = { messages: rows, sessionInfo: { ...info, endedAt: 1_999 } };
      expect(traceTurn(before, "a")).toEqual({ state: "unstarted" });
      const after = { messages: rows, sessionInfo: { ...info, endedAt: 2_000 } };
      expect(traceTurn(after, "a").state).toBe(status === "done" ? "unstarted" : "failed");
    }
  });

  test("what OpenClaw could not begin for its busy storage is to be sent under the next key", () => {
    const rows = [asked("x"), said("x", "old"), asked("a"), report("a", BUSY)];
    expect(traceTurn(page(rows, "failed"), "a").state).toBe("dropped");
    expect(traceRun(page(rows, "failed"), "a")).toEqual({ trace: { state: "absent" }, key: "a.2" });
    const locked = [asked("a"), report("a", "database is locked")];
    expect(traceTurn(page(locked, "failed"), "a").state).toBe("dropped");
    const claimed = [asked("a"), report("a", "Session 1 already has an active turn claim")];
    expect(traceTurn(page(claimed, "failed"), "a").state).toBe("dropped");
  });

  test("a run that had begun before the storage was busy is not run again", () => {
    const tool = said("a", "let me look", { stopReason: "toolUse" });
    const rows = [asked("a"), tool, report("a", BUSY)];
    expect(traceTurn(page(rows, "failed"), "a")).toMatchObject({
      state: "failed",
      message: expect.stringContaining("state-lifecycle"),
    });
  });

  test("any other reason before a reply is the turn's failure, also when others went on", () => {
    const rows = [asked("a"), report("a", "no API key"), asked("b"), said("b", "b's")];
    expect(traceTurn(page(rows, "done"), "a")).toEqual({
      state: "failed",
      message: "This turn ended before a reply: no API key",
    });
  });

  test("an attempt that left no row does not hide the later one that did", () => {
    const rows = [asked("a.2"), said("a.2", "second")];
    expect(traceRun(page(rows, "done"), "a")).toMatchObject({
      trace: { state: "answered", reply: "second" },
      key: "a.2",
    });
    expect(traceRun(page([asked("a.2")], "running"), "a")).toEqual({
      trace: { state: "waiting" },
      key: "a.2",
    });
  });

  test("a burnt key is not sent again, and after the last one the turn is dropped", () => {
    const keys = (n: number) => new Set(Array.from({ length: n }, (_, i) => attemptKey("a", i)));
    expect(traceRun(page([], "done"), "a", keys(1))).toEqual({
      trace: { state: "absent" },
      key: "a.2",
    });
    expect(traceRun(page([asked("a")]), "a", keys(1)).key).toBe("a.2");
    expect(traceRun(page([], "done"), "a", keys(8)).trace.state).toBe("dropped");
  });

  test("a finished run that only called tools is an empty answer; any other end a failure", () => {
    const tool = said("a", "", { stopReason: "toolUse" });
    expect(traceTurn(page([asked("a"), tool], "done"), "a")).toMatchObject({
      state: "answered",
      reply: "",
    });
    expect(traceTurn(page([asked("a")], "done"), "a")).toEqual({ state: "unstarted", late: true });
    expect(traceTurn(page([asked("a")], "killed"), "a").state).toBe("failed");
    const error = said("x", "", { stopReason: "error", errorMessage: "HTTP 400", content: [] });
    expect(traceTurn(page([asked("a"), error], "failed"), "a")).toEqual({
      state: "failed",
      message: "HTTP 400",
    });
  });

  test("what is not in the transcript is absent, or stands in the queue", () => {
    const queue = (state: string) =>
      page([], "running", { pendingInputs: { items: [{ runId: "a", state }] } });
    expect(traceTurn(page([asked("b")], "running"), "a").state).toBe("absent");
    expect(traceTurn(queue("queued"), "a").state).toBe("waiting");
    expect(traceTurn(queue("interrupted"), "a").state).toBe("dropped");
    expect(traceTurn(queue("cancelled"), "a").state).toBe("failed");
    const receipt = page([], "running", { inputReceipts: [{ runId: "a", state: "pending" }] });
    expect(traceTurn(receipt, "a").state).toBe("waiting");
  });

  test("a turn that a crash dropped from a queue goes on under its next key", () => {
    const items = [{ runId: "a", state: "interrupted" }];
    const first = traceRun(page([], "done", { pendingInputs: { items } }), "a");
    expect(first).toEqual({ trace: { state: "absent" }, key: "a.2" });
    const rows = [asked("a.2"), said("a.2", "finally")];
    const second = traceRun(page(rows, "done", { pendingInputs: { items } }), "a");
    expect(second).toMatchObject({ trace: { reply: "finally" }, key: "a.2" });
    expect(attemptKey("a", 0)).toBe("a");
  });
});
