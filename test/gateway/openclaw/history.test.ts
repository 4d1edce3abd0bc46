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

  test("a finished run without words is an empty answer; any other end a failure", () => {
    expect(traceTurn(page([asked("a")], "done"), "a")).toMatchObject({
      state: "answered",
      reply: "",
    });
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
