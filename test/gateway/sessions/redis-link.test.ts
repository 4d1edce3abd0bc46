import { readFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type SecureContextOptions } from "node:tls";
import { afterEach, expect, it } from "vitest";
import { bootClock } from "../../../gateway/clock.ts";
import { targetOf } from "../../../gateway/sessions/open.ts";
import { RedisLink } from "../../../gateway/sessions/redis-link.ts";
import { parseRedisUrl } from "../../../gateway/sessions/redis-url.ts";
import { makeAuthority } from "../../../plugin/host/authority.ts";
import { eventually } from "../../support/eventually.ts";
import { FleetCertificates } from "../../support/fleet-certificates.ts";

/** Speaks as much of Redis's protocol as a client needs to begin. */
class FakeRedis {
  readonly port: number;
  /** Commands that came, in lower case. */
  readonly asked: string[] = [];
  readonly sockets = new Set<Socket>();
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
  }

  /** `answer` gives what goes out, in the protocol's own form; null: nothing. */
  static async start(
    answer: (words: string[], socket: Socket) => string | null,
    server: Server = createServer(),
  ) {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const fake = new FakeRedis(server);
    const secure = "setSecureContext" in server;
    server.on(secure ? "secureConnection" : "connection", (socket: Socket) => {
      fake.sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => fake.sockets.delete(socket));
      let text = "";
      socket.on("data", (bytes) => {
        text += bytes.toString("latin1");
        for (;;) {
          const found = /^\*(\d+)\r\n/.exec(text);
          const parts = text.split("\r\n");
          const lines = 1 + 2 * Number(found?.[1] ?? 0);
          if (!found || parts.length <= lines) return;
          const words = parts.slice(1, lines).filter((_, n) => n % 2 === 1);
          text = parts.slice(lines).join("\r\n");
          fake.asked.push(words.join(" ").toLowerCase());
          const said = answer(words, socket);
          if (said !== null) socket.write(said);
        }
      });
    });
    return fake;
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

const bulk = (...texts: string[]): string =>
  `*${texts.length}\r\n${texts.map((text) => `$${text.length}\r\n${text}\r\n`).join("")}`;

const opened: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});

it("Sentinels that announce a new master while they are asked for it end no client for good", async () => {
  const master = await FakeRedis.start(([word = ""]) =>
    word.toLowerCase() === "info" ? "$7\r\nloading\r\n" : "+PONG\r\n",
  );
  opened.push(master);
  const subscribed: Socket[] = [];
  const held: (() => void)[] = [];
  let holds = false;
  const sentinel = await FakeRedis.start((words, socket) => {
    const [first = "", second = ""] = words.map((word) => word.toLowerCase());
    if (first === "subscribe") {
      subscribed.push(socket);
      return "*3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n";
    }
    if (second === "sentinels") return "*0\r\n";
    if (second !== "get-master-addr-by-name") return "+OK\r\n";
    const said = bulk("127.0.0.1", String(master.port));
    if (!holds) return said;
    held.push(() => socket.write(said));
    return null;
  });
  opened.push(sentinel);
  const link = new RedisLink({
    target: parseRedisUrl(`redis+sentinel://127.0.0.1:${sentinel.port}/fleet`),
    clock: bootClock,
    log: { warn: () => {} },
  });
  opened.push(link);
  const works = () => eventually(() => link.run(0, (client) => client.ping()));
  await works();
  await eventually(() => expect(subscribed).toHaveLength(1));

  holds = true;
  for (const socket of master.sockets) socket.destroy();
  await eventually(() => expect(held).toHaveLength(1));
  subscribed[0]?.write(`*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$1\r\nx\r\n`);
  // The client ends its connections to Sentinels when it has read that.
  await eventually(() => expect(subscribed[0]?.destroyed).toBe(true));
  holds = false;
  held[0]?.();
  await works();
});

it("an exchange of the fleet's authority needs no new client: connections trust what the file says", async () => {
  const certificates = await FleetCertificates.make();
  opened.push({ close: () => certificates.remove() });
  const files = await certificates.write("a");
  const pair = (): SecureContextOptions => ({
    cert: readFileSync(files.cert),
    key: readFileSync(files.key),
  });
  const server = createTlsServer(pair());
  const redis = await FakeRedis.start(
    ([word = ""]) => (word.toLowerCase() === "info" ? "$7\r\nloading\r\n" : "+PONG\r\n"),
    server,
  );
  opened.push(redis);
  const link = new RedisLink({
    target: targetOf(`rediss://127.0.0.1:${redis.port}?ca=${files.ca}`, () => []),
    clock: bootClock,
    log: { warn: () => {} },
  });
  opened.push(link);
  const works = () => eventually(() => link.run(0, (client) => client.ping()));
  await works();

  certificates.authorities = [await makeAuthority("testfleet", new Date())];
  await certificates.write("a");
  server.setSecureContext(pair());
  const before = [...redis.sockets];
  for (const socket of before) socket.destroy();
  await eventually(() => expect(before.every((socket) => !redis.sockets.has(socket))).toBe(true));
  await works();
});
