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

test("an open WebSocket is pinged once a ping interval", async () => {
  const http = createServer();
  const sockets = new WebSocketServer({ server: http });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", () => resolve()));
  const accepted = new Promise<WebSocket>((resolve) => sockets.once("connection", resolve));
  const client = new WebSocket(`ws://127.0.0.1:${(http.address() as AddressInfo).port}`);
  const socket = await accepted;
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  const stop = keepAlive(socket);
  const pinged = new Promise((resolve) => client.once("ping", resolve));
  vi.advanceTimersByTime(FRONT.pingMs);
  await pinged;
  stop();
  client.terminate();
  sockets.close();
  http.closeAllConnections();
  await new Promise((resolve) => http.close(resolve));
});
