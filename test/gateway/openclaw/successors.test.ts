import { afterEach, expect, test } from "vitest";
import { connectGateway } from "../../../gateway/openclaw/client.ts";
import type { TurnRequest } from "../../../gateway/openclaw/port.ts";
import { type FakePeer, type Handler, startFakeGateway } from "./fake-gateway.ts";

const SESSION = "agent:main:alice";
const SUCCESSOR = "agent:main:dashboard:1";
const LATER = "agent:main:dashboard:2";

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const undo of cleanup.splice(0).reverse()) await undo();
});

const text = (words: string) => ({ role: "assistant", content: [{ type: "text", text: words }] });
const asked = (key: string, words = "hi") => ({
  role: "user",
  content: words,
  idempotencyKey: `${key}:user`,
});
const closing = {
  ...text("I couldn't continue"),
  idempotencyKey: "main-session-restart-recovery:r:failed-notice",
};
const continuation = asked("c", "[System] Continue from the recovered transcript and finish it.");
const request = (more: Partial<TurnRequest> = {}): TurnRequest => ({
  runId: "run-1",
  agent: "main",
  session: "alice",
  message: "hi",
  mayHaveRun: false,
  budgetMs: 20_000,
  ...more,
});

/** A gateway whose sessions in `next` are closed, each going on under the key behind it. */
async function start(next: Record<string, string>, more: Record<string, Handler> = {}) {
  const rows: Record<string, unknown[]> = {};
  const archived = new Set<string>();
  let waits = 0;
  const fake = await startFakeGateway({
    "chat.send": (params, peer: FakePeer) => {
      const key = String(params.sessionKey);
      if (next[key]) {
        throw new Error(
          `Session "${key}" ended during restart recovery. Use /new or /reset to start one.`,
        );
      }
      const runId = params.idempotencyKey;
      queueMicrotask(() =>
        peer.event("chat", { runId, sessionKey: key, state: "final", message: text(`in ${key}`) }),
      );
      return { status: "started" };
    },
    "chat.history": ({ sessionKey }) => ({
      messages: rows[String(sessionKey)] ?? [],
      sessionInfo: { status: "failed", activeRunIds: [] },
    }),
    "sessions.describe": ({ key }) => ({
      session: {
        key,
        sessionId: `id of ${key}`,
        archived: archived.has(String(key)),
        ...(next[String(key)] ? { restartRecoveryStatus: "tombstoned" } : {}),
      },
    }),
    "sessions.list": (params) => {
      const sessions = Object.entries(next).flatMap(([before, key]) =>
        archived.has(before) ? [{ key, previousSessionId: `id of ${before}` }] : [],
      );
      return { sessions: params.archived === true ? [] : sessions };
    },
    "agent.wait": () => ({ status: waits++ === 0 ? "timeout" : "ok" }),
    "sessions.recover": ({ key }) => {
      if (!next[String(key)])
        throw new Error("Session recovery requires a restart-tombstoned session.");
      archived.add(String(key));
      const continuation = { status: "started", runId: "c" };
      return { ok: true, key: next[String(key)], continuation };
    },
    ...more,
  });
  cleanup.push(() => fake.close());
  const gateway = connectGateway({ port: fake.port, token: "secret" });
  cleanup.push(() => gateway.close());
  const recovered = () =>
    fake.calls
      .filter(({ method }) => method === "sessions.recover")
      .map(({ params }) => params.key);
  await gateway.ready();
  return { fake, gateway, rows, archived, recovered };
}

test("a conversation that OpenClaw closed goes on in its successor, which is asked for once", async () => {
  const { gateway, recovered } = await start({ [SESSION]: SUCCESSOR });
  expect((await gateway.runTurn(request())).reply).toBe(`in ${SUCCESSOR}`);
  expect((await gateway.runTurn(request({ runId: "run-2" }))).reply).toBe(`in ${SUCCESSOR}`);
  expect(recovered()).toEqual([SESSION]);
});

test("and in the successor of that, when it is closed as well", async () => {
  const { gateway, recovered } = await start({ [SESSION]: SUCCESSOR, [SUCCESSOR]: LATER });
  expect((await gateway.runTurn(request())).reply).toBe(`in ${LATER}`);
  expect(recovered()).toEqual([SESSION, SUCCESSOR]);
});

test("two that ask for it at once get the same one, made once", async () => {
  const { gateway, recovered } = await start({ [SESSION]: SUCCESSOR });
  const [present, answer] = await Promise.all([
    gateway.presentSession(SESSION),
    gateway.runTurn(request()),
  ]);
  expect([present, answer.reply]).toEqual([SUCCESSOR, `in ${SUCCESSOR}`]);
  expect(recovered()).toEqual([SESSION]);
  expect(await gateway.presentSession("agent:main:open")).toBe("agent:main:open");
});

test("a turn whose recovery was given up is answered by what its successor makes of it", async () => {
  const { gateway, rows, recovered } = await start({ [SESSION]: SUCCESSOR });
  const before = [asked("run-1"), closing];
  rows[SESSION] = before;
  rows[SUCCESSOR] = [...before, continuation, text("at last")];
  const answer = await gateway.runTurn(request({ mayHaveRun: true }));
  expect(answer).toMatchObject({ reply: "at last", recovered: true });
  expect(recovered()).toEqual([SESSION]);
});

test("a run that ended is found in the successor, though OpenClaw takes its key in the closed session", async () => {
  const done = { "chat.send": () => ({ status: "ok" }) };
  const { gateway, rows, archived } = await start({ [SESSION]: SUCCESSOR }, done);
  archived.add(SESSION);
  rows[SUCCESSOR] = [asked("run-1"), { ...text("there"), __openclaw: { runId: "run-1" } }];
  expect((await gateway.runTurn(request({ mayHaveRun: true }))).reply).toBe("there");
});

test("a turn that was answered in a successor is found there after another start of the gateway", async () => {
  const { gateway, rows, archived, recovered } = await start({ [SESSION]: SUCCESSOR });
  archived.add(SESSION);
  rows[SESSION] = [asked("run-0"), closing];
  const answer = { ...text("there"), __openclaw: { runId: "run-1" } };
  rows[SUCCESSOR] = [asked("run-0"), closing, continuation, text("x"), asked("run-1"), answer];
  expect((await gateway.runTurn(request({ mayHaveRun: true }))).reply).toBe("there");
  // Made once more, it would take up the interrupted turn once more.
  expect(recovered()).toEqual([]);
});

test("a session that OpenClaw does not go on with is an error of the turn, in its words", async () => {
  const { gateway } = await start(
    { [SESSION]: SUCCESSOR },
    {
      "sessions.recover": () => {
        throw new Error("Session recovery state is incomplete.");
      },
    },
  );
  await expect(gateway.runTurn(request())).rejects.toMatchObject({
    kind: "failed",
    message: "Session recovery state is incomplete.",
  });
});

test("a turn that nobody goes on with is an error, not a wait", async () => {
  const { gateway, rows } = await start({ [SESSION]: SUCCESSOR });
  const before = [asked("run-1"), closing];
  rows[SESSION] = before;
  rows[SUCCESSOR] = before;
  await expect(gateway.runTurn(request({ mayHaveRun: true }))).rejects.toMatchObject({
    kind: "failed",
  });
});
