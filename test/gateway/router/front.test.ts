import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test, vi } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { DRAIN, FRONT } from "../../../gateway/contract.ts";
import { EventStream } from "../../../gateway/router/event-stream.ts";
import { guardedServer } from "../../../gateway/router/guard.ts";
import { keepAlive } from "../../../gateway/router/ws-close.ts";
import { KeptLog } from "./world.ts";

const handlers = { request: async () => undefined, upgrade: async () => undefined };
const serverOf = (behindFront: boolean) =>
  guardedServer(handlers, { node: "a", log: new KeptLog(), behindFront });

afterEach(() => {
  vi.useRealTimers();
});

test("a router keeps idle connections longer than any front, so that the front closes first", () => {
  for (const behindFront of [false, true]) {
    expect(serverOf(behindFront).keepAliveTimeout).toBeGreaterThan(FRONT.idleMs);
  }
});

test("behind a front a connection may wait for its first request as long as the front keeps it", () => {
  expect(serverOf(true).headersTimeout).toBeGreaterThan(FRONT.idleMs);
});

test("without a front a head that does not come is given up soon", () => {
  expect(serverOf(false).headersTimeout).toBeLessThanOrEqual(20_000);
});

test("streams and sockets move often enough for every front", () => {
  expect(FRONT.pingMs).toBeLessThan(FRONT.idleMs / 2);
});

test("requests on a leaving router have all the time of a drain", () => {
  expect(FRONT.drainMs).toBeGreaterThanOrEqual(DRAIN.termTurnsMs + DRAIN.termReleaseMs);
});

test("a silent event stream moves once a ping interval", async () => {
  const written: string[] = [];
  vi.useFakeTimers();
  const res = {
    headersSent: false,
    destroyed: false,
    writableEnded: false,
    writeHead() {
      this.headersSent = true;
    },
    write(text: string) {
      written.push(text);
      return true;
    },
  };
  const stream = new EventStream(res as never);
  stream.delta("a");
  vi.advanceTimersByTime(2 * FRONT.pingMs);
  stream.close();
  expect(written.filter((text) => text === ": alive\n\n")).toHaveLength(2);
});

/** Both ends of a WebSocket, and what ends it. */
async function pair(options: { autoPong?: boolean } = {}) {
  const http = createServer();
  const sockets = new WebSocketServer({ server: http });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", () => resolve()));
  const accepted = new Promise<WebSocket>((resolve) => sockets.once("connection", resolve));
  const url = `ws://127.0.0.1:${(http.address() as AddressInfo).port}`;
  const client = new WebSocket(url, options);
  await new Promise((resolve) => client.once("open", resolve));
  const end = async () => {
    client.terminate();
    sockets.close();
    http.closeAllConnections();
    await new Promise((resolve) => http.close(resolve));
  };
  return { client, socket: await accepted, end };
}

test("an open WebSocket is pinged once a ping interval", async () => {
  const { client, socket, end } = await pair();
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  keepAlive(socket);
  const pinged = new Promise((resolve) => client.once("ping", resolve));
  vi.advanceTimersByTime(FRONT.pingMs);
  await pinged;
  await end();
});

test("a WebSocket that answers no ping is cut, but not while nobody reads it", async () => {
  const { socket, end } = await pair({ autoPong: false });
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  keepAlive(socket);
  socket.pause();
  vi.advanceTimersByTime(10 * FRONT.pingMs);
  expect(socket.readyState).toBe(socket.OPEN);
  socket.resume();
  vi.advanceTimersByTime(3 * FRONT.pingMs);
  expect(socket.readyState).not.toBe(socket.OPEN);
  await end();
});
