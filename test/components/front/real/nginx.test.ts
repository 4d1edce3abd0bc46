import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { afterEach, describe, expect, it } from "vitest";
import { frontState } from "../../../../components/front/plan.ts";
import { HOLD } from "../../../../gateway/contract.ts";
import { issue } from "../../../../plugin/host/authority.ts";
import { eventually } from "../../../support/eventually.ts";
import { frontBehaviour } from "../../../support/front/behaviour.ts";
import { nginxKind } from "../../../support/front/nginx.ts";
import { FrontWorld, ownFrontCertificate, say } from "../../../support/front/world.ts";

frontBehaviour(nginxKind);

describe("what Nginx alone does", () => {
  const worlds: FrontWorld[] = [];
  const start = async (over: Parameters<FrontWorld["plan"]>[0] = {}, count = 2) => {
    const world = await FrontWorld.make(nginxKind, count);
    worlds.push(world);
    const addresses = ["localhost.example"];
    const leaf = { fleet: "test", name: "front", addresses, days: 30 };
    ownFrontCertificate(world.hosts, await issue(world.hosts.authority, leaf, new Date()));
    await world.apply(world.plan(over));
    return world;
  };
  const fine = {
    request: (_req: unknown, res: { end(text: string): void }) => res.end("{}"),
  } as never;
  afterEach(async () => {
    for (const world of worlds.splice(0)) await world.close();
  });

  it("counts the requests of an address, and says when to come again", async () => {
    const world = await start({ limits: { requestsPerSecond: 1, burst: 2 } });
    const router = await world.router("a", fine);
    await world.router("b", fine);
    const answers = await Promise.all(
      Array.from({ length: 12 }, () => say(world.https, "/v1/models")),
    );
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThanOrEqual(1);
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(3);
    expect(refused[0]?.json.error).toMatchObject({ code: "rate_limited", retryable: true });
    expect(refused[0]?.headers).toMatchObject({
      "retry-after": "1",
      "x-content-type-options": "nosniff",
      "x-openclaw-shard": "none",
      "x-openclaw-epoch": "0",
      "x-openclaw-instance": "a",
      "x-request-id": refused[0]?.json.error.requestId,
    });
    expect(router.seen.length).toBeLessThan(12);
  });

  it("counts what an address has under way", async () => {
    const world = await start({ limits: { connections: 2 } });
    const ends: (() => void)[] = [];
    const slow = {
      request: (_req: unknown, res: { end(text: string): void }) => ends.push(() => res.end("{}")),
    } as never;
    await world.router("a", slow);
    await world.router("b", slow);
    const first = [1, 2].map(() => say(world.https, "/v1/models"));
    await eventually(() => expect(ends).toHaveLength(2));
    expect((await say(world.https, "/v1/models")).status).toBe(429);
    for (const end of ends) end();
    expect((await Promise.all(first)).map(({ status }) => status)).toEqual([200, 200]);
  });

  it("lets one address wait for all that a router holds of a shard", async () => {
    const world = await start();
    const ends: (() => void)[] = [];
    const holds = {
      request: (_req: unknown, res: { end(text: string): void }) => ends.push(() => res.end("{}")),
    } as never;
    await world.router("a", holds);
    await world.router("b", holds);
    const asked: Promise<number>[] = [];
    const arrived = () => eventually(() => expect(ends).toHaveLength(asked.length));
    while (asked.length <= HOLD.maxRequests) {
      // Not all at once: every handshake is made in this process, and the front waits 2 s for one.
      for (let n = 0; n < 16; n++) {
        asked.push(say(world.https, "/api/v1/chat", { body: "{}" }).then(({ status }) => status));
      }
      await arrived();
    }
    for (const end of ends) end();
    expect(new Set(await Promise.all(asked))).toEqual(new Set([200]));
  });

  it("keeps an address at one router if it is told to", async () => {
    const world = await start({ balancing: "ip_hash" }, 3);
    const all = await Promise.all(["a", "b", "c"].map((name) => world.router(name, fine)));
    for (let n = 0; n < 9; n++) await say(world.https, "/v1/models");
    expect(all.map(({ seen }) => seen.length).sort()).toEqual([0, 0, 9]);
  });

  it("learns addresses from a balancer's PROXY protocol, and from that one alone", async () => {
    const world = await start({ proxyProtocolFrom: ["127.0.0.1/32"] });
    const router = await world.router("a", fine);
    await world.router("b", fine);
    const through = async (from: string, head: string) => {
      const plain = connect({ port: world.https, host: "127.0.0.1", localAddress: from });
      await once(plain, "connect");
      plain.write(head);
      const socket = connectTls({
        socket: plain,
        servername: "localhost.example",
        rejectUnauthorized: false,
      });
      socket.on("error", () => {});
      socket.write(
        "GET /v1/models HTTP/1.1\r\nHost: localhost.example\r\nConnection: close\r\n\r\n",
      );
      let all = "";
      socket.on("data", (chunk) => {
        all += String(chunk);
      });
      await once(socket, "close");
      return all;
    };
    const said = "PROXY TCP4 198.51.100.7 192.0.2.1 5555 443\r\n";
    const seen: unknown[] = [];
    await eventually(async () => {
      expect(await through("127.0.0.1", said)).toMatch(/ 200 /);
      seen.push(...router.seen.map(({ headers }) => headers["x-forwarded-for"]));
      expect(seen.length).toBeGreaterThan(0);
    });
    expect(new Set(seen)).toEqual(new Set(["198.51.100.7"]));
    router.seen.length = 0;
    await eventually(async () => {
      expect(await through("127.0.0.2", said)).toMatch(/ 200 /);
      expect(router.seen.length).toBeGreaterThan(0);
    });
    expect(router.seen[0]?.headers["x-forwarded-for"]).toBe("127.0.0.2");
  });

  it("answers ACME on plain HTTP, also for what another front asked for", async () => {
    const over = {
      certificate: { kind: "acme", email: "a@b.example" } as const,
      hosts: ["a", "b"],
    };
    const world = await FrontWorld.make(nginxKind, 2);
    worlds.push(world);
    const { hosts } = world;
    const folder = (name: string) => join(frontState(hosts.context(name).paths), "acme");
    for (const name of ["a", "b"]) {
      mkdirSync(join(folder(name), ".well-known/acme-challenge"), { recursive: true });
    }
    writeFileSync(join(folder("a"), ".well-known/acme-challenge/mine"), "of a");
    const state = join(frontState(hosts.context("a").paths), "tls");
    mkdirSync(state, { recursive: true });
    const pair = hosts.pair("a");
    writeFileSync(join(state, "cert.pem"), pair.cert);
    writeFileSync(join(state, "key.pem"), pair.key);
    await world.apply(world.plan(over));
    const get = (path: string) =>
      new Promise<string>((resolve, reject) => {
        request({ port: world.http, host: "127.0.0.1", path, agent: false }, (res) => {
          let text = `${res.statusCode} `;
          res.on("data", (chunk) => {
            text += String(chunk);
          });
          res.on("end", () => resolve(text));
        })
          .on("error", reject)
          .end();
      });
    expect(await get("/.well-known/acme-challenge/mine")).toBe("200 of a");
    // The front on b is at b's address; here it is the same program, which finds nothing of b's.
    expect(await get("/.well-known/acme-challenge/nobodys")).toMatch(/^404 /);
    expect(await get("/.well-known/acme-challenge/../../tls/key.pem")).not.toContain("PRIVATE");
    expect(await get("/other")).toMatch(/^308 /);
  });
});
