import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import type { FakeGateway } from "./fakes.ts";
import { CLIENT_TOKEN } from "./fakes.ts";
import { ask, until, World } from "./world.ts";

let world: World;
afterEach(() => world.close());

/** Node a believes in the right owner (c) but has no way to it; b has. */
async function cutOff(behaviour = {}): Promise<FakeGateway> {
  world = await World.start(["a", "b", "c"]);
  const gateway = await world.fleet.own("s1", "c", behaviour);
  const { view } = world.node("a");
  const route = view.route("s1");
  if (route.at !== "peer") throw new Error("a must not be the owner");
  view.beliefs.set("s1", { ...route, address: "no-such-host.invalid:1" });
  return gateway;
}

const chat = { model: "openclaw/helper", user: "x", messages: [] };

test("a request goes to an unreachable owner over a peer, once, and its answer comes back", async () => {
  const gateway = await cutOff();
  const answer = await ask(world.node("a").port, "/v1/chat/completions", { body: chat });
  expect(answer.status).toBe(200);
  expect(answer.headers["x-openclaw-instance"]).toBe("c");
  expect(gateway.requests).toHaveLength(1);
  const names = Object.keys(gateway.requests[0]?.headers ?? {});
  expect(names.filter((name) => name.includes("fleet"))).toEqual([]);
});

test("so does a chat, and the wish to cancel it", async () => {
  const gateway = await cutOff({ turnMs: 20 });
  const body = { agent: "helper", session: "s", message: "hi" };
  const { port } = world.node("a");
  expect((await ask(port, "/api/v1/chat", { body })).json.reply).toBe("echo hi");
  gateway.behaviour.turnMs = 60_000;
  const stop = new AbortController();
  const waiting = ask(port, "/api/v1/chat", { body, signal: stop.signal }).catch(() => "left");
  await until(() => gateway.turnsSent.length === 2);
  stop.abort();
  await waiting;
  const asked = () => [...world.fleet.disk("s1").asked.values()];
  gateway.behaviour.turnMs = 1;
  // The owner is free for the same session again: the cancelled turn no longer runs.
  expect((await ask(port, "/api/v1/chat", { body })).status).toBe(200);
  expect(asked().filter((each) => each.answer === null)).toHaveLength(1);
});

test("so does a WebSocket", async () => {
  await cutOff();
  const socket = new WebSocket(`ws://127.0.0.1:${world.node("a").port}/agents/helper/`, {
    headers: { authorization: `Bearer ${CLIENT_TOKEN}` },
  });
  const ids: unknown[] = [];
  socket.on("message", (data) => ids.push(JSON.parse(String(data)).id));
  await new Promise((resolve) => socket.once("open", resolve));
  socket.send(JSON.stringify({ type: "req", id: "c", method: "connect", params: {} }));
  socket.send(JSON.stringify({ type: "req", id: "r", method: "echo", params: {} }));
  await until(() => ids.length === 3, "the answers");
  expect(ids).toEqual([undefined, "c", "r"]);
  socket.terminate();
});

test("a chat that one relay refuses goes over another", async () => {
  const gateway = await cutOff();
  await world.add("d");
  world.fleet.addresses.set("b", "127.0.0.1:1");
  const body = { agent: "helper", session: "s", message: "hi" };
  expect((await ask(world.node("a").port, "/api/v1/chat", { body })).json.reply).toBe("echo hi");
  expect(gateway.turnsSent).toHaveLength(1);
});

test("a chat that a relay lost with its owner is asked for as one that may have run", async () => {
  const gateway = await cutOff();
  const lost = createServer((_req, res) => {
    // From here on the owner is reached, as after a partition.
    world.node("a").view.beliefs.delete("s1");
    res.writeHead(502).end("{}");
  });
  await new Promise<void>((resolve) => lost.listen(0, "127.0.0.1", resolve));
  try {
    world.fleet.addresses.set("b", `127.0.0.1:${(lost.address() as AddressInfo).port}`);
    const body = { agent: "helper", session: "s", message: "hi" };
    expect((await ask(world.node("a").port, "/api/v1/chat", { body })).json.reply).toBe("echo hi");
    expect(gateway.turnsSent).toMatchObject([{ mayHaveRun: true }]);
  } finally {
    lost.close();
    lost.closeAllConnections();
  }
});

test("a relay passes on once: a second hop is refused as not_owner", async () => {
  await cutOff();
  const b = Number(world.node("b").router.peerAddress.split(":")[1]);
  const answer = await ask(b, "/v1/chat/completions", {
    body: chat,
    headers: {
      "x-openclaw-fleet-peer": world.fleet.config.tokens.peer,
      "x-openclaw-fleet-shard": "s1",
      "x-openclaw-epoch": "1",
      "x-openclaw-fleet-incarnation": "inc-c",
      "x-openclaw-fleet-hop": "2",
      "x-openclaw-fleet-relay": "c",
    },
  });
  expect(answer.status).toBe(421);
  expect(answer.json.error.code).toBe("not_owner");
  expect(answer.headers["x-openclaw-fleet-unreached"]).toBe("1");
});

test("a relay's answer to an upgrade names the owner", async () => {
  await cutOff();
  const { fleet } = world;
  const socket = new WebSocket(`ws://${world.node("b").router.peerAddress}/internal/ws`, {
    headers: {
      "x-openclaw-fleet-peer": fleet.config.tokens.peer,
      "x-openclaw-fleet-shard": "s1",
      "x-openclaw-epoch": "1",
      "x-openclaw-fleet-incarnation": "inc-c",
      "x-openclaw-fleet-relay": "c",
      "x-request-id": "r-1",
    },
  });
  const answered = new Promise<IncomingMessage>((resolve) => socket.once("upgrade", resolve));
  await new Promise((resolve) => socket.once("open", resolve));
  expect((await answered).headers).toMatchObject({
    "x-openclaw-shard": "s1",
    "x-openclaw-epoch": "1",
    "x-openclaw-instance": "c",
    "x-request-id": "r-1",
  });
  socket.terminate();
});
