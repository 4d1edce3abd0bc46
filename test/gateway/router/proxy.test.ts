import { afterEach, expect, test } from "vitest";
import { ADMIN_TOKEN, CLIENT_TOKEN, fleetConfig } from "./fakes.ts";
import { ask, until, World } from "./world.ts";

let world: World;
afterEach(() => world.close());

const chat = (user: string, model = "openclaw/helper") => ({
  model,
  user,
  messages: [{ role: "user", content: "hi" }],
});

test("a /v1 request reaches its owner with agent and session named in full, and OpenClaw's own token", async () => {
  world = await World.start(["a"]);
  const gateway = await world.fleet.own("s1", "a");
  const answer = await ask(world.node("a").port, "/v1/chat/completions", {
    body: chat("Alice"),
    headers: {
      "x-openclaw-agent-id": "writer",
      "x-openclaw-session-key": "agent:writer:stolen",
      "x-openclaw-scopes": "operator.admin",
      "x-forwarded-for": "1.2.3.4",
      cookie: "secret=1",
    },
  });
  expect(answer.status).toBe(200);
  const seen = gateway.requests[0]?.headers ?? {};
  expect(seen["x-openclaw-agent-id"]).toBe("helper");
  expect(seen["x-openclaw-session-key"]).toBe("agent:helper:alice");
  expect(seen.authorization).toBe(`Bearer ${gateway.token}`);
  for (const name of ["x-openclaw-scopes", "x-forwarded-for", "cookie"]) {
    expect(seen[name]).toBeUndefined();
  }
  expect(answer.headers).toMatchObject({
    "x-openclaw-shard": "s1",
    "x-openclaw-epoch": "1",
    "x-openclaw-instance": "a",
    "x-openclaw-session": "alice",
  });
});

test.each(["a", "b"])(
  "by way of node %s a /v1 request goes to the session that goes on with its own",
  async (node) => {
    world = await World.start(["a", "b"]);
    const gateway = await world.fleet.own("s1", "b");
    gateway.successors.set("agent:helper:alice", "agent:helper:dashboard:1");
    const sent = [];
    for (const user of ["Alice", "bob"]) {
      await ask(world.node(node).port, "/v1/chat/completions", { body: chat(user) });
      sent.push(gateway.requests.at(-1)?.headers["x-openclaw-session-key"]);
    }
    expect(sent).toEqual(["agent:helper:dashboard:1", "agent:helper:bob"]);
  },
);

test("any node brings a request to the owner, and answers with the owner's name", async () => {
  world = await World.start(["a", "b"]);
  await world.fleet.own("s1", "b");
  const answer = await ask(world.node("a").port, "/v1/chat/completions", { body: chat("x") });
  expect(answer.status).toBe(200);
  expect(answer.headers["x-openclaw-instance"]).toBe("b");
  expect(answer.json.headers["x-openclaw-fleet-peer"]).toBeUndefined();
});

test("a request waits for an owner, and is answered by the one that comes", async () => {
  world = await World.start(["a", "b"]);
  const waiting = ask(world.node("a").port, "/v1/chat/completions", { body: chat("x") });
  await until(() => world.node("a").router.held() === 1);
  await world.fleet.own("s1", "b");
  expect((await waiting).status).toBe(200);
});

test("a request that reached nobody goes to the next owner", async () => {
  world = await World.start(["a"]);
  const first = await world.fleet.own("s1", "a");
  await first.kill(); // the fleet has not noticed
  const waiting = ask(world.node("a").port, "/v1/chat/completions", { body: chat("x") });
  await until(() => world.node("a").view.doubts.includes("s1"));
  await world.fleet.own("s1", "a");
  const answer = await waiting;
  expect(answer.status).toBe(200);
  expect(answer.headers["x-openclaw-epoch"]).toBe("2");
});

test("a request that reached its owner is never sent again: 502 owner_lost", async () => {
  world = await World.start(["a", "b"]);
  const gateway = await world.fleet.own("s1", "b", { http: () => undefined });
  const waiting = ask(world.node("a").port, "/v1/chat/completions", {
    body: chat("x"),
    headers: { "x-request-id": "one" },
  });
  await until(() => gateway.requests.length === 1);
  await world.fleet.lose("s1");
  await world.fleet.own("s1", "b");
  const answer = await waiting;
  expect(answer.status).toBe(502);
  expect(answer.json.error).toMatchObject({
    code: "owner_lost",
    retryable: false,
    requestId: "one",
  });
  expect(world.fleet.disk("s1").httpReached.get("one")).toBe(1);
});

test("a begun stream ends with an error chunk and without [DONE]", async () => {
  world = await World.start(["a", "b"]);
  await world.fleet.own("s1", "b", {
    http: (_req, res) => {
      res.writeHead(200, { "content-type": "text/event-stream" });
      res.write('data: {"delta":"one"}\n\n');
    },
  });
  let text = "";
  const waiting = ask(world.node("a").port, "/v1/chat/completions", {
    body: { ...chat("x"), stream: true },
    onChunk: (all) => {
      text = all;
    },
  });
  await until(() => text.includes("one"));
  await world.fleet.lose("s1");
  const answer = await waiting;
  expect(answer.text).toContain('"owner_lost"');
  expect(answer.text).not.toContain("[DONE]");
});

test("OpenClaw's own 503 with Retry-After counts as not reached", async () => {
  world = await World.start(["a", "b"]);
  await world.fleet.own("s1", "b", {
    http: (_req, res) => {
      res.writeHead(503, { "retry-after": "1" });
      res.end();
    },
  });
  const waiting = ask(world.node("a").port, "/v1/chat/completions", { body: chat("x") });
  await until(() => world.node("a").view.doubts.length > 0);
  await world.fleet.own("s1", "b");
  expect((await waiting).status).toBe(200);
});

test("a client that leaves aborts its request at the gateway", async () => {
  world = await World.start(["a", "b"]);
  let aborted = false;
  const gateway = await world.fleet.own("s1", "b", {
    http: (req) => {
      req.socket.on("close", () => {
        aborted = true;
      });
    },
  });
  const stop = new AbortController();
  const waiting = ask(world.node("a").port, "/v1/chat/completions", {
    body: chat("x"),
    signal: stop.signal,
  }).catch(() => "left");
  await until(() => gateway.requests.length === 1);
  stop.abort();
  expect(await waiting).toBe("left");
  await until(() => aborted, "the gateway's connection to be cut");
});

test("the owner's deadline is asked right before the first byte", async () => {
  world = await World.start(["a"]);
  const gateway = await world.fleet.own("s1", "a");
  const route = world.fleet.routes.get("s1");
  if (route?.state === "owned") route.live = false;
  const waiting = ask(world.node("a").port, "/v1/chat/completions", { body: chat("x") });
  await until(() => world.node("a").view.doubts.length > 0);
  expect(gateway.requests).toHaveLength(0);
  if (route?.state === "owned") route.live = true;
  expect((await waiting).status).toBe(200);
});

test("a peer that is not the owner any more answers 421, and the request goes to the one that is", async () => {
  world = await World.start(["a", "b", "c"]);
  const stale = await world.fleet.own("s1", "b");
  const a = world.node("a");
  a.view.beliefs.set("s1", a.view.route("s1"));
  const fresh = await world.fleet.own("s1", "c");
  const waiting = ask(a.port, "/v1/chat/completions", { body: chat("x") });
  await until(() => a.view.doubts.includes("s1"));
  a.view.beliefs.clear();
  a.view.emit("s1");
  expect((await waiting).headers["x-openclaw-instance"]).toBe("c");
  expect(stale.requests).toHaveLength(0);
  expect(fresh.requests).toHaveLength(1);
  await stale.kill();
});

test("a shard that was given up answers 503 shard_failed at once", async () => {
  world = await World.start(["a"]);
  world.fleet.set("s1", { state: "failed", reason: "exit 78" });
  const answer = await ask(world.node("a").port, "/v1/chat/completions", { body: chat("x") });
  expect(answer.status).toBe(503);
  expect(answer.json.error.code).toBe("shard_failed");
  expect(answer.headers["retry-after"]).toBeDefined();
});

test("webhooks go to the home shard with their sender's own proof, and wait two seconds only", async () => {
  world = await World.start(["a"]);
  const gateway = await world.fleet.own("s1", "a");
  const { port } = world.node("a");
  const options = {
    body: { text: "x" },
    token: "hooks-token",
    headers: { "x-openclaw-token": "t" },
  };
  expect((await ask(port, "/hooks/wake", options)).status).toBe(200);
  expect((await ask(port, "/channels/telegram/hook?a=1", options)).status).toBe(200);
  expect(gateway.requests.map((each) => each.url)).toEqual([
    "/hooks/wake",
    "/channels/telegram/hook?a=1",
  ]);
  expect(gateway.requests[0]?.headers.authorization).toBe("Bearer hooks-token");
  expect(gateway.requests[0]?.headers["x-openclaw-token"]).toBe("t");
  expect((await ask(port, "/channels/nowhere/x", options)).status).toBe(404);
  const late = await ask(port, "/channels/slack/events", options);
  expect(late.status).toBe(503);
  expect(late.json.error.code).toBe("no_owner");
});

test("only listed paths exist; admin/rpc never does", async () => {
  world = await World.start(["a"]);
  const gateway = await world.fleet.own("s1", "a");
  const { port } = world.node("a");
  for (const path of ["/api/v1/admin/rpc", "/v1/files", "/v1/chat", "/tools/invoke", "/x"]) {
    const answer = await ask(port, path, { body: {}, token: ADMIN_TOKEN });
    expect([path, answer.status, answer.json.error.code]).toEqual([path, 404, "not_found"]);
  }
  for (const path of [
    "/v1/../api/v1/admin/rpc",
    "/hooks/..%2fapi",
    "/hooks//x",
    "/hooks/%2e%2e/x",
  ]) {
    expect([path, (await ask(port, path, { body: {} })).status]).toEqual([path, 400]);
  }
  expect((await ask(port, "/v1/chat/completions")).status).toBe(405);
  expect(gateway.requests).toHaveLength(0);
});

test("tokens: none and wrong ones 401, the client's token is no admin, the admin's is a client", async () => {
  world = await World.start(["a"]);
  await world.fleet.own("s1", "a");
  const { port } = world.node("a");
  const v1 = (token: string | null, headers = {}) =>
    ask(port, "/v1/chat/completions", { body: chat("x"), token, headers });
  expect((await v1(null)).json.error.code).toBe("unauthorized");
  expect((await v1("wrong")).status).toBe(401);
  expect((await v1(ADMIN_TOKEN)).status).toBe(200);
  expect((await ask(port, "/api/v1/fleet", { token: CLIENT_TOKEN })).status).toBe(403);
  expect((await v1(CLIENT_TOKEN, { "x-openclaw-model": "big/one" })).status).toBe(403);
  expect((await v1(ADMIN_TOKEN, { "x-openclaw-model": "big/one" })).json.headers).toMatchObject({
    "x-openclaw-model": "big/one",
  });
});

test("a body above 4 MiB is refused, announced or not", async () => {
  world = await World.start(["a"]);
  await world.fleet.own("s1", "a");
  const body = { ...chat("x"), padding: "x".repeat(4 * 2 ** 20) };
  const answer = await ask(world.node("a").port, "/v1/chat/completions", { body });
  expect(answer.json.error.code).toBe("body_too_large");
});

test("the peers' port serves nobody without the peer token", async () => {
  world = await World.start(["a"]);
  const gateway = await world.fleet.own("s1", "a");
  const port = Number(world.node("a").router.peerAddress.split(":")[1]);
  const answer = await ask(port, "/v1/chat/completions", {
    body: chat("x"),
    token: ADMIN_TOKEN,
    headers: {
      "x-openclaw-fleet-shard": "s1",
      "x-openclaw-epoch": "1",
      "x-openclaw-fleet-incarnation": "inc-a",
      "x-openclaw-fleet-peer": ADMIN_TOKEN,
    },
  });
  expect(answer.status).toBe(401);
  expect(gateway.requests).toHaveLength(0);
});

test("an unknown agent is named, with the ones that exist", async () => {
  world = await World.start(["a"], fleetConfig());
  const answer = await ask(world.node("a").port, "/v1/chat/completions", {
    body: chat("x", "openclaw/nobody"),
  });
  expect(answer.json.error).toMatchObject({ code: "unknown_agent" });
  expect(answer.json.error.message).toContain("helper");
});
