import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type DemoModel, type ModelCall, startDemoModel } from "../../gateway/model/server.ts";
import { type Ask, ask as askPort, events } from "../gateway/router/world.ts";
import { eventually } from "../support/eventually.ts";
import { PrivateFleet } from "./private.ts";
import { WsClient } from "./ws-client.ts";

const HOOK_TOKEN = "hook-token-hook-token-hook-token";
/** For what waits for a turn or a boot on a busy machine. */
const PATIENCE_MS = 120_000;

/** One node with one real gateway for the whole file; its model is here and tells of every call. */
describe.skipIf(!process.env.OPENCLAW_FLEET_OPENCLAW)("the router before a real gateway", () => {
  const calls: ModelCall[] = [];
  const prompts: string[] = [];
  let model: DemoModel;
  let world: PrivateFleet;
  let port = 0;

  beforeAll(async () => {
    model = await startDemoModel({
      onCall: (call) => calls.push(call),
      onRequest: (body) => prompts.push(JSON.stringify(body.messages)),
    });
    world = await PrivateFleet.create({
      nodes: 1,
      shards: 1,
      modelUrl: model.url,
      moreAgents: ["writer"],
    });
    world.fleet.configure((config) => ({
      ...config,
      openclaw: {
        plugins: { allow: ["memory-core"] },
        hooks: {
          enabled: true,
          token: HOOK_TOKEN,
          path: "/hooks",
          allowedAgentIds: ["main", "writer"],
        },
      },
    }));
    port = Number(new URL(world.fleet.target.endpoint).port);
    await world.start();
  });

  afterAll(async () => {
    await world?.[Symbol.asyncDispose]();
    await model?.close();
  });

  const ask = (path: string, options: Ask = {}) =>
    askPort(port, path, { token: world.fleet.target.token, ...options });
  const admin = (path: string, options: Ask = {}) =>
    ask(path, { token: world.fleet.target.adminToken, ...options });
  const begun = (run: string) =>
    calls.filter(({ runKey, outcome }) => runKey === run && outcome === null).length;
  const outcomes = (run: string) =>
    calls.filter(({ runKey, outcome }) => runKey === run && outcome !== null).map((c) => c.outcome);
  const connect = (token = world.fleet.target.token, path = "/") =>
    WsClient.connect(`ws://127.0.0.1:${port}${path}`, token);
  const user = (content: string) => ({ messages: [{ role: "user", content }] });

  /** Data lines of an OpenAI stream, and its text. */
  const chunks = (text: string) => {
    const lines = text
      .split("\n")
      .filter((line) => line.startsWith("data: "))
      .map((line) => line.slice(6));
    const parsed = lines.filter((line) => line !== "[DONE]").map((line) => JSON.parse(line));
    const content = parsed.map((chunk) => chunk.choices?.[0]?.delta?.content ?? "").join("");
    return { lines, parsed, content };
  };

  /** Text of a chat stream after its last restart. */
  const reply = (text: string) => {
    const all = events(text);
    const from = all.map(({ event }) => event).lastIndexOf("resumed") + 1;
    const deltas = all.slice(from).filter(({ event }) => event === "delta");
    return deltas.map(({ data }) => data.text).join("");
  };

  /** A request that is left once its answer has begun. */
  async function leave(path: string, options: Ask, run: string): Promise<void> {
    const gone = new AbortController();
    let seen = "";
    const onChunk = (text: string) => {
      seen = text;
    };
    const left = ask(path, { ...options, signal: gone.signal, onChunk }).catch(() => null);
    await eventually(() => expect(begun(run)).toBe(1), PATIENCE_MS);
    await eventually(() => expect(seen).toMatch(/word\d/), PATIENCE_MS);
    gone.abort();
    await left;
  }

  test("only the paths of the list are OpenClaw's own", async () => {
    const models = await ask("/v1/models");
    expect(models.status).toBe(200);
    expect(models.json.data.map(({ id }: { id: string }) => id)).toContain("openclaw/writer");
    expect(models.headers).toMatchObject({ "x-openclaw-shard": "s1", "x-openclaw-instance": "n1" });
    for (const path of ["/api/v1/admin/rpc", "/tools/invoke", "/v1/files"]) {
      expect((await admin(path, { body: {} })).json.error.code).toBe("not_found");
    }
  });

  test("chat completions answer whole and as a stream", async () => {
    const whole = await ask("/v1/chat/completions", {
      body: { model: "openclaw", ...user("plain") },
    });
    expect(whole.status).toBe(200);
    expect(whole.json.choices[0].message.content).toBe("You said: plain");
    expect(whole.headers["x-openclaw-session"]).toMatch(/^[0-9a-f-]{36}$/);
    const body = {
      model: "openclaw",
      stream: true,
      ...user("streamed [[delay=1000]] [[tokens=20]]"),
    };
    const stream = await ask("/v1/chat/completions", { body });
    expect(stream.headers["content-type"]).toContain("text/event-stream");
    expect(chunks(stream.text).content).toMatch(/^You said: streamed .*word20$/);
    expect(chunks(stream.text).lines.at(-1)).toBe("[DONE]");
  });

  test("one conversation through every door", async () => {
    const first = await ask("/api/v1/chat", { body: { session: "Door", message: "first" } });
    expect(first.json).toMatchObject({ reply: "You said: first", session: "door", shard: "s1" });
    await ask("/v1/chat/completions", {
      body: { model: "gpt-x", user: "door", ...user("second") },
    });
    await ask("/v1/chat/completions", {
      body: { model: "openclaw/main", ...user("third") },
      headers: { "x-openclaw-session": "door" },
    });
    const fourth = await ask("/v1/responses", {
      body: { model: "openclaw", input: "fourth", user: "door" },
    });
    expect(fourth.status).toBe(200);
    expect(JSON.stringify(fourth.json.output)).toContain("You said: fourth");
    const stream = await ask("/api/v1/chat/stream", {
      body: { session: "door", message: "fifth" },
    });
    expect(reply(stream.text)).toBe("You said: fifth");
    const prompt = prompts.at(-1) ?? "";
    for (const earlier of ["first", "second", "third", "fourth"]) {
      expect(prompt).toContain(`You said: ${earlier}`);
    }
  });

  test("OpenClaw's own routing headers of a client change nothing", async () => {
    const answer = await ask("/v1/chat/completions", {
      body: { model: "openclaw", user: "honest", ...user("routed") },
      headers: {
        "x-openclaw-agent-id": "writer",
        "x-openclaw-session-key": "agent:writer:stolen",
        "x-openclaw-scopes": "operator.admin",
      },
    });
    expect(answer.json.choices[0].message.content).toBe("You said: routed");
    const client = await connect(world.fleet.target.adminToken);
    const rows = async (sessionKey: string) =>
      JSON.stringify((await client.call("chat.history", { sessionKey })).messages ?? []);
    expect(await rows("agent:main:honest")).toContain("routed");
    expect(await rows("agent:writer:stolen")).not.toContain("routed");
    client.close();
    const headers = { "x-openclaw-model": "drill/echo" };
    const body = { model: "openclaw", ...user("other model") };
    expect((await ask("/v1/chat/completions", { body, headers })).status).toBe(403);
    expect((await admin("/v1/chat/completions", { body, headers })).status).toBe(200);
  });

  test("missing and wrong tokens are 401 at every door", async () => {
    for (const token of [null, "wrong"]) {
      const body = { message: "x", ...user("x") };
      for (const path of ["/api/v1/chat", "/api/v1/chat/stream", "/v1/chat/completions"]) {
        expect((await ask(path, { token, body })).json.error.code).toBe("unauthorized");
      }
      expect((await ask("/v1/models", { token })).status).toBe(401);
      expect((await ask("/api/v1/fleet", { token })).status).toBe(401);
    }
    expect((await ask("/api/v1/fleet")).status).toBe(403);
    await expect(connect("wrong")).rejects.toThrow("unauthorized");
  });

  test("a WebSocket client talks with its token's scopes and no more", async () => {
    const client = await connect();
    const runId = randomUUID();
    await client.call("chat.send", {
      sessionKey: "agent:main:socket",
      message: "over a socket",
      idempotencyKey: runId,
    });
    const { payload } = await client.until(
      (frame) =>
        frame.event === "chat" && frame.payload?.runId === runId && frame.payload.state === "final",
    );
    expect(JSON.stringify(payload?.message)).toContain("You said: over a socket");
    const job = {
      name: "nightly",
      agentId: "main",
      enabled: false,
      schedule: { kind: "cron", expr: "0 3 * * *" },
      payload: { kind: "agentTurn", message: "report" },
      delivery: { mode: "none" },
      sessionTarget: "isolated",
      wakeMode: "now",
    };
    const suspend = { requestId: randomUUID(), drain: true, terminalPolicy: "terminate" };
    const refused: [string, object][] = [
      ["cron.add", job],
      ["config.patch", { raw: "{}" }],
      ["gateway.suspend.prepare", suspend],
    ];
    for (const [method, params] of refused) {
      await expect(client.call(method, params)).rejects.toThrow("operator.admin");
    }
    // What a client may read of the configuration has no secrets in it.
    const settings = JSON.stringify(await client.call("config.get", {}));
    expect(settings).toContain("allowedAgentIds");
    expect(settings).not.toContain(HOOK_TOKEN);
    client.close();
    const operator = await connect(world.fleet.target.adminToken);
    const added = await operator.call("cron.add", job);
    await operator.call("cron.remove", { id: added.id });
    operator.close();
  });

  test("a client that leaves a stream ends its model call", async () => {
    const long = (run: string) => `long [[delay=60000]] [[tokens=600]] [[run=${run}]]`;
    await Promise.all([
      leave(
        "/v1/chat/completions",
        { body: { model: "openclaw", stream: true, user: "left-1", ...user(long("left-v1")) } },
        "left-v1",
      ),
      leave(
        "/api/v1/chat/stream",
        { body: { session: "left-2", message: long("left-chat") } },
        "left-chat",
      ),
    ]);
    await eventually(() => {
      expect(outcomes("left-v1")).toEqual(["aborted"]);
      expect(outcomes("left-chat")).toEqual(["aborted"]);
    }, PATIENCE_MS);
  });

  test("with an Idempotency-Key the turn goes on, and the key fetches its answer", async () => {
    const body = {
      session: "keyed",
      message: "keep [[delay=6000]] [[tokens=60]] [[run=left-keyed]]",
    };
    const headers = { "idempotency-key": randomUUID() };
    await leave("/api/v1/chat/stream", { body, headers }, "left-keyed");
    const answer = await ask("/api/v1/chat/stream", { body, headers });
    expect(reply(answer.text)).toMatch(/^You said: keep .*word60$/);
    expect(outcomes("left-keyed")).toEqual(["answered"]);
    expect(begun("left-keyed")).toBe(1);
    const again = await ask("/api/v1/chat", { body, headers });
    expect(again.headers["idempotency-replayed"]).toBe("true");
  });

  test("tokens and requests are counted", async () => {
    await ask("/api/v1/chat", { body: { agent: "writer", message: "count me" } });
    await eventually(async () => {
      const { text } = await admin("/api/v1/metrics");
      for (const agent of ["main", "writer"]) {
        for (const kind of ["input", "output"]) {
          const line = new RegExp(
            `openclaw_fleet_tokens_total\\{agent="${agent}",kind="${kind}"\\} [1-9]`,
          );
          expect(text).toMatch(line);
        }
      }
      expect(text).toMatch(/requests_total\{route="\/v1\/chat\/completions",code="200"\} [1-9]/);
    });
  });

  test("the deep health check calls the model once for each agent", async () => {
    expect((await ask("/api/v1/health?deep=1")).status).toBe(403);
    const before = calls.length;
    const { status, json } = await admin("/api/v1/health?deep=1");
    expect(status).toBe(200);
    expect(json).toMatchObject({
      status: "ok",
      agents: [
        { name: "main", ok: true },
        { name: "writer", ok: true },
      ],
    });
    const checks = calls.slice(before).filter(({ text }) => text.startsWith("Health check"));
    expect(checks.map(({ outcome }) => outcome).sort()).toEqual([
      "answered",
      "answered",
      null,
      null,
    ]);
  });

  test("a webhook with the hooks' own token runs its agent on the home shard", async () => {
    const body = {
      message: "by hook [[run=hook]]",
      agentId: "writer",
      deliver: false,
      waitForCompletion: true,
    };
    expect((await ask("/hooks/agent", { body, token: "wrong" })).status).toBe(401);
    const { status, json, headers } = await ask("/hooks/agent", { body, token: HOOK_TOKEN });
    expect([status, json.ok]).toEqual([200, true]);
    expect(headers["x-openclaw-shard"]).toBe("s1");
    expect(outcomes("hook")).toEqual(["answered"]);
  });

  test("a gateway killed in mid-stream: /v1 ends in an error, the chat is answered whole", async () => {
    const long = (run: string) => `long [[delay=8000]] [[tokens=80]] [[run=${run}]]`;
    let words = "";
    const openai = ask("/v1/chat/completions", {
      body: { model: "openclaw", stream: true, user: "kill-1", ...user(long("kill-v1")) },
      onChunk: (text) => {
        words = text;
      },
    });
    let chatted = "";
    const chat = ask("/api/v1/chat/stream", {
      body: { session: "kill-2", message: long("kill-chat") },
      onChunk: (text) => {
        chatted = text;
      },
    });
    await eventually(() => {
      expect(words).toMatch(/word\d/);
      expect(chatted).toMatch(/word\d/);
    }, PATIENCE_MS);
    const before = await world.shard("s1");
    world.killGateway("s1");
    const cut = await openai;
    expect(chunks(cut.text).lines).not.toContain("[DONE]");
    expect(chunks(cut.text).parsed.at(-1)).toMatchObject({
      error: { code: "owner_lost", retryable: false },
    });
    const whole = await chat;
    expect(events(whole.text).map(({ event }) => event)).toContain("resumed");
    expect(events(whole.text).at(-1)?.event).toBe("done");
    expect(reply(whole.text)).toMatch(/^You said: long .*word80$/);
    expect(begun("kill-chat")).toBe(2);
    expect((await world.serving()).shards[0]?.pid).not.toBe(before.pid);
  });
});
