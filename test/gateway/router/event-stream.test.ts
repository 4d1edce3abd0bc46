import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { EventStream } from "../../../gateway/router/event-stream.ts";
import { events, until } from "./world.ts";

let server: Server;
let client: Socket;
afterEach(async () => {
  client.destroy();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

/** A response whose client reads only when told to. */
async function lazyClient(stallMs: number) {
  server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  client = connect((server.address() as AddressInfo).port, "127.0.0.1");
  client.on("error", () => undefined);
  client.pause();
  client.write("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
  const [, res] = (await once(server, "request")) as [unknown, ServerResponse];
  return { res, stream: new EventStream(res, stallMs) };
}

const PIECE = "x".repeat(65_536);
const answer = (reply: string) => ({
  reply,
  agent: "main",
  session: "s",
  shard: "s1",
  usage: null,
});

/** The body of a chunked answer. */
function body(raw: string): string {
  let rest = raw.slice(raw.indexOf("\r\n\r\n") + 4);
  let text = "";
  for (;;) {
    const end = rest.indexOf("\r\n");
    const size = Number.parseInt(rest.slice(0, end), 16);
    if (!(size > 0)) return text;
    text += rest.slice(end + 2, end + 2 + size);
    rest = rest.slice(end + 4 + size);
  }
}

test("a client that does not read makes nothing pile up, and gets every word once it does", async () => {
  const { res, stream } = await lazyClient(60_000);
  let whole = "";
  let most = 0;
  // More than any socket buffer takes.
  for (let n = 0; n < 400; n += 1) {
    const text = `${n} ${PIECE}`;
    whole += text;
    stream.delta(text);
    most = Math.max(most, res.writableLength);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(most).toBeLessThan(2 ** 20);
  let raw = "";
  client.setEncoding("utf8").on("data", (text: string) => {
    raw += text;
  });
  client.resume();
  await until(() => res.writableLength === 0, "the client to catch up");
  stream.delta("the end");
  whole += "the end";
  stream.finish(answer(`${whole}!`));
  stream.close();
  await once(client, "close");
  const got = events(body(raw));
  const text = got
    .filter(({ event }) => event === "delta")
    .map(({ data }) => data.text)
    .join("");
  expect(text === `${whole}!`).toBe(true);
  expect(got.at(-1)?.event).toBe("done");
  expect(got.length).toBeLessThan(400);
});

test("what waits for a slow client is void once the turn was resumed", async () => {
  const { res, stream } = await lazyClient(60_000);
  for (let n = 0; n < 200; n += 1) {
    stream.delta(PIECE);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(res.writableLength).toBeGreaterThan(0);
  stream.resumed();
  stream.finish(answer("the whole answer"));
  stream.close();
  let raw = "";
  client.setEncoding("utf8").on("data", (text: string) => {
    raw += text;
  });
  client.resume();
  await once(client, "close");
  const got = events(body(raw));
  const from = got.findIndex(({ event }) => event === "resumed");
  expect(got.slice(from).map(({ event }) => event)).toEqual(["resumed", "delta", "done"]);
  expect(got[from + 1]?.data.text).toBe("the whole answer");
});

test("a client that takes nothing for too long is cut", async () => {
  const { res, stream } = await lazyClient(20);
  const closed = once(res, "close");
  let cut = false;
  res.once("close", () => {
    cut = true;
  });
  while (!cut) {
    stream.delta(PIECE);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await closed;
  expect(res.writableFinished).toBe(false);
  stream.close();
});

test("so is one that does not take the end of its answer", async () => {
  const { res, stream } = await lazyClient(20);
  const closed = once(res, "close");
  stream.finish(answer(PIECE.repeat(400)));
  stream.close();
  await closed;
  expect(res.writableFinished).toBe(false);
});
