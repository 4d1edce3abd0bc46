import { once } from "node:events";
import { type IncomingMessage, request as plainRequest } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { afterEach, describe, expect, it } from "vitest";
import { WebSocketServer } from "ws";
import { HEADER, HOLD } from "../../../gateway/contract.ts";
import { issue, makeAuthority } from "../../../plugin/host/authority.ts";
import { eventually } from "../eventually.ts";
import {
  type FrontKind,
  FrontWorld,
  openSocket,
  ownFrontCertificate,
  type Reply,
  type RouterHandlers,
  raw,
  say,
  type TestRouter,
} from "./world.ts";

const NAME = "localhost.example";
const echo: RouterHandlers = {
  request(req, res, body, router) {
    res.setHeader("content-type", "application/json");
    res.end(JSON.stringify({ router: router.name, url: req.url, body: body.length }));
  },
};
/** Takes the request whole, and dies. */
const dies: RouterHandlers = { request: (req) => req.socket.destroy() };
/** The same, in the middle of its answer's head. */
const diesInHead: RouterHandlers = {
  request: (req) => req.socket.end(`HTTP/1.1 200 OK\r\n${HEADER.shard}: s1\r\n`),
};

/** What every answer of the front on host a itself says of where it comes from. */
const own = (requestId: unknown = expect.stringMatching(/^[\w-]{16,}$/)) => ({
  [HEADER.shard]: "none",
  [HEADER.epoch]: "0",
  [HEADER.instance]: "a",
  [HEADER.requestId]: requestId,
});

async function certified(world: FrontWorld): Promise<{ cert: string; key: string }> {
  const { authority } = world.hosts;
  const pair = await issue(
    authority,
    { fleet: "test", name: NAME, addresses: [NAME], days: 30 },
    new Date(),
  );
  ownFrontCertificate(world.hosts, pair);
  return pair;
}

/** What every front must do, shown by the real program. */
export function frontBehaviour(kind: FrontKind): void {
  describe(`${kind.name} before the routers`, () => {
    let world: FrontWorld;
    const start = async (count = 2, over: Parameters<FrontWorld["plan"]>[0] = {}) => {
      world = await FrontWorld.make(kind, count);
      await certified(world);
      await world.apply(world.plan(over));
    };
    const routers = async (...handlers: RouterHandlers[]): Promise<TestRouter[]> => {
      const all: TestRouter[] = [];
      for (const [n, each] of handlers.entries()) {
        all.push(await world.router(["a", "b", "c"][n] as string, each));
      }
      return all;
    };
    const reached = (all: TestRouter[]) => all.reduce((sum, { seen }) => sum + seen.length, 0);
    afterEach(() => world?.close());

    it("is content with its own configuration", async () => {
      await start();
      await world.test();
    });

    it("sends plain HTTP to HTTPS, with path, query and method", async () => {
      await start();
      const headers = { host: NAME, "x-request-id": "mine-1" };
      const at = { host: "127.0.0.1", port: world.http, path: "/v1/models?x=1", headers };
      const asked = plainRequest(at).end();
      const [answer] = (await once(asked, "response")) as [IncomingMessage];
      answer.resume();
      expect(answer.statusCode).toBe(308);
      expect(answer.headers.location).toBe(`https://${NAME}:${world.https}/v1/models?x=1`);
      expect(answer.headers).toMatchObject(own("mine-1"));
      for (const id of [{}, { "x-request-id": "no id" }]) {
        const nameless = plainRequest({ ...at, headers: { host: NAME, ...id } }).end();
        const [another] = (await once(nameless, "response")) as [IncomingMessage];
        another.resume();
        expect(another.headers["x-request-id"]).toMatch(/^[\w-]{16,}$/);
      }
    });

    it("speaks HTTP/2 and TLS 1.2 and 1.3, nothing older, and knows only its name", async () => {
      await start();
      const [a] = await routers(echo);
      const client = connectHttp2(`https://127.0.0.1:${world.https}`, {
        servername: NAME,
        ca: world.hosts.authority.cert,
      });
      const stream = client.request({ ":path": "/v1/models", ":authority": NAME });
      const [headers] = await once(stream, "response");
      expect(headers[":status"]).toBe(200);
      stream.resume();
      client.destroy();
      expect(a?.callers).toEqual(new Set(["a"]));
      const hello = (options: object) =>
        new Promise<string>((resolve) => {
          const socket: TLSSocket = connectTls(
            {
              port: world.https,
              host: "127.0.0.1",
              servername: NAME,
              rejectUnauthorized: false,
              ...options,
            },
            () => {
              resolve(socket.getProtocol() ?? "");
              socket.destroy();
            },
          );
          socket.on("error", (error) => resolve(error.message));
        });
      expect(await hello({ maxVersion: "TLSv1.2" })).toBe("TLSv1.2");
      expect(await hello({})).toBe("TLSv1.3");
      const old = { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" };
      expect(await hello(old)).toMatch(/protocol version/i);
      expect(await hello({ servername: "other.example" })).not.toMatch(/^TLSv/);
    });

    it("gives every event on as it comes, and ends a request whose client left", async () => {
      await start();
      let next = () => {};
      let left = false;
      await routers({
        request(_req, res) {
          res.on("close", () => {
            left = true;
          });
          res.writeHead(200, { "content-type": "text/event-stream" });
          let n = 0;
          next = () => {
            n += 1;
            res.write(`data: ${n}\n\n`);
          };
          next();
        },
      });
      // The next event is sent when the last one arrived: nothing that waits for more would end.
      await new Promise<void>((resolve, reject) => {
        const socket = connectTls(
          { port: world.https, host: "127.0.0.1", servername: NAME, rejectUnauthorized: false },
          () => socket.write(`GET /x HTTP/1.1\r\nHost: ${NAME}\r\n\r\n`),
        );
        let all = "";
        let seen = 0;
        socket.on("error", reject);
        socket.on("data", (chunk) => {
          all += String(chunk);
          if (!all.includes(`data: ${seen + 1}\n`)) return;
          seen += 1;
          if (seen < 20) next();
          else {
            socket.destroy();
            resolve();
          }
        });
      });
      await eventually(() => expect(left).toBe(true));
    });

    it("upgrades to WebSocket, both ways, and to nothing else", async () => {
      await start();
      const sockets = new WebSocketServer({ noServer: true });
      const [a] = await routers({
        ...echo,
        upgrade: (req, socket, head) =>
          sockets.handleUpgrade(req, socket as never, head, (ws) => {
            ws.on("message", (data) => ws.send(`${data}!`));
            ws.send("hello");
          }),
      });
      const ws = openSocket(world.https, "/?session=1");
      const said: string[] = [];
      ws.on("message", (data) => said.push(String(data)));
      await once(ws, "open");
      ws.send("one");
      ws.send("x".repeat(100_000));
      await eventually(() => expect(said).toHaveLength(3));
      expect(said.slice(0, 2)).toEqual(["hello", "one!"]);
      ws.close();
      await once(ws, "close");
      const other = await say(world.https, "/v1/models", {
        headers: {
          connection: "Upgrade, HTTP2-Settings",
          upgrade: "h2c",
          "http2-settings": "AAMA",
        },
      });
      expect(other.status).toBe(200);
      expect(a?.seen[0]?.headers.upgrade).toBeUndefined();
    });

    it.each([
      ["round_robin", "to each router in turn", 3, [3, 3, 3]],
      ["least_conn", "to the router with the fewest under way", 2, [4, 2, 2]],
    ] as const)("%s: the next request goes %s", async (balancing, _what, more, counts) => {
      await start(3, { balancing });
      const ends = new Map<string, (() => void)[]>();
      const holds: RouterHandlers = {
        request: (_req, res, _body, { name }) => {
          ends.set(name, [...(ends.get(name) ?? []), () => res.end("{}")]);
        },
      };
      const all = await routers(holds, holds, holds);
      const [a] = all;
      const asked: { reply: Promise<Reply>; ofA: boolean }[] = [];
      const ask = async () => {
        const before = a?.seen.length;
        const reply = say(world.https, "/v1/models");
        await eventually(() => expect(reached(all)).toBe(asked.length + 1));
        asked.push({ reply, ofA: a?.seen.length !== before });
      };
      for (let n = 0; n < 6; n++) await ask();
      expect(all.map(({ seen }) => seen.length)).toEqual([2, 2, 2]);
      for (const end of ends.get("a") ?? []) end();
      await Promise.all(asked.filter(({ ofA }) => ofA).map(({ reply }) => reply));
      for (let n = 0; n < more; n++) await ask();
      expect(all.map(({ seen }) => seen.length)).toEqual(counts);
      for (const end of [...ends.values()].flat()) end();
      const replies = await Promise.all(asked.map(({ reply }) => reply));
      expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]));
    });

    it("never sends a POST twice: a router that dies with it is 502 owner_lost", async () => {
      await start();
      const both = await routers(dies, dies);
      const answer = await say(world.https, "/v1/chat/completions", { body: "{}" });
      expect(reached(both)).toBe(1);
      expect(answer.status).toBe(502);
      expect(answer.json.error).toMatchObject({ code: "owner_lost", retryable: false });
    });

    it("asks another router for a GET that changes nothing", async () => {
      await start();
      const [a, b] = await routers(dies, echo);
      const answers: Reply[] = [];
      // Which router is first is the front's choice: until the dying one was asked.
      await eventually(async () => {
        answers.push(await say(world.https, "/v1/models"));
        expect(a?.seen.length).toBeGreaterThan(0);
      });
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
      expect(b?.seen.length).toBe(answers.length);
    });

    it.each(["/api/v1/chat/stream?message=x", "/hooks/x", "/agents/main/channels/slack/events"])(
      "GET %s, which may have had its effect, is not sent again",
      async (path) => {
        await start();
        const both = await routers(dies, dies);
        const answer = await say(world.https, path);
        const { status, json } = answer;
        expect({ reached: reached(both), status, code: json.error.code }).toEqual({
          reached: 1,
          status: 502,
          code: "owner_lost",
        });
      },
    );

    it("passes over a router that is not there, whatever is asked", async () => {
      await start(3);
      // Of a, b and c two are there.
      const both = await routers(echo, echo);
      let answered = 0;
      for (let n = 0; n < 12; n++) {
        const [turn, ...others] = await Promise.all([
          say(world.https, "/v1/chat/completions", { body: "{}" }),
          say(world.https, "/api/v1/chat/stream?message=x"),
          say(world.https, "/v1/models"),
        ]);
        expect(others.map(({ status }) => status)).toEqual([200, 200]);
        answered += others.length;
        if (turn.status === 200) {
          answered++;
          continue;
        }
        expect(kind.keepsBodies).toBe(false);
        expect([turn.status, turn.headers["retry-after"]]).toEqual([503, "1"]);
        expect(turn.json.error).toMatchObject({ code: "no_owner", retryable: true });
      }
      // What was to be sent again had not arrived.
      expect(reached(both)).toBe(answered);
    });

    it("passes over two of five that are not there", async () => {
      await start(5);
      await routers(echo, echo, echo);
      // Whichever is first for a request, and whichever failed a moment ago.
      for (let n = 0; n < 10; n++) {
        const answers = await Promise.all([
          say(world.https, "/api/v1/chat/stream?message=x"),
          say(world.https, "/v1/models"),
        ]);
        expect(answers.map(({ status }) => status)).toEqual([200, 200]);
      }
    });

    it("says 503 no_owner, to be tried again, when no router is there", async () => {
      await start();
      for (const question of [{ body: "{}" }, {}]) {
        const answer = await say(world.https, "/v1/chat/completions", question);
        expect(answer.status).toBe(503);
        expect(answer.json.error).toMatchObject({ code: "no_owner", retryable: true });
        expect(answer.headers["retry-after"]).toBe("1");
      }
    });

    it("talks to no router that the fleet's authority did not sign", async () => {
      await start(1);
      const stranger = await makeAuthority("other", new Date());
      const router = await world.router("a", echo, stranger);
      const answer = await say(world.https, "/v1/models");
      expect(answer.status).toBe(503);
      expect(router.seen).toEqual([]);
    });

    it("believes nothing that a client says of its own address", async () => {
      await start();
      const both = await routers(echo, echo);
      await say(world.https, "/v1/models", {
        headers: {
          "x-forwarded-for": "203.0.113.9",
          "x-forwarded-host": "evil.example",
          "x-forwarded-proto": "http",
          "x-real-ip": "203.0.113.9",
          forwarded: "for=203.0.113.9",
          "cf-connecting-ip": "203.0.113.9",
          "true-client-ip": "203.0.113.9",
          "x-request-id": "mine-1",
        },
      });
      const { headers } = both.flatMap(({ seen }) => seen)[0] as TestRouter["seen"][0];
      expect(headers["x-forwarded-for"]).toBe("127.0.0.1");
      expect(headers["x-forwarded-proto"]).toBe("https");
      expect(headers["x-request-id"]).toBe("mine-1");
      expect(JSON.stringify(headers)).not.toMatch(/203\.0\.113\.9|evil/);
    });

    it.each(["/metrics", "/api/v1/metrics", "/internal/agent/drain"])(
      "leaves %s to the router, which asks for the admin token",
      async (path) => {
        await start();
        const both = await routers(echo, echo);
        expect((await say(world.https, `${path}?x=1`)).json.url).toBe(`${path}?x=1`);
        const { headers } = both.flatMap(({ seen }) => seen)[0] as TestRouter["seen"][0];
        // By this the router knows that it is no request of its own machine.
        expect(headers["x-forwarded-for"]).toBe("127.0.0.1");
      },
    );

    it.each(["/internal/sessions", "/internal/agent/drain/x", "/internal/agent"])(
      "%s is for inside, however it is written",
      async (path) => {
        await start();
        const both = await routers(echo, echo);
        const forms = [
          path,
          `${path}?x=1`,
          path.replace(/[a-z]/, (letter) => `%${letter.charCodeAt(0).toString(16)}`),
        ];
        for (const form of forms) {
          const answer = await say(world.https, form, { method: "POST", body: "" });
          expect(answer.status, form).toBe(404);
          expect(answer.json.error.code).toBe("not_found");
        }
        expect(reached(both)).toBe(0);
      },
    );

    it("leads to the fleet's own API only from where it may", async () => {
      await start(2, { adminFrom: ["192.0.2.0/24"] });
      const both = await routers(echo, echo);
      const metrics = ["/metrics", "/api/v1/metrics"];
      const fleet = ["/api/v1/fleet", "/api/v1/fleet/drain", "/api/v1/history"];
      for (const path of [...fleet, ...metrics, "/internal/agent/drain"]) {
        const answer = await say(world.https, path, { body: "{}" });
        expect(answer.status).toBe(403);
        expect(answer.json.error.code).toBe("forbidden");
      }
      expect(reached(both)).toBe(0);
      await world.apply(world.plan({ adminFrom: ["127.0.0.0/8"] }));
      await eventually(async () => {
        expect((await say(world.https, "/api/v1/fleet/drain", { body: "{}" })).status).toBe(200);
      });
    });

    it("takes bodies as large as a router keeps, and no larger", async () => {
      await start();
      const both = await routers(echo, echo);
      const most = "x".repeat(HOLD.maxBodyBytes);
      const fits = await say(world.https, "/v1/chat/completions", { body: most });
      expect(fits.json).toMatchObject({ body: most.length });
      const chunked = { "transfer-encoding": "chunked" };
      for (const headers of [{}, chunked]) {
        const sent = await say(world.https, "/v1/chat/completions", {
          body: `${most}x`,
          headers,
        }).catch((error: NodeJS.ErrnoException) => error.code);
        // The connection may be cut while the rest is still on its way.
        if (typeof sent === "object") {
          expect(sent.status).toBe(413);
          expect(sent.json.error.code).toBe("body_too_large");
        }
      }
      expect(reached(both)).toBe(1);
    });

    it("refuses heads that are too large", async () => {
      await start();
      const both = await routers(echo, echo);
      const head = `GET /v1/models HTTP/1.1\r\nHost: ${NAME}\r\nConnection: close\r\n`;
      const answer = await raw(
        world.https,
        `${head}${Array.from({ length: 40 }, (_, n) => `X-${n}: ${"x".repeat(1_000)}\r\n`).join("")}\r\n`,
      );
      expect(answer).toMatch(/^HTTP\/1\.1 (431|400) /);
      if (kind.wordsOnHeads) {
        for (const [name, value] of Object.entries(own(""))) {
          expect(answer.match(new RegExp(`^${name}: ${value || "."}`, "gim")), name).toHaveLength(
            1,
          );
        }
      }
      expect(reached(both)).toBe(0);
    });

    it.each([
      ["both lengths", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
      ["two lengths", "Content-Length: 4\r\nContent-Length: 40\r\n\r\nabcd"],
      ["an unknown coding", "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"],
      ["a bad chunk size", "Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n"],
    ])("lets nobody hide a request in another: %s", async (_, tail) => {
      await start();
      const both = await routers(echo, echo);
      const hidden = `GET /hidden HTTP/1.1\r\nHost: ${NAME}\r\n\r\n`;
      const head = `POST /v1/chat/completions HTTP/1.1\r\nHost: ${NAME}\r\nConnection: close\r\n`;
      const answer = await raw(world.https, `${head}${tail}${hidden}`);
      expect(answer.match(/HTTP\/1\.1 /g)?.length ?? 0).toBeLessThanOrEqual(1);
      // A front may repair a doubled coding; what it sends on is one request of one meaning.
      expect(both.flatMap(({ seen }) => seen).filter(({ url }) => url === "/hidden")).toEqual([]);
    });

    it("gives up a client that does not finish its head", async () => {
      await start();
      const half = await raw(world.https, `GET /v1/models HTTP/1.1\r\nHost: ${NAME}\r\nX-A: `);
      expect(half).not.toMatch(/ 200 /);
    }, 60_000);

    it("takes new settings and certificates without ending what runs", async () => {
      await start();
      let go = () => {};
      await routers({
        request(req, res) {
          if (req.url !== "/stream") return void res.end("{}");
          res.writeHead(200, { "content-type": "text/event-stream" });
          res.write("data: 1\n\n");
          go = () => res.end("data: 2\n\n");
        },
      });
      const before = await say(world.https, "/v1/models");
      let running = "";
      const stream = say(world.https, "/stream", {
        onText: (all) => {
          running = all;
        },
      });
      await eventually(() => expect(running).toContain("data: 1"));
      await certified(world);
      await world.apply(world.plan({ balancing: "round_robin" }));
      await eventually(async () => {
        const after = await say(world.https, "/v1/models");
        expect(after.status).toBe(200);
        expect(after.serial).not.toBe(before.serial);
      });
      go();
      const whole = await stream;
      expect(whole.text).toBe("data: 1\n\ndata: 2\n\n");
      expect(whole.serial).toBe(before.serial);
    });

    it("says of its own answers what every answer says: no shard, epoch 0, its host, the request", async () => {
      await start(2, { adminFrom: [] });
      const asked = { headers: { "x-request-id": "mine-1" } };
      const large = { ...asked, body: "x".repeat(HOLD.maxBodyBytes + 1) };
      const answers = [
        await say(world.https, "/internal/x", asked),
        await say(world.https, "/api/v1/fleet", asked),
        await say(world.https, "/v1/models", asked),
        await say(world.https, "/v1/chat/completions", { ...asked, body: "{}" }),
      ];
      // The connection may be cut while the rest is still on its way.
      const cut = await say(world.https, "/v1/chat/completions", large).catch(() => null);
      if (cut) answers.push(cut);
      expect(answers.map(({ status }) => status).slice(0, 4)).toEqual([404, 403, 503, 503]);
      for (const { status, headers, json } of answers) {
        // A second one of a name would stand behind the first, after a comma.
        expect(headers, String(status)).toMatchObject(own("mine-1"));
        expect(json.error.requestId).toBe("mine-1");
      }
      const unnamed = await say(world.https, "/internal/x");
      expect(unnamed.headers).toMatchObject(own(unnamed.json.error.requestId));
    });

    it("says the same for a router that was lost, also within its head", async () => {
      await start();
      await routers(dies, diesInHead);
      const marks: Reply["headers"][] = [];
      await eventually(async () => {
        const answer = await say(world.https, "/v1/chat/completions", { body: "{}" });
        // A router that failed is left alone for a while; when both are, nothing was sent.
        if (answer.status === 502) marks.push(answer.headers);
        expect(marks.length).toBeGreaterThan(1);
      }, 30_000);
      expect(marks).toEqual(marks.map(() => expect.objectContaining(own())));
    }, 60_000);

    it("leaves what a router says of shard, epoch, instance and request as it is, once", async () => {
      await start();
      const said = {
        [HEADER.shard]: "s1",
        [HEADER.epoch]: "7",
        [HEADER.instance]: "n9",
        [HEADER.requestId]: "mine-1",
      };
      const answers = (status: number): RouterHandlers => ({
        request(req, res) {
          res.writeHead(req.url === "/refused" ? status : 200, said).end("{}");
        },
      });
      await routers(answers(502), answers(502));
      for (const path of ["/v1/models", "/refused"]) {
        const asked = { headers: { "x-request-id": "mine-1" } };
        expect((await say(world.https, path, asked)).headers).toMatchObject(said);
      }
    });

    it("says in one line of JSON what was asked, without its query and headers", async () => {
      await start();
      await routers(echo, echo);
      await say(world.https, "/api/v1/chat/stream?message=hidden-words", {
        headers: { authorization: "Bearer hidden-token", "x-request-id": "seen-id" },
      });
      await eventually(() => expect(world.accessLog()).toContain("seen-id"));
      const text = world.accessLog();
      expect(text).not.toMatch(/hidden/);
      const line = text.split("\n").find((each) => each.includes("seen-id")) as string;
      expect(line).toContain("/api/v1/chat/stream");
      expect(JSON.parse(line)).toMatchObject({ level: "info", status: 200 });
    });

    it("lets a page say itself what it may do, and nothing else", async () => {
      await start();
      const own = "script-src 'sha256-x'";
      await routers({
        request: (_req, res) => res.writeHead(200, { "content-security-policy": own }).end("{}"),
      });
      const policyOf = async (path: string) =>
        [(await say(world.https, path)).headers["content-security-policy"]].flat().join(", ");
      expect(await policyOf("/status")).toBe(own);
      expect(await policyOf("/channels/x/page")).toContain("default-src 'none'");
      expect((await say(world.https, "/status")).headers["x-frame-options"]).toBe("DENY");
    });

    it("adds the headers that keep browsers from harm, also to its own answers", async () => {
      await start();
      await routers(echo, echo);
      for (const path of ["/v1/models", "/internal/x"]) {
        const { headers } = await say(world.https, path);
        expect(headers["x-content-type-options"]).toBe("nosniff");
        expect(headers["content-security-policy"]).toContain("default-src 'none'");
        expect(headers["strict-transport-security"]).toBe("max-age=31536000");
      }
    });
  });
}
