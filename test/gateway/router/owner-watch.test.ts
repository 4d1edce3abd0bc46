import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { OwnerWatch } from "../../../gateway/router/owner-watch.ts";
import { ask, until, World } from "./world.ts";

let world: World;
let mute: Server;
const heldBack = new Set<Socket>();

/** An owner whose host takes connections and requests, and says nothing. */
beforeEach(async () => {
  world = await World.start(["a", "b", "c"]);
  mute = createServer((socket) => {
    heldBack.add(socket);
    socket.on("error", () => {});
    socket.resume();
  });
  await new Promise<void>((resolve) => mute.listen(0, "127.0.0.1", resolve));
  await world.fleet.own("s1", "c");
  const { port } = mute.address() as AddressInfo;
  world.fleet.addresses.set("c", `127.0.0.1:${port}`);
});

afterEach(async () => {
  for (const socket of heldBack) socket.destroy();
  heldBack.clear();
  await new Promise((resolve) => mute.close(resolve));
  await world.close();
});

test("a chat that waits for a silent owner is asked again of its successor", async () => {
  const body = { agent: "helper", session: "s", message: "hi" };
  const answer = ask(world.node("a").port, "/api/v1/chat", { body });
  await until(() => heldBack.size > 0, "the request at the silent owner");
  const gateway = await world.fleet.own("s1", "b");
  expect((await answer).json.reply).toBe("echo hi");
  expect(gateway.turnsSent).toHaveLength(1);
});

test("what cannot be asked again ends with owner_lost", async () => {
  const body = { model: "openclaw/helper", user: "x", messages: [] };
  const answer = ask(world.node("a").port, "/v1/chat/completions", { body });
  await until(() => heldBack.size > 0, "the request at the silent owner");
  const gateway = await world.fleet.own("s1", "b");
  const { status, json } = await answer;
  expect(status).toBe(502);
  expect(json.error).toMatchObject({ code: "owner_lost", retryable: false });
  expect(gateway.requests).toEqual([]);
});

test("a shard between two owners ends nothing", async () => {
  const client = new AbortController();
  const { view } = world.node("a");
  const watch = new OwnerWatch(view, { shard: "s1", epoch: 1 }, client.signal, 0);
  world.fleet.set("s1", { state: "none" });
  expect(watch.signal.aborted).toBe(false);
  await world.fleet.own("s1", "b");
  expect(watch.signal.aborted).toBe(true);
  expect(watch.lost).toBe(true);
  watch.close();
});

test("an answer on its way goes on, also while the client is slow", async () => {
  const client = new AbortController();
  const { view } = world.node("a");
  const watch = new OwnerWatch(view, { shard: "s1", epoch: 1 }, client.signal, 20);
  watch.hold(true);
  await world.fleet.own("s1", "b");
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(watch.signal.aborted).toBe(false);
  watch.hold(false);
  await until(() => watch.signal.aborted, "the end");
  watch.close();
});

test("a client that leaves is not a lost owner", () => {
  const client = new AbortController();
  const watch = new OwnerWatch(
    world.node("a").view,
    { shard: "s1", epoch: 1 },
    client.signal,
    1_000,
  );
  client.abort();
  expect(watch.signal.aborted).toBe(true);
  expect(watch.lost).toBe(false);
  watch.close();
});
