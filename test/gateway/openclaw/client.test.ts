import { afterEach, describe, expect, test } from "vitest";
import { connectGateway } from "../../../gateway/openclaw/client.ts";
import { type GatewayPort, TurnError, type TurnRequest } from "../../../gateway/openclaw/port.ts";
import { type FakePeer, type Handler, startFakeGateway } from "./fake-gateway.ts";

/** A loaded machine takes its time. */
const SOON = { timeout: 20_000 };

type Params = Record<string, unknown>;
const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const undo of cleanup.splice(0).reverse()) await undo();
});

async function start(methods: Record<string, Handler>, token = "secret") {
  const fake = await startFakeGateway(methods);
  cleanup.push(() => fake.close());
  const gateway = connectGateway({ port: fake.port, token });
  cleanup.push(() => gateway.close());
  return { fake, gateway };
}

const request = (more: Partial<TurnRequest> = {}): TurnRequest => ({
  runId: "run-1",
  agent: "main",
  session: "alice",
  message: "hi",
  mayHaveRun: false,
  budgetMs: 20_000,
  ...more,
});
const text = (words: string) => ({ role: "assistant", content: [{ type: "text", text: words }] });
const chat = (peer: FakePeer, runId: unknown, state: string, words?: string, more: object = {}) =>
  peer.event("chat", {
    runId,
    sessionKey: "agent:main:alice",
    state,
    ...(words === undefined ? {} : { message: text(words) }),
    ...more,
  });
const row = (peer: FakePeer, runId: unknown, words: string) =>
  peer.event("session.message", {
    sessionKey: "agent:main:alice",
    agentId: "main",
    messageId: `row-${runId}`,
    message: { ...text(words), usage: { input: 5, output: 2 }, __openclaw: { runId } },
  });
const asked = (key: string) => ({ role: "user", content: "hi", idempotencyKey: `${key}:user` });

/** Answers every turn at once. */
const echo: Handler = (params, peer) => {
  queueMicrotask(() => {
    row(peer, params.idempotencyKey, `re: ${params.message}`);
    chat(peer, params.idempotencyKey, "final", `re: ${params.message}`);
  });
  return { status: "started" };
};

async function caught(promise: Promise<unknown>) {
  return promise.then(
    () => "no error",
    (error) => ({ kind: error.kind, reached: error.reached, message: error.message }),
  );
}

describe("connections", () => {
  test("turns go over a connection without admin rights, the rest over another", async () => {
    const { fake, gateway } = await start({ "chat.send": echo });
    await gateway.ready();
    expect(gateway.connected).toBe(true);
    expect(fake.scopes.map((scopes) => scopes.includes("operator.admin")).sort()).toEqual([
      false,
      true,
    ]);
  });

  test("a cut connection comes back by itself", async () => {
    const { fake, gateway } = await start({ "chat.send": echo });
    await gateway.ready();
    fake.cutAll();
    await expect.poll(() => gateway.connected, SOON).toBe(false);
    await gateway.ready();
    expect((await gateway.runTurn(request())).reply).toBe("re: hi");
  });

  test("ready ends with its signal when OpenClaw refuses the token", async () => {
    const { gateway } = await start({}, "wrong");
    await expect(gateway.ready(AbortSignal.timeout(200))).rejects.toThrow();
    expect(await caught(gateway.runTurn(request()))).toMatchObject({
      kind: "lost",
      reached: false,
    });
  });
});

describe("a turn", () => {
  test("streams each piece once and ends with its answer and usage", async () => {
    const { fake, gateway } = await start({
      "chat.send": (params, peer) => {
        const run = params.idempotencyKey;
        queueMicrotask(() => {
          chat(peer, run, "delta", "one");
          chat(peer, "another-run", "delta", "not mine");
          chat(peer, run, "delta", "one two");
          row(peer, run, "one two three");
          chat(peer, run, "final", "one two three");
        });
        return { status: "started" };
      },
    });
    await gateway.ready();
    const deltas: string[] = [];
    let reachedAfter = -1;
    const result = await gateway.runTurn(
      request({
        onDelta: (piece) => deltas.push(piece),
        onReached: () => {
          reachedAfter = fake.calls.filter((call) => call.method === "chat.send").length;
        },
      }),
    );
    expect(deltas).toEqual(["one", " two", " three"]);
    expect(reachedAfter).toBe(0);
    expect(result).toEqual({
      reply: "one two three",
      usage: { input: 5, output: 2, total: 7 },
      recovered: false,
    });
    const sent = fake.calls.find((call) => call.method === "chat.send");
    expect(sent?.params).toEqual({
      sessionKey: "agent:main:alice",
      message: "hi",
      idempotencyKey: "run-1",
    });
  });

  test("turns of one session wait for each other, of two sessions they do not", async () => {
    const open: { params: Params; peer: FakePeer }[] = [];
    const { gateway } = await start({
      "chat.send": (params, peer) => {
        open.push({ params, peer });
        return { status: "started" };
      },
    });
    await gateway.ready();
    const first = gateway.runTurn(request({ runId: "a" }));
    const second = gateway.runTurn(request({ runId: "b" }));
    const other = gateway.runTurn(request({ runId: "c", session: "bob" }));
    await expect
      .poll(() => open.map(({ params }) => params.idempotencyKey), SOON)
      .toEqual(["a", "c"]);
    const finish = (at: number) => {
      const { params, peer } = open[at] as (typeof open)[number];
      chat(peer, params.idempotencyKey, "final", "ok");
    };
    finish(0);
    await first;
    await expect.poll(() => open.length, SOON).toBe(3);
    finish(1);
    finish(2);
    await Promise.all([second, other]);
  });

  test("one that is queued behind another client's run gets the answer that the transcript has", async () => {
    let rows: object[] = [];
    let status = "running";
    const { gateway } = await start({
      "chat.send": (params, peer) => {
        queueMicrotask(() => chat(peer, params.idempotencyKey, "final"));
        setTimeout(() => {
          rows = [
            asked("run-1"),
            { ...text("late"), stopReason: "stop", __openclaw: { runId: "x" } },
          ];
          status = "done";
          chat(peer, "x", "final", "late");
        }, 20);
        return { status: "started" };
      },
      "chat.history": () => ({
        messages: rows,
        inputReceipts: rows.length ? [] : [{ runId: "run-1", state: "pending" }],
        sessionInfo: { status },
      }),
    });
    await gateway.ready();
    expect(await gateway.runTurn(request())).toMatchObject({ reply: "late", recovered: true });
  });

  test.each([
    ["error", { errorMessage: "HTTP 400" }, { kind: "failed", reached: true, message: "HTTP 400" }],
    ["aborted", {}, { kind: "aborted", reached: true }],
  ])("an end in %s is told as such", async (state, more, expected) => {
    const { gateway } = await start({
      "chat.send": (params, peer) => {
        queueMicrotask(() => chat(peer, params.idempotencyKey, state, undefined, more));
        return { status: "started" };
      },
      "chat.history": () => ({ messages: [asked("run-1")], sessionInfo: { status: "killed" } }),
    });
    await gateway.ready();
    expect(await caught(gateway.runTurn(request()))).toMatchObject(expected);
  });

  describe("whose gateway's storage was busy", () => {
    const busy =
      "StateDatabaseCoordinatorContentionError: another OpenClaw process owns state-lifecycle";
    const report = (runId: string) => ({
      role: "custom",
      customType: "run-failed-before-reply",
      content: `This turn ended before a reply: ${busy}`,
      __openclaw: { runId },
    });
    const keys = (fake: { calls: { method: string; params: Params }[] }) =>
      fake.calls
        .filter(({ method }) => method === "chat.send")
        .map(({ params }) => params.idempotencyKey);
    /** Ends the first run before it begins; later ones are answered. */
    const once: Handler = (params, peer) => {
      if (params.idempotencyKey !== "run-1") return echo(params, peer);
      queueMicrotask(() => chat(peer, "run-1", "error", undefined, { errorMessage: busy }));
      return { status: "started" };
    };
    const ended = (more: object = {}) => ({ status: "error", error: busy, ...more });

    test.each([
      ["left its question", [asked("run-1"), report("run-1")]],
      ["left nothing", []],
    ])("is sent under the next key when the first try %s", async (_, messages) => {
      const { fake, gateway } = await start({
        "chat.send": once,
        "agent.wait": () => ended(),
        "chat.history": () => ({ messages, sessionInfo: { status: "failed" } }),
      });
      await gateway.ready();
      expect((await gateway.runTurn(request())).reply).toBe("re: hi");
      expect(keys(fake)).toEqual(["run-1", "run-1.2"]);
    });

    test("is sent under the next key also when its run ended before this client came", async () => {
      const { fake, gateway } = await start({
        "chat.send": (params, peer) => {
          if (params.idempotencyKey !== "run-1") return echo(params, peer);
          throw Object.assign(new Error(busy), { code: "UNAVAILABLE" });
        },
        "agent.wait": () => ended(),
        "chat.history": () => ({ messages: [], sessionInfo: {} }),
      });
      await gateway.ready();
      expect((await gateway.runTurn(request({ mayHaveRun: true }))).reply).toBe("re: hi");
      expect(keys(fake)).toEqual(["run-1", "run-1.2"]);
    });

    test.each(["error", "aborted"])(
      "ends in %s after its answer was stored: that is it",
      async (state) => {
        const stored = { ...text("stored"), stopReason: "stop", __openclaw: { runId: "run-1" } };
        const { fake, gateway } = await start({
          "chat.send": (_params, peer) => {
            queueMicrotask(() => chat(peer, "run-1", state, undefined, { errorMessage: busy }));
            return { status: "started" };
          },
          "agent.wait": () => ended({ startedAt: 1 }),
          "chat.history": () => ({
            messages: [asked("run-1"), stored],
            sessionInfo: { status: "killed" },
          }),
        });
        await gateway.ready();
        expect((await gateway.runTurn(request())).reply).toBe("stored");
        expect(keys(fake)).toEqual(["run-1"]);
      },
    );

    test("had begun and has no answer: it fails, and is not run twice", async () => {
      const { fake, gateway } = await start({
        "chat.send": once,
        "agent.wait": () => ended({ startedAt: 1 }),
        "chat.history": () => ({ messages: [asked("run-1")], sessionInfo: { status: "failed" } }),
      });
      await gateway.ready();
      expect(await caught(gateway.runTurn(request()))).toMatchObject({ kind: "failed" });
      expect(keys(fake)).toEqual(["run-1"]);
    });

    test("again and again is sent under a new key each time", async () => {
      const { fake, gateway } = await start({
        "chat.send": (params, peer) => {
          const run = params.idempotencyKey;
          queueMicrotask(() => chat(peer, run, "error", undefined, { errorMessage: busy }));
          return { status: "started" };
        },
        "agent.wait": () => ended(),
        "chat.history": () => ({ messages: [], sessionInfo: {} }),
      });
      await gateway.ready();
      const gone = new AbortController();
      const turn = caught(gateway.runTurn(request({ signal: gone.signal })));
      await expect.poll(() => keys(fake).length, SOON).toBeGreaterThan(2);
      gone.abort();
      expect(await turn).toMatchObject({ kind: "aborted", reached: true });
      expect(keys(fake).slice(0, 3)).toEqual(["run-1", "run-1.2", "run-1.3"]);
    });
  });

  test("an empty end is not its answer while the transcript has no row of the agent", async () => {
    let sends = 0;
    const info = { sessionInfo: { status: "done", endedAt: 10 } };
    const { gateway } = await start({
      "chat.send": (params, peer) => {
        if (++sends > 1) return echo(params, peer);
        queueMicrotask(() => chat(peer, params.idempotencyKey, "final"));
        return { status: "started" };
      },
      "chat.history": () => ({ ...info, messages: [{ ...asked("run-1"), timestamp: 20 }] }),
    });
    await gateway.ready();
    expect((await gateway.runTurn(request())).reply).toBe("re: hi");
  });

  test("an agent that says nothing has failed, although OpenClaw calls it aborted first", async () => {
    const { gateway } = await start({
      "chat.send": (params, peer) => {
        queueMicrotask(() => chat(peer, params.idempotencyKey, "aborted"));
        return { status: "started" };
      },
      "agent.wait": () => ({ status: "error", error: "no response", stopReason: "stop" }),
      "chat.history": () => ({ messages: [asked("run-1")], sessionInfo: { status: "killed" } }),
    });
    await gateway.ready();
    expect(await caught(gateway.runTurn(request()))).toMatchObject({
      kind: "failed",
      message: "no response",
    });
  });

  test("a key that a crash burnt in a queue gives way to the next", async () => {
    const { fake, gateway } = await start({
      "chat.send": (params, peer) => {
        if (params.idempotencyKey !== "run-1") return echo(params, peer);
        const message = "Pending input ownership ended; submit a new turn to continue";
        throw Object.assign(new Error(message), { code: "UNAVAILABLE" });
      },
      "chat.history": () => ({ messages: [], sessionInfo: {} }),
    });
    await gateway.ready();
    expect((await gateway.runTurn(request())).reply).toBe("re: hi");
    expect(fake.calls.filter(({ method }) => method === "chat.send")).toHaveLength(2);
  });

  test("nothing goes out when the caller's last look before the first byte says no", async () => {
    const { fake, gateway } = await start({ "chat.send": echo });
    await gateway.ready();
    const onReached = () => {
      throw new TurnError("lost", "the deadline has passed", false);
    };
    expect(await caught(gateway.runTurn(request({ onReached })))).toMatchObject({
      kind: "lost",
      reached: false,
    });
    expect((await gateway.runTurn(request())).reply).toBe("re: hi");
    expect(fake.calls.filter((call) => call.method === "chat.send")).toHaveLength(1);
  });

  test("closed admission is a refusal that was not reached", async () => {
    const { gateway } = await start({
      "chat.send": () => {
        throw Object.assign(new Error("suspended"), { code: "UNAVAILABLE" });
      },
    });
    await gateway.ready();
    expect(await caught(gateway.runTurn(request()))).toMatchObject({
      kind: "refused",
      reached: false,
    });
  });

  test("a connection that ends in mid-turn loses it, and it was reached", async () => {
    const { gateway } = await start({
      "chat.send": (_params, peer) => {
        setTimeout(() => peer.cut(), 5);
        return { status: "started" };
      },
    });
    await gateway.ready();
    expect(await caught(gateway.runTurn(request()))).toMatchObject({ kind: "lost", reached: true });
  });

  test("a caller who leaves aborts the run; one whose time is over does not", async () => {
    const { fake, gateway } = await start({ "chat.send": () => ({ status: "started" }) });
    await gateway.ready();
    const gone = new AbortController();
    const turn = caught(gateway.runTurn(request({ signal: gone.signal })));
    await expect
      .poll(() => fake.calls.some((call) => call.method === "chat.send"), SOON)
      .toBe(true);
    expect(
      await caught(gateway.runTurn(request({ runId: "b", session: "bob", budgetMs: 30 }))),
    ).toMatchObject({
      kind: "timeout",
      reached: true,
    });
    gone.abort();
    expect(await turn).toMatchObject({ kind: "aborted", reached: true });
    await expect
      .poll(() => fake.calls.filter((call) => call.method === "chat.abort"), SOON)
      .toEqual([
        { method: "chat.abort", params: { sessionKey: "agent:main:alice", runId: "run-1" } },
      ]);
  });
});

describe("a turn that may have run", () => {
  const sends = (fake: { calls: { method: string }[] }) =>
    fake.calls.filter((call) => call.method === "chat.send").length;

  test("is answered from the transcript, never sent again", async () => {
    const answer = { ...text("stored"), stopReason: "stop", __openclaw: { runId: "run-1" } };
    const { fake, gateway } = await start({
      "chat.send": echo,
      "chat.history": () => ({
        messages: [asked("run-1"), answer],
        sessionInfo: { status: "done" },
      }),
    });
    await gateway.ready();
    expect(await gateway.runTurn(request({ mayHaveRun: true }))).toMatchObject({
      reply: "stored",
      recovered: true,
    });
    expect(sends(fake)).toBe(0);
  });

  test("waits for OpenClaw's recovery as long as the session runs, then for its budget", async () => {
    const { fake, gateway } = await start({
      "chat.send": echo,
      "chat.history": () => ({ messages: [asked("run-1")], sessionInfo: { status: "running" } }),
    });
    await gateway.ready();
    expect(
      await caught(gateway.runTurn(request({ mayHaveRun: true, budgetMs: 60 }))),
    ).toMatchObject({
      kind: "timeout",
      reached: true,
    });
    expect(sends(fake)).toBe(0);
  });

  test("is not sent again while its run has ended and its answer's row is still to come", async () => {
    const answer = { ...text("late"), stopReason: "stop", __openclaw: { runId: "recovery" } };
    let looks = 0;
    const { fake, gateway } = await start({
      "chat.send": echo,
      "chat.history": () => ({
        messages: ++looks < 3 ? [asked("run-1")] : [asked("run-1"), answer],
        sessionInfo: { status: "done" },
      }),
    });
    await gateway.ready();
    expect((await gateway.runTurn(request({ mayHaveRun: true }))).reply).toBe("late");
    expect(sends(fake)).toBe(0);
  });

  test.each([
    ["nothing of it is known", []],
    ["its question stands in a session that never ran", [asked("run-1")]],
    ["only earlier turns of its session ran", [{ ...asked("run-1"), timestamp: 20 }], 10],
  ])("is sent under its own key when %s", async (_, messages, endedAt?: number) => {
    const { fake, gateway } = await start({
      "chat.send": echo,
      "chat.history": () => ({
        messages,
        sessionInfo: endedAt === undefined ? {} : { status: "done", endedAt },
      }),
    });
    await gateway.ready();
    expect((await gateway.runTurn(request({ mayHaveRun: true }))).reply).toBe("re: hi");
    expect(sends(fake)).toBe(1);
  });

  test("is looked for on older pages too", async () => {
    const answer = { ...text("old"), stopReason: "stop", __openclaw: { runId: "run-1" } };
    const { fake, gateway } = await start({
      "chat.send": echo,
      "chat.history": ({ offset }) =>
        offset === 200
          ? { messages: [asked("run-1"), answer], hasMore: false }
          : {
              messages: [asked("new")],
              hasMore: true,
              nextOffset: 200,
              sessionInfo: { status: "done" },
            },
    });
    await gateway.ready();
    expect((await gateway.runTurn(request({ mayHaveRun: true }))).reply).toBe("old");
    expect(sends(fake)).toBe(0);
  });
});

describe("the rest of the port", () => {
  test("a suspension keeps its request id and is resumed by its own id", async () => {
    let ready = false;
    const { fake, gateway } = await start({
      "gateway.suspend.prepare": () => ({ status: "draining", suspensionId: "s-1" }),
      "gateway.suspend.status": () => ({ status: ready ? "ready" : "draining" }),
    });
    await gateway.ready();
    expect(await gateway.suspended()).toBe(false);
    await gateway.suspend();
    await gateway.suspend();
    expect(await gateway.suspended()).toBe(false);
    ready = true;
    expect(await gateway.suspended()).toBe(true);
    await gateway.resume();
    const prepares = fake.calls.filter((call) => call.method === "gateway.suspend.prepare");
    expect(prepares).toHaveLength(2);
    expect(prepares[0]?.params).toEqual(prepares[1]?.params);
    expect(fake.calls.at(-1)).toEqual({
      method: "gateway.suspend.resume",
      params: { suspensionId: "s-1" },
    });
  });

  test("resumed before OpenClaw has said that it is suspended, it is resumed when it says so", async () => {
    const answer = Promise.withResolvers<object>();
    const { fake, gateway } = await start({
      "gateway.suspend.prepare": () => answer.promise,
      "gateway.suspend.status": () => ({ status: "ready" }),
    });
    await gateway.ready();
    const suspending = gateway.suspend();
    await gateway.resume();
    answer.resolve({ status: "ready", suspensionId: "s-1" });
    await suspending;
    expect(fake.calls.map(({ method, params }) => [method, params.suspensionId])).toEqual([
      ["sessions.subscribe", undefined],
      ["gateway.suspend.prepare", undefined],
      ["gateway.suspend.resume", "s-1"],
    ]);
    expect(await gateway.suspended()).toBe(false);
    await gateway.suspend();
    expect(await gateway.suspended()).toBe(true);
  });

  test("a suspension whose answer was lost is found again, and resumed", async () => {
    let asked = 0;
    const { fake, gateway } = await start({
      "gateway.suspend.prepare": (_params, peer) => {
        if (++asked === 1) peer.cut();
        return { status: "ready", suspensionId: "s-1" };
      },
    });
    await gateway.ready();
    await expect(gateway.suspend()).rejects.toThrow();
    await gateway.ready();
    await gateway.resume();
    expect(fake.calls.at(-1)).toEqual({
      method: "gateway.suspend.resume",
      params: { suspensionId: "s-1" },
    });
    await gateway.resume();
    expect(asked).toBe(2);
  });

  test("turns are those of all lanes", async () => {
    const { gateway } = await start({
      "diagnostics.lanes": () => ({
        lanes: [
          { lane: "main", activeCount: 2, queuedCount: 1 },
          { lane: "cron", activeCount: 1, queuedCount: 0 },
          { lane: "background", activeCount: 0 },
        ],
      }),
    });
    await gateway.ready();
    expect(await gateway.turns()).toEqual({ active: 3, queued: 1 });
  });

  test("the newest message of all bots is told, and that there was none", async () => {
    let channelAccounts: object = {};
    const { gateway } = await start({ "channels.status": () => ({ channelAccounts }) });
    await gateway.ready();
    expect(await gateway.lastInbound()).toBeNull();
    const telegram = [
      { accountId: "a", lastInboundAt: 5 },
      { accountId: "b", lastInboundAt: null },
    ];
    channelAccounts = { telegram, slack: [{ accountId: "c", lastInboundAt: 7 }] };
    expect(await gateway.lastInbound()).toBe(7);
  });

  test("how the bots do is told", async () => {
    const revoked = { accountId: "b", running: false, lastError: "401" };
    const channelAccounts = { telegram: [{ accountId: "a", running: true }, revoked] };
    const { gateway } = await start({ "channels.status": () => ({ channelAccounts }) });
    await gateway.ready();
    expect(await gateway.channels()).toEqual({
      bots: 2,
      down: [{ bot: "telegram/b", why: "401" }],
    });
  });

  test("sessions come from all pages and from the archive, by agent and short name", async () => {
    const { gateway } = await start({
      "sessions.list": ({ offset, archived }) => {
        if (archived === true) return { sessions: [{ key: "agent:main:old" }] };
        return offset === 0
          ? {
              sessions: [{ key: "agent:main:a:b" }, { key: "global" }],
              hasMore: true,
              nextOffset: 2,
            }
          : { sessions: [{ key: "agent:bob:c" }], hasMore: false, nextOffset: null };
      },
    });
    await gateway.ready();
    expect(await gateway.sessions()).toEqual([
      { agent: "main", session: "a:b" },
      { agent: "bob", session: "c" },
      { agent: "main", session: "old" },
    ]);
  });

  test("usage is told of every stored answer, until unsubscribed", async () => {
    const { gateway } = await start({ "chat.send": echo });
    await gateway.ready();
    const seen: unknown[] = [];
    const stop = (gateway as GatewayPort).onUsage((usage) => seen.push(usage));
    await gateway.runTurn(request());
    expect(seen).toEqual([{ agent: "main", input: 5, output: 2 }]);
    stop();
    await gateway.runTurn(request({ runId: "run-2" }));
    expect(seen).toHaveLength(1);
  });
});
