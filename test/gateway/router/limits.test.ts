import { afterEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import type { FleetConfig } from "../../../gateway/config.ts";
import { StoreUnavailable } from "../../../gateway/leases/store.ts";
import type { RateStore } from "../../../gateway/limits/rates.ts";
import { ADMIN_TOKEN, CLIENT_TOKEN, fleetConfig, MemorySessions } from "./fakes.ts";
import { ask, until, World } from "./world.ts";

const OTHER_TOKEN = "client-token-client-token-0002";
let world: World;
afterEach(() => world.close());

async function fleet(limits: FleetConfig["limits"], rates?: RateStore): Promise<number> {
  const config = fleetConfig({ limits });
  config.tokens.client.push(OTHER_TOKEN);
  world = new World(config);
  const sessions = new MemorySessions();
  if (rates) Object.assign(sessions, { rates });
  const node = await world.add("a", { sessions });
  await world.fleet.own("s1", "a");
  await world.fleet.own("s2", "a");
  return node.port;
}

const chat = (port: number, agent = "helper", token = CLIENT_TOKEN) =>
  ask(port, "/api/v1/chat", { token, body: { agent, session: "s", message: "hi" } });

test("a token's requests beyond its limit are answered 429 with a time to come again", async () => {
  const port = await fleet({ perToken: { requestsPerMinute: 2 } });
  expect((await chat(port)).status).toBe(200);
  const models = await ask(port, "/v1/chat/completions", {
    body: { model: "openclaw/writer", messages: [] },
  });
  expect(models.status).toBe(200);
  const refused = await chat(port, "writer");
  expect(refused.status).toBe(429);
  expect(refused.json.error).toMatchObject({ code: "rate_limited", retryable: true });
  expect(refused.json.error.message).toContain("2 requests a minute");
  const after = Number(refused.headers["retry-after"]);
  expect(after).toBeGreaterThanOrEqual(1);
  expect(after).toBeLessThanOrEqual(30);
  // Nobody else's: another token has its own, and administrators none.
  expect((await chat(port, "helper", OTHER_TOKEN)).status).toBe(200);
  expect((await chat(port, "helper", ADMIN_TOKEN)).status).toBe(200);
});

test("an agent's limit counts whoever asks it; what one limit refuses costs nothing of another", async () => {
  const port = await fleet({
    perToken: { requestsPerMinute: 2 },
    perAgent: { requestsPerMinute: 1 },
  });
  expect((await chat(port, "helper", OTHER_TOKEN)).status).toBe(200);
  for (let n = 0; n < 3; n++) {
    const refused = await chat(port, "helper");
    expect(refused.status).toBe(429);
    expect(refused.json.error.message).toContain("agent helper");
  }
  expect((await chat(port, "writer")).status).toBe(200);
});

test("tokens are counted when they were used; the next request waits for them", async () => {
  // The stand-in's answers use 1 + 2.
  const port = await fleet({ perToken: { tokensPerMinute: 2 } });
  expect((await chat(port)).status).toBe(200);
  const refused = await chat(port);
  expect(refused.status).toBe(429);
  expect(refused.json.error.message).toContain("2 tokens a minute");
  expect((await chat(port, "helper", OTHER_TOKEN)).status).toBe(200);
});

test("tokens of the OpenAI-compatible API count too", async () => {
  const port = await fleet({ perToken: { tokensPerMinute: 10 } });
  await world.fleet.own("s1", "a", {
    http: (_req, res) =>
      res.end(JSON.stringify({ usage: { prompt_tokens: 30, completion_tokens: 1 } })),
  });
  const body = { model: "openclaw/helper", user: "x", messages: [] };
  const one = () => ask(port, "/v1/chat/completions", { body });
  expect((await one()).status).toBe(200);
  expect((await one()).status).toBe(429);
});

test("a stream's tokens count though its client did not ask for them, who gets none of it", async () => {
  const port = await fleet({ perToken: { tokensPerMinute: 10 } });
  const sent: unknown[] = [];
  const event = (value: object) => `data: ${JSON.stringify(value)}\n\n`;
  const text = event({ choices: [{ delta: { content: "hi" } }] });
  const usage = event({ choices: [], usage: { prompt_tokens: 30, completion_tokens: 1 } });
  await world.fleet.own("s1", "a", {
    http: (_req, res, body) => {
      sent.push(JSON.parse(body).stream_options);
      res.writeHead(200, { "content-type": "text/event-stream" });
      res.end(`${text}${usage}data: [DONE]\n\n`);
    },
  });
  const one = (more: object, token: string) => {
    const body = { model: "openclaw/helper", user: "x", messages: [], stream: true, ...more };
    return ask(port, "/v1/chat/completions", { body, token });
  };
  const asked = await one({ stream_options: { include_usage: true } }, OTHER_TOKEN);
  expect(asked.text).toBe(`${text}${usage}data: [DONE]\n\n`);
  const silent = await one({ stream_options: { x: 1 } }, CLIENT_TOKEN);
  expect([silent.status, silent.text]).toEqual([200, `${text}data: [DONE]\n\n`]);
  expect((await one({}, CLIENT_TOKEN)).status).toBe(429);
  await one({}, ADMIN_TOKEN);
  expect(sent).toEqual([{ include_usage: true }, { x: 1, include_usage: true }, undefined]);
});

test("an agent's tokens count wherever they were used", async () => {
  const port = await fleet({ perAgent: { tokensPerMinute: 100 } });
  const gateway = await world.fleet.own("s1", "a");
  expect((await chat(port)).status).toBe(200);
  gateway.use({ agent: "helper", input: 500, output: 1 });
  expect((await chat(port)).status).toBe(429);
  expect((await chat(port, "writer")).status).toBe(200);
});

test("without shared buckets requests go through, up to the limit in each router", async () => {
  let asked = 0;
  const lost: RateStore = {
    charge: () => {
      asked += 1;
      return Promise.reject(new StoreUnavailable("Redis is away"));
    },
  };
  const port = await fleet({ perToken: { requestsPerMinute: 2 } }, lost);
  expect((await chat(port)).status).toBe(200);
  expect((await chat(port)).status).toBe(200);
  expect((await chat(port)).status).toBe(429);
  expect(asked).toBeGreaterThan(2);
  expect(world.log.lines.filter((line) => line.includes("not shared now"))).toHaveLength(1);
});

test("on a WebSocket each turn counts, other requests do not, and order is kept", async () => {
  const port = await fleet({ perToken: { requestsPerMinute: 2 } });
  const socket = new WebSocket(`ws://127.0.0.1:${port}/agents/helper/`, {
    headers: { authorization: `Bearer ${CLIENT_TOKEN}` },
  });
  // biome-ignore lint/suspicious/noExplicitAny: frames of any shape, looked at by expectations
  const frames: any[] = [];
  socket.on("message", (data) => frames.push(JSON.parse(String(data))));
  await new Promise((resolve) => socket.once("open", resolve));
  const send = (id: string, method: string) =>
    socket.send(JSON.stringify({ type: "req", id, method, params: {} }));
  send("c", "connect");
  await until(() => frames.length === 2, "the answer to connect");
  for (const n of [1, 2, 3]) send(`t${n}`, "chat.send");
  send("h", "chat.history");
  await until(() => frames.length === 6, "all answers");
  const ok = Object.fromEntries(frames.slice(2).map((frame) => [frame.id, frame.ok]));
  expect(ok).toEqual({ t1: true, t2: true, t3: false, h: true });
  expect(frames.find((frame) => frame.id === "t3").error).toMatchObject({ retryable: true });
  expect(frames.at(-1).id).toBe("h");
  socket.terminate();
});

async function greeted(port: number, path: string) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, {
    headers: { authorization: `Bearer ${CLIENT_TOKEN}` },
  });
  const ok: Record<string, boolean> = {};
  socket.on("message", (data) => {
    const frame = JSON.parse(String(data));
    if (frame.id) ok[frame.id] = frame.ok;
  });
  await new Promise((resolve) => socket.once("open", resolve));
  const send = (id: string, method: string, params: object = {}, binary = false) =>
    socket.send(Buffer.from(JSON.stringify({ type: "req", id, method, params })), { binary });
  send("c", "connect");
  await until(() => ok.c === true, "the answer to connect");
  return { socket, ok, send };
}

test("on a WebSocket a binary frame counts like a text", async () => {
  const port = await fleet({ perToken: { requestsPerMinute: 1 } });
  const { socket, ok, send } = await greeted(port, "/agents/helper/");
  send("b1", "chat.send", {}, true);
  send("b2", "chat.send", {}, true);
  await until(() => Object.keys(ok).length === 3, "all answers");
  expect(ok).toMatchObject({ b1: true, b2: false });
  socket.terminate();
});

test("on a WebSocket a turn counts against the agent it names, if that lives on the shard", async () => {
  const port = await fleet({ perAgent: { requestsPerMinute: 1 } });
  const { socket, ok, send } = await greeted(port, "/"); // main, on s1
  send("h1", "chat.send", { sessionKey: "Agent:HELPER:s" });
  send("h2", "chat.send", { agentId: "helper" });
  send("h3", "sessions.send", { key: "agent:helper:t" });
  send("m1", "chat.send", { sessionKey: "agent:writer:s" }); // lives on s2 alone
  send("m2", "chat.send", { sessionKey: "main" });
  await until(() => Object.keys(ok).length === 6, "all answers");
  expect(ok).toMatchObject({ h1: true, h2: false, h3: false, m1: true, m2: false });
  socket.terminate();
});

test("without limits nobody asks the store", async () => {
  let asked = 0;
  const rates: RateStore = {
    charge: async () => {
      asked += 1;
      return 0;
    },
  };
  const port = await fleet(undefined, rates);
  expect((await chat(port)).status).toBe(200);
  expect(asked).toBe(0);
});
