import { connect } from "node:net";
import { afterEach, expect, test } from "vitest";
import { readBody } from "../../../gateway/router/body.ts";
import { type RouterError, sendError } from "../../../gateway/router/errors.ts";
import { guardedServer } from "../../../gateway/router/guard.ts";
import { CLIENT_TOKEN } from "./fakes.ts";
import { ask, KeptLog, World } from "./world.ts";

let world: World;
afterEach(() => world?.close());

/** Sends bytes as they are, and gives back everything until the connection ends. */
function raw(port: number, text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(text));
    let all = "";
    socket.setEncoding("utf8");
    socket.on("data", (chunk) => {
      all += chunk;
    });
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(all));
  });
}

const head = (lines: string[]) =>
  `POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${CLIENT_TOKEN}\r\n${lines.join("\r\n")}\r\n\r\n`;
const smuggled = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";

test.each([
  [
    "both lengths",
    `${head(["Content-Length: 4", "Transfer-Encoding: chunked"])}0\r\n\r\n${smuggled}`,
  ],
  [
    "both lengths, other order",
    `${head(["Transfer-Encoding: chunked", "Content-Length: 4"])}0\r\n\r\n`,
  ],
  ["two lengths", `${head(["Content-Length: 4", "Content-Length: 40"])}abcd`],
  ["two equal lengths", `${head(["Content-Length: 4", "Content-Length: 4"])}abcd`],
  ["a list of lengths", `${head(["Content-Length: 4, 4"])}abcd`],
  ["an unknown coding", head(["Transfer-Encoding: xchunked"]) + smuggled],
  ["chunked not last", head(["Transfer-Encoding: chunked, identity"]) + smuggled],
  ["a space before the colon", `${head(["Content-Length : 4"])}abcd`],
  ["a bare line feed", "POST / HTTP/1.1\nHost: x\nContent-Length: 0\n\n"],
  ["a folded header", head(["X-A: b", " c: d"])],
  ["a bad chunk size", `${head(["Transfer-Encoding: chunked"])}zz\r\n\r\n`],
  ["no HTTP at all", "\u0016\u0003\u0001\r\n\r\n"],
  ["no Host", "GET /healthz HTTP/1.1\r\n\r\n"],
  ["CONNECT", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"],
])(
  "%s: one JSON error, then the connection ends, and nothing reaches the gateway",
  async (_name, text) => {
    world = await World.start(["a"]);
    const gateway = await world.fleet.own("s1", "a");
    const answer = await raw(world.node("a").port, text);
    expect(answer).toMatch(/^HTTP\/1\.1 4\d\d /);
    expect(answer.match(/HTTP\/1\.1 /g)).toHaveLength(1);
    expect(answer).toContain('"error":{"code":');
    expect(answer).toContain("x-openclaw-instance: a");
    expect(gateway.requests).toHaveLength(0);
  },
);

test("headers beyond 16 KiB get 431, and the router lives on", async () => {
  world = await World.start(["a"]);
  const { port } = world.node("a");
  expect(await raw(port, head([`X-Big: ${"x".repeat(20_000)}`]))).toMatch(/^HTTP\/1\.1 431 /);
  expect((await ask(port, "/healthz")).status).toBe(200);
  expect(world.log.faults()).toEqual([]);
});

test("an upgrade to anything but WebSocket is an ordinary request", async () => {
  world = await World.start(["a"]);
  const answer = await ask(world.node("a").port, "/healthz", {
    headers: { connection: "Upgrade, HTTP2-Settings", upgrade: "h2c", "http2-settings": "AAMA" },
  });
  expect(answer.status).toBe(200);
});

test("a slow head and a slow body are given up", async () => {
  const log = new KeptLog();
  const server = guardedServer(
    {
      request: async (req, res) => {
        try {
          await readBody(req, 1_000, 50);
          res.end("ok");
        } catch (error) {
          sendError(res, error as RouterError, "r");
        }
      },
      upgrade: async (_req, socket) => {
        socket.destroy();
      },
    },
    { node: "a", log, headMs: 200 },
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const port = (server.address() as { port: number }).port;
  const slowHead = await raw(port, "GET / HTTP/1.1\r\nHost: x\r\n");
  expect(slowHead).toMatch(/^HTTP\/1\.1 408 /);
  const slowBody = await raw(port, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
  expect(slowBody).toMatch(/^HTTP\/1\.1 408 /);
  expect(slowBody).toContain("client_timeout");
  server.closeAllConnections();
  await new Promise<void>((resolve) => server.close(() => resolve()));
});

test("a handler that throws ends its request only", async () => {
  const log = new KeptLog();
  let first = true;
  const server = guardedServer(
    {
      request: async (_req, res) => {
        if (first) {
          first = false;
          throw new Error("unforeseen");
        }
        res.end("ok");
      },
      upgrade: async () => {
        throw new Error("unforeseen");
      },
    },
    { node: "a", log },
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const port = (server.address() as { port: number }).port;
  expect(await raw(port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")).toBe("");
  const upgrade = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
  expect(await raw(port, upgrade)).toBe("");
  expect(await raw(port, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).toContain("ok");
  await new Promise<void>((resolve) => server.close(() => resolve()));
});
