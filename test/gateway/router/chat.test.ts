import { afterEach, expect, test } from "vitest";
import { TurnError } from "../../../gateway/openclaw/port.ts";
import { fleetConfig } from "./fakes.ts";
import { ask, events, until, World } from "./world.ts";

let world: World;
afterEach(() => world.close());

const body = { agent: "helper", session: "s", message: "hi" };

test("a chat is answered with reply, agent, session, shard and usage", async () => {
  world = await World.start(["a", "b"]);
  await world.fleet.own("s1", "b");
  const answer = await ask(world.node("a").port, "/api/v1/chat", { body });
  expect(answer.status).toBe(200);
  expect(answer.json).toEqual({
    reply: "echo hi",
    agent: "helper",
    session: "s",
    shard: "s1",
    usage: { input: 1, output: 2, total: 3 },
  });
  expect(answer.headers).toMatchObject({ "x-openclaw-instance": "b", "x-openclaw-epoch": "1" });
});

test("without a session a new one is made and returned, and used again it stays on its shard", async () => {
  world = await World.start(["a"]);
  await world.fleet.own("s1", "a");
  await world.fleet.own("s2", "a");
  const { port } = world.node("a");
  const first = await ask(port, "/api/v1/chat", { body: { message: "x" } });
  const session = first.headers["x-openclaw-session"];
  expect(session).toMatch(/^[0-9a-f-]{36}$/);
  const second = await ask(port, "/api/v1/chat", { body: { message: "y", session } });
  expect(second.json.shard).toBe(first.json.shard);
});

test("a chat takes agent and session from OpenAI's fields too, after its own, as /v1 does", async () => {
  world = await World.start(["a"]);
  for (const shard of ["s1", "s2"]) await world.fleet.own(shard, "a");
  const { port } = world.node("a");
  const chat = async (fields: object) => {
    const { status, json } = await ask(port, "/api/v1/chat", { body: { message: "x", ...fields } });
    return { status, agent: json.agent, session: json.session };
  };
  const openai = { model: "openclaw/helper", user: "Alice" };
  expect(await chat(openai)).toEqual({ status: 200, agent: "helper", session: "alice" });
  expect(await chat({ ...openai, agent: "main", session: "s" })).toEqual({
    status: 200,
    agent: "main",
    session: "s",
  });
  const unknown = { model: "openclaw/nobody", message: "x", messages: [] };
  const [ours, theirs] = await Promise.all(
    ["/api/v1/chat", "/v1/chat/completions"].map((path) => ask(port, path, { body: unknown })),
  );
  expect(ours).toMatchObject({ status: 404, json: { error: { code: "unknown_agent" } } });
  expect(ours?.json.error.message).toBe(theirs?.json.error.message);
  const query = "?model=openclaw/helper&user=bob&message=x";
  const streamed = await ask(port, `/api/v1/chat/stream${query}`, {});
  expect(streamed.headers["x-openclaw-session"]).toBe("bob");
});

test.each(["GET", "POST"])(
  "the stream by %s sends deltas, then done with usage",
  async (method) => {
    world = await World.start(["a", "b"]);
    await world.fleet.own("s1", "b");
    const query = "?agent=helper&session=s&message=hi";
    const answer = await ask(
      world.node("a").port,
      `/api/v1/chat/stream${method === "GET" ? query : ""}`,
      method === "GET" ? {} : { body },
    );
    expect(answer.headers["content-type"]).toContain("text/event-stream");
    expect(answer.headers["x-openclaw-instance"]).toBe("b");
    const got = events(answer.text);
    expect(got.slice(0, -1)).toEqual([
      { event: "delta", data: { text: "echo " } },
      { event: "delta", data: { text: "hi" } },
    ]);
    expect(got.at(-1)).toMatchObject({ event: "done", data: { usage: { total: 3 } } });
  },
);

test.each(["a", "b"])(
  "an owner on node %s that dies in mid-turn costs time, not an error; the turn is never sent fresh twice",
  async (owner) => {
    world = await World.start(["a", "b"]);
    const first = await world.fleet.own("s1", owner, { turnMs: 60_000 });
    const waiting = ask(world.node("a").port, "/api/v1/chat", { body });
    await until(() => first.turnsSent.length === 1);
    await world.fleet.lose("s1");
    const second = await world.fleet.own("s1", owner === "a" ? "b" : "a");
    expect((await waiting).json.reply).toBe("echo hi");
    expect(first.turnsSent[0]).toMatchObject({ mayHaveRun: false });
    expect(second.turnsSent).toEqual([{ runId: first.turnsSent[0]?.runId, mayHaveRun: true }]);
  },
);

test("a begun stream whose owner dies resumes with the whole answer", async () => {
  world = await World.start(["a", "b"]);
  await world.fleet.own("s1", "b", { turnMs: 60_000 });
  let text = "";
  const waiting = ask(world.node("a").port, "/api/v1/chat/stream", {
    body,
    onChunk: (all) => {
      text = all;
    },
  });
  await until(() => text.includes("delta"));
  await world.fleet.lose("s1");
  await world.fleet.own("s1", "a");
  const got = events((await waiting).text);
  expect(got.map((each) => each.event)).toEqual(["delta", "resumed", "delta", "done"]);
  expect(got[2]?.data).toEqual({ text: "echo hi" });
});

test("a router that dies kills no turn: only the explicit wish to cancel does", async () => {
  world = await World.start(["a", "b"]);
  const gateway = await world.fleet.own("s1", "b", { turnMs: 300 });
  const waiting = ask(world.node("a").port, "/api/v1/chat", { body }).catch(() => "broken");
  await until(() => gateway.turnsSent.length === 1);
  await world.node("a").router.close();
  await waiting;
  await until(() => [...world.fleet.disk("s1").asked.values()][0]?.answer === "echo hi");
});

test.each(["a", "b"])(
  "a client that leaves cancels its turn on the owner's node %s",
  async (owner) => {
    world = await World.start(["a", "b"]);
    let cancelled = false;
    const gateway = await world.fleet.own("s1", owner, {
      turn: (request) =>
        new Promise((_resolve, reject) => {
          request.onReached?.();
          request.signal?.addEventListener("abort", () => {
            cancelled = true;
            reject(new TurnError("aborted", "cancelled", true));
          });
        }),
    });
    const stop = new AbortController();
    const waiting = ask(world.node("a").port, "/api/v1/chat", { body, signal: stop.signal }).catch(
      () => "left",
    );
    await until(() => gateway.turnsSent.length === 1);
    stop.abort();
    await waiting;
    await until(() => cancelled, "the turn to be cancelled");
  },
);

test("with an Idempotency-Key the turn goes on without its client, and the key fetches the answer once", async () => {
  world = await World.start(["a", "b"]);
  const gateway = await world.fleet.own("s1", "b", { turnMs: 200 });
  const stop = new AbortController();
  const headers = { "idempotency-key": "k1" };
  const first = ask(world.node("a").port, "/api/v1/chat", {
    body,
    headers,
    signal: stop.signal,
  }).catch(() => "left");
  await until(() => gateway.turnsSent.length === 1);
  stop.abort();
  await first;
  const again = await ask(world.node("b").port, "/api/v1/chat", { body, headers });
  expect(again.json.reply).toBe("echo hi");
  expect(again.headers["idempotency-replayed"]).toBe("true");
  expect([...world.fleet.disk("s1").asked.values()].map((each) => each.runs)).toEqual([1]);
  const stream = await ask(world.node("a").port, "/api/v1/chat/stream", { body, headers });
  expect(events(stream.text).map((each) => each.event)).toEqual(["delta", "done"]);
});

test("a key with another message is 422; without a session its repeats meet in one", async () => {
  world = await World.start(["a"]);
  await world.fleet.own("s1", "a");
  await world.fleet.own("s2", "a");
  const { port } = world.node("a");
  const send = (message: string) =>
    ask(port, "/api/v1/chat", { body: { message }, headers: { "idempotency-key": "k" } });
  const [one, two] = await Promise.all([send("x"), send("x")]);
  expect(one?.json).toEqual(two?.json);
  const other = await send("y");
  expect(other.status).toBe(422);
  expect(other.json.error.code).toBe("key_reused");
});

test("a turn that fails in the model is 502 model_error, stored under its key", async () => {
  world = await World.start(["a"]);
  const gateway = await world.fleet.own("s1", "a", {
    turn: async (request) => {
      request.onReached?.();
      throw new TurnError("failed", "the model said no", true);
    },
  });
  const send = () =>
    ask(world.node("a").port, "/api/v1/chat", { body, headers: { "idempotency-key": "k" } });
  for (const answer of [await send(), await send()]) {
    expect(answer.status).toBe(502);
    expect(answer.json.error).toMatchObject({ code: "model_error", message: "the model said no" });
  }
  expect(gateway.turnsSent).toHaveLength(1);
});

test("what OpenClaw refuses before running is sent again", async () => {
  world = await World.start(["a", "b"]);
  let refusals = 2;
  await world.fleet.own("s1", "b", {
    turn: async (request) => {
      if (refusals-- > 0) throw new TurnError("refused", "closing", false);
      request.onReached?.();
      return { reply: "yes", usage: null, recovered: false };
    },
  });
  expect((await ask(world.node("a").port, "/api/v1/chat", { body })).json.reply).toBe("yes");
});

test("past the turn's budget: 504 in_progress, and the key fetches the answer later", async () => {
  world = await World.start(["a"], fleetConfig({ turnBudgetMs: 300 }));
  const gateway = await world.fleet.own("s1", "a", { turnMs: 60_000 });
  const headers = { "idempotency-key": "k" };
  const waiting = ask(world.node("a").port, "/api/v1/chat", { body, headers });
  await until(() => gateway.turnsSent.length === 1);
  await world.fleet.lose("s1");
  expect((await waiting).json.error).toMatchObject({ code: "in_progress", retryable: true });
  await world.fleet.own("s1", "a");
  expect((await ask(world.node("a").port, "/api/v1/chat", { body, headers })).json.reply).toBe(
    "echo hi",
  );
});

test("bad input is named", async () => {
  world = await World.start(["a"]);
  const { port } = world.node("a");
  const bad = async (sent: unknown, headers = {}) =>
    (await ask(port, "/api/v1/chat", { body: sent, headers })).json.error;
  expect(await bad({ session: "s" })).toMatchObject({ code: "bad_request" });
  expect((await bad("{")).message).toContain("JSON");
  expect((await bad({ message: "x", agent: "No Such" })).message).toContain("agent");
  expect((await bad({ message: "x", session: "cron:x" })).message).toContain("cron:");
  expect((await bad({ message: "x", session: "agent:other:x" })).code).toBe("bad_request");
  expect((await bad({ message: "x" }, { "idempotency-key": "a b" })).code).toBe("bad_request");
});
