import type { IncomingHttpHeaders } from "node:http";
import { afterEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import { ADMIN_TOKEN, CLIENT_TOKEN } from "./fakes.ts";
import { ask, until, World } from "./world.ts";

let world: World;
const open: WebSocket[] = [];
afterEach(async () => {
  for (const socket of open.splice(0)) socket.terminate();
  await world.close();
});

interface Client {
  socket: WebSocket;
  // biome-ignore lint/suspicious/noExplicitAny: frames of any shape, looked at by expectations
  frames: any[];
  closed: number | null;
  status: number | null;
  headers: IncomingHttpHeaders;
}

function connect(port: number, path: string, headers: Record<string, string> = {}): Client {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, { headers });
  open.push(socket);
  const client: Client = { socket, frames: [], closed: null, status: null, headers: {} };
  socket.on("message", (data) => client.frames.push(JSON.parse(String(data))));
  socket.on("close", (code) => {
    client.closed = code;
  });
  socket.on("upgrade", (res) => {
    client.headers = res.headers;
  });
  socket.on("unexpected-response", (_req, res) => {
    client.headers = res.headers;
    client.status = res.statusCode ?? 0;
    client.closed = 0;
  });
  socket.on("error", () => undefined);
  return client;
}

async function hello(client: Client, token: string | null, scopes?: string[]): Promise<void> {
  await until(() => client.frames.length > 0 || client.closed !== null, "the challenge");
  client.socket.send(
    JSON.stringify({
      type: "req",
      id: "c1",
      method: "connect",
      params: { ...(token === null ? {} : { auth: { token } }), scopes, caps: ["tool-events"] },
    }),
  );
}

test.each(["a", "b"])(
  "a client talks through its router to the owner on node %s",
  async (owner) => {
    world = await World.start(["a", "b"]);
    const gateway = await world.fleet.own("s1", owner);
    const client = connect(world.node("a").port, "/agents/helper/");
    await hello(client, CLIENT_TOKEN);
    await until(() => client.frames.length === 2);
    expect(client.frames[0].event).toBe("connect.challenge");
    expect(client.frames[1]).toMatchObject({
      id: "c1",
      ok: true,
      payload: { from: gateway.token },
    });
    client.socket.send(JSON.stringify({ type: "req", id: "r1", method: "echo", params: { n: 1 } }));
    await until(() => client.frames.length === 3);
    expect(client.frames[2]).toMatchObject({ id: "r1", payload: { n: 1 } });
    // biome-ignore lint/suspicious/noExplicitAny: the fake keeps what it saw
    const { frame, headers } = gateway.connects[0] as any;
    expect(frame.params).toMatchObject({
      scopes: ["operator.read", "operator.write"],
      caps: ["tool-events"],
      client: { id: "gateway-client" },
    });
    expect(JSON.stringify(headers)).not.toContain("peer-token");
  },
);

test.each(["a", "b"])("its first answer names the owner, on node %s", async (owner) => {
  world = await World.start(["a", "b"]);
  await world.fleet.own("s1", "b");
  await world.fleet.own("s1", owner);
  const client = connect(world.node("a").port, "/agents/helper/", { "x-request-id": "r-1" });
  await until(() => client.frames.length > 0);
  expect(client.headers).toMatchObject({
    "x-openclaw-shard": "s1",
    "x-openclaw-epoch": "2",
    "x-openclaw-instance": owner,
    "x-request-id": "r-1",
  });
});

test("while nobody owns the shard its first answer names this router", async () => {
  world = await World.start(["a", "b"]);
  await world.fleet.own("s1", "b");
  await world.fleet.lose("s1");
  const client = connect(world.node("a").port, "/agents/helper/");
  await until(() => client.frames.length > 0);
  expect(client.headers).toMatchObject({
    "x-openclaw-shard": "s1",
    "x-openclaw-epoch": "0",
    "x-openclaw-instance": "a",
  });
  expect(client.headers["x-request-id"]).toMatch(/^[0-9a-f-]{36}$/);
});

test("an upgrade that is none is refused in our form", async () => {
  world = await World.start(["a"]);
  const { status, headers, json } = await ask(world.node("a").port, "/", {
    headers: { connection: "Upgrade", upgrade: "websocket", "x-request-id": "r-2" },
  });
  expect(status).toBe(400);
  expect(json.error).toMatchObject({ code: "bad_request", requestId: "r-2" });
  expect(headers).toMatchObject({
    "x-openclaw-shard": "none",
    "x-openclaw-epoch": "0",
    "x-openclaw-instance": "a",
    "x-request-id": "r-2",
    "sec-websocket-version": "13, 8",
  });
});

test("scopes: a client's token never gives admin, the admin's does", async () => {
  world = await World.start(["a"]);
  const gateway = await world.fleet.own("s1", "a");
  const asked = ["operator.read", "operator.admin"];
  for (const token of [CLIENT_TOKEN, ADMIN_TOKEN]) {
    const client = connect(world.node("a").port, "/agents/helper/");
    await hello(client, token, asked);
    await until(() => client.frames.length === 2);
  }
  // biome-ignore lint/suspicious/noExplicitAny: the fake keeps what it saw
  const scopes = gateway.connects.map((each: any) => each.frame.params.scopes);
  expect(scopes).toEqual([["operator.read"], asked]);
});

test("an introduction with things that are no text is read without them", async () => {
  world = await World.start(["a"]);
  const gateway = await world.fleet.own("s1", "a");
  const client = connect(world.node("a").port, "/agents/helper/");
  await hello(client, CLIENT_TOKEN, [{ toString: 1 }, "operator.read"] as never);
  await until(() => client.frames.length === 2);
  // biome-ignore lint/suspicious/noExplicitAny: the fake keeps what it saw
  expect(gateway.connects.map((each: any) => each.frame.params.scopes)).toEqual([
    ["operator.read"],
  ]);
});

test("a wrong token is refused in the protocol's form, in the header with 401", async () => {
  world = await World.start(["a"]);
  await world.fleet.own("s1", "a");
  const client = connect(world.node("a").port, "/agents/helper/");
  await hello(client, "wrong");
  await until(() => client.closed !== null);
  expect(client.frames[1]).toMatchObject({ id: "c1", ok: false });
  expect(client.closed).toBe(1008);
  const silent = connect(world.node("a").port, "/", { authorization: "Bearer wrong" });
  await until(() => silent.closed !== null);
  expect(silent.status).toBe(401);
  expect(world.log.lines.join()).not.toContain(CLIENT_TOKEN);
});

test("the header's token suffices; frames sent too early are not lost", async () => {
  world = await World.start(["a", "b"]);
  const client = connect(world.node("a").port, "/agents/helper/", {
    authorization: `Bearer ${CLIENT_TOKEN}`,
  });
  await hello(client, null);
  client.socket.send(JSON.stringify({ type: "req", id: "r1", method: "echo", params: { n: 1 } }));
  await until(() => world.node("a").router.held() === 1);
  await world.fleet.own("s1", "b");
  await until(() => client.frames.length === 3);
  expect(client.frames.map((frame) => frame.id)).toEqual([undefined, "c1", "r1"]);
});

test.each(["a", "b"])(
  "an owner on node %s that is lost closes the client with 1012",
  async (owner) => {
    world = await World.start(["a", "b"]);
    await world.fleet.own("s1", owner);
    const client = connect(world.node("a").port, "/agents/helper/");
    await hello(client, CLIENT_TOKEN);
    await until(() => client.frames.length === 2);
    await world.fleet.lose("s1");
    await until(() => client.closed !== null);
    expect(client.closed).toBe(1012);
  },
);

test("?session= goes to the session's shard, none to the agent's home", async () => {
  world = await World.start(["a"]);
  const home = await world.fleet.own("s1", "a");
  const other = await world.fleet.own("s2", "a");
  world.sessions.map.set("main there", "s2");
  for (const [path, gateway] of [
    ["/", home],
    ["/?session=there", other],
  ] as const) {
    const client = connect(world.node("a").port, path);
    await hello(client, CLIENT_TOKEN);
    await until(() => client.frames.length === 2);
    expect(client.frames[1].payload.from).toBe(gateway.token);
  }
});

test("a stranger's upgrade asks the session store nothing; after the introduction it is placed", async () => {
  world = await World.start(["a"]);
  await world.fleet.own("s1", "a");
  await world.fleet.own("s2", "a");
  const { sessions } = world;
  const asked: string[] = [];
  const { assign, lookup } = sessions;
  sessions.assign = (...args) => {
    asked.push("assign");
    return assign.apply(sessions, args);
  };
  sessions.lookup = (...args) => {
    asked.push("lookup");
    return lookup.apply(sessions, args);
  };
  const client = connect(world.node("a").port, "/?session=new");
  await until(() => client.frames.length === 1, "the challenge");
  expect(client.headers).toMatchObject({
    "x-openclaw-shard": "none",
    "x-openclaw-epoch": "0",
    "x-openclaw-instance": "a",
  });
  await hello(client, "wrong");
  await until(() => client.closed !== null);
  expect(asked).toEqual([]);
  const friend = connect(world.node("a").port, "/?session=new");
  await hello(friend, CLIENT_TOKEN);
  await until(() => friend.frames.length === 2);
  expect(sessions.map.has("main new")).toBe(true);
  const again = connect(world.node("a").port, "/?session=new", {
    authorization: `Bearer ${CLIENT_TOKEN}`,
  });
  await until(() => again.frames.length === 1);
  expect(again.headers["x-openclaw-shard"]).toBe(sessions.map.get("main new"));
});

test("a stranger that sends more than an introduction is cut off", async () => {
  world = await World.start(["a"]);
  const client = connect(world.node("a").port, "/");
  await until(() => client.frames.length === 1);
  client.socket.send("x".repeat(200_000));
  await until(() => client.closed !== null);
  const nowhere = connect(world.node("a").port, "/v1/models");
  await until(() => nowhere.closed !== null);
  expect(nowhere.status).toBe(404);
});

test("a large flood of frames arrives whole and in order", async () => {
  world = await World.start(["a", "b"]);
  await world.fleet.own("s1", "b");
  const client = connect(world.node("a").port, "/agents/helper/");
  await hello(client, CLIENT_TOKEN);
  await until(() => client.frames.length === 2);
  const text = "y".repeat(100_000);
  for (let n = 0; n < 100; n += 1) {
    client.socket.send(
      JSON.stringify({ type: "req", id: `${n}`, method: "echo", params: { text } }),
    );
  }
  await until(() => client.frames.length === 102, "all frames");
  expect(client.frames.slice(2).map((frame) => Number(frame.id))).toEqual([...Array(100).keys()]);
});

test("a router that stops closes its WebSockets with 1012", async () => {
  world = await World.start(["a"]);
  await world.fleet.own("s1", "a");
  const client = connect(world.node("a").port, "/agents/helper/");
  await hello(client, CLIENT_TOKEN);
  await until(() => client.frames.length === 2);
  await world.node("a").router.close();
  await until(() => client.closed !== null);
  expect(client.closed).toBe(1012);
});
