import { readFileSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { afterEach, beforeEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import type { TlsFiles } from "../../../gateway/config.ts";
import { AddressSet, clientAddress } from "../../../gateway/router/auth.ts";
import { FleetTls, TlsFilesError } from "../../../gateway/router/fleet-tls.ts";
import { FleetCertificates } from "../../support/fleet-certificates.ts";
import { CLIENT_TOKEN, PEER_TOKEN } from "./fakes.ts";
import { type Answer, ask, until, World } from "./world.ts";

let world: World;
let certificates: FleetCertificates;
const files = new Map<string, TlsFiles>();
const tls = new Map<string, FleetTls>();
const told: string[] = [];
const log = { info: (line: string) => told.push(line), error: (line: string) => told.push(line) };

beforeEach(async () => {
  certificates = await FleetCertificates.make();
  world = new World();
  for (const id of ["a", "b", "c"]) {
    files.set(id, await certificates.write(id));
    tls.set(id, new FleetTls({ files: files.get(id) as TlsFiles, log }));
    await world.add(id, {
      tls: tls.get(id) as FleetTls,
      alone: true,
      front: { host: "127.0.0.1", port: 0 },
    });
  }
  told.length = 0;
});
afterEach(async () => {
  await world.close();
  certificates.remove();
});

const portOf = (id: string) => Number(world.node(id).router.peerAddress.split(":")[1]);
const credentialsOf = (id: string) => (tls.get(id) as FleetTls).credentials;
const frontOf = (id: string) => world.node(id).router.frontPort as number;

interface TlsAsk {
  tls?: object;
  headers?: Record<string, string>;
  method?: string;
}

/** One request over TLS; rejects with the code of what refused it. */
function askTls(port: number, path: string, options: TlsAsk = {}): Promise<Answer> {
  const { tls: with_, headers = {}, method = "GET" } = options;
  return new Promise((resolve, reject) => {
    const req = request(
      { host: "127.0.0.1", port, path, method, headers, agent: false, ...with_ },
      (res) => {
        let text = "";
        res.setEncoding("utf8");
        res.on("data", (chunk: string) => {
          text += chunk;
        });
        res.on("end", () => {
          let json: unknown;
          try {
            json = JSON.parse(text);
          } catch {
            json = null;
          }
          const status = res.statusCode as number;
          resolve({ status, headers: res.headers as never, text, json, broken: false });
        });
      },
    );
    req.on("error", reject);
    req.end();
  });
}

const alive = { "x-openclaw-fleet-peer": PEER_TOKEN };

test("requests, chats and WebSockets go to the owner on another node over certificates both ways", async () => {
  const gateway = await world.fleet.own("s1", "b");
  const { port } = world.node("a");
  const body = { model: "openclaw/helper", user: "x", messages: [] };
  expect((await ask(port, "/v1/chat/completions", { body })).status).toBe(200);
  const chat = { agent: "helper", session: "s", message: "hi" };
  expect((await ask(port, "/api/v1/chat", { body: chat })).json.reply).toBe("echo hi");
  const socket = new WebSocket(`ws://127.0.0.1:${port}/agents/helper/`, {
    headers: { authorization: `Bearer ${CLIENT_TOKEN}` },
  });
  const ids: unknown[] = [];
  socket.on("message", (data) => ids.push(JSON.parse(String(data)).id));
  await new Promise((resolve) => socket.once("open", resolve));
  socket.send(JSON.stringify({ type: "req", id: "c", method: "connect", params: {} }));
  await until(() => ids.length === 2, "the answer to connect");
  socket.terminate();
  expect(gateway.connects).toHaveLength(1);
  expect(gateway.requests).toHaveLength(1);
});

test("over a third node too, when the owner cannot be reached directly", async () => {
  await world.fleet.own("s1", "c");
  const { view, port } = world.node("a");
  const route = view.route("s1");
  if (route.at !== "peer") throw new Error("a must not be the owner");
  view.beliefs.set("s1", { ...route, address: "no-such-host.invalid:1" });
  const body = { agent: "helper", session: "s", message: "hi" };
  expect((await ask(port, "/api/v1/chat", { body })).json.reply).toBe("echo hi");
});

test("peers and fronts are let in by a certificate of the fleet's authority alone, on TLS 1.3", async () => {
  const others = await FleetCertificates.make();
  const foreign = await others.write("b");
  const long = new Date(Date.now() - 3 * 86_400_000);
  const expired = await certificates.write("old", { now: long, days: 1 });
  const good = files.get("b") as TlsFiles;
  const read = (from: TlsFiles) => ({
    ca: readFileSync(good.ca),
    cert: readFileSync(from.cert),
    key: readFileSync(from.key),
  });
  for (const port of [portOf("a"), frontOf("a")]) {
    const path = port === portOf("a") ? "/internal/alive" : "/healthz";
    const of = (tlsOptions: object) => askTls(port, path, { headers: alive, tls: tlsOptions });
    expect((await of(read(good))).status).toBe(200);
    await expect(of({ ca: readFileSync(good.ca) })).rejects.toThrow();
    await expect(of(read(foreign))).rejects.toThrow();
    await expect(of(read(expired))).rejects.toThrow();
    await expect(of({ ...read(good), maxVersion: "TLSv1.2" })).rejects.toThrow();
    await expect(ask(port, path, { headers: alive })).rejects.toThrow();
  }
  others.remove();
});

test("a certificate without the fleet's token is no peer, and the answer names its owner", async () => {
  const { ca, cert, key } = credentialsOf("b");
  const answer = await askTls(portOf("a"), "/internal/alive", { tls: { ca, cert, key } });
  expect(answer.status).toBe(401);
  expect(answer.json.error.message).toContain("this certificate is b's");
});

test("an owner whose certificate is of another authority, or for another address, is not talked to", async () => {
  const others = await FleetCertificates.make();
  const impostors = [
    await others.write("x"),
    await certificates.write("x", { addresses: ["10.9.9.9"] }),
  ];
  for (const [index, impostor] of impostors.entries()) {
    const id = `x${index}`;
    await world.add(id, { tls: new FleetTls({ files: impostor, log }), alone: true });
    await world.fleet.own("s1", id);
    const route = world.node("a").view.route("s1");
    expect(route.at).toBe("peer");
    const reach = JSON.stringify({ address: world.node(id).router.peerAddress });
    const { ca, cert, key } = credentialsOf("b");
    const answer = await new Promise<string>((resolve, reject) => {
      const req = request(
        {
          host: "127.0.0.1",
          port: portOf("a"),
          path: "/internal/reach",
          method: "POST",
          headers: { ...alive, "content-length": reach.length },
          agent: false,
          ca,
          cert,
          key,
        },
        (res) => {
          res.setEncoding("utf8");
          let text = "";
          res.on("data", (chunk: string) => {
            text += chunk;
          });
          res.on("end", () => resolve(text));
        },
      );
      req.on("error", reject);
      req.end(reach);
    });
    expect(JSON.parse(answer)).toEqual({ reached: false });
  }
  others.remove();
});

test("new certificates are used without a connection dropped, also of a new authority", async () => {
  let finish = () => {};
  let begun = false;
  await world.fleet.own("s1", "b", {
    http: (_req, res) => {
      begun = true;
      res.write('{"first":1,');
      finish = () => res.end('"last":2}');
    },
  });
  const { port } = world.node("a");
  const body = { model: "openclaw/helper", user: "x", messages: [] };
  const running = ask(port, "/v1/chat/completions", { body });
  await until(() => begun);

  // The next authority is trusted first, then it signs, then the old one is forgotten.
  const next = await FleetCertificates.make();
  const [old] = certificates.authorities;
  const [young] = next.authorities;
  if (!old || !young) throw new Error("an authority is missing");
  const serials = new Set<string>();
  for (const authorities of [[old, young], [young, old], [young]]) {
    certificates.authorities = authorities;
    for (const id of ["a", "b", "c"]) await certificates.write(id);
    for (const each of tls.values()) each.look();
    const { ca, cert, key } = credentialsOf("c");
    const answer = await askTls(portOf("b"), "/internal/alive", {
      headers: alive,
      tls: { ca, cert, key },
    });
    expect(answer.status).toBe(200);
    serials.add(cert);
    const chat = { agent: "helper", session: `s${serials.size}`, message: "hi" };
    expect((await ask(port, "/api/v1/chat", { body: chat })).json.reply).toBe("echo hi");
  }
  expect(serials.size).toBe(3);
  finish();
  expect(await running).toMatchObject({ broken: false, json: { first: 1, last: 2 } });
  next.remove();
});

test("files that do not fit together change nothing until they do", async () => {
  const { cert, key } = files.get("a") as TlsFiles;
  const a = tls.get("a") as FleetTls;
  const before = a.credentials;
  const kept = { cert: readFileSync(cert), key: readFileSync(key) };
  await certificates.write("a");
  const fresh = readFileSync(key);
  writeFileSync(key, kept.key);
  a.look();
  a.look();
  expect(a.credentials).toBe(before);
  expect(told.filter((line) => line.includes("is not the key of"))).toHaveLength(1);
  writeFileSync(key, "no key at all, but perhaps a secret");
  a.look();
  expect(told.join(" ")).not.toContain("perhaps a secret");
  writeFileSync(key, fresh);
  a.look();
  expect(a.credentials).not.toBe(before);
  expect(a.generation).toBe(1);
});

test("a node without good files does not begin", async () => {
  const good = files.get("a") as TlsFiles;
  expect(() => new FleetTls({ files: { ...good, cert: "/no/such.pem" }, log })).toThrow(
    TlsFilesError,
  );
  const other = files.get("b") as TlsFiles;
  expect(() => new FleetTls({ files: { ...good, key: other.key }, log })).toThrow(
    /is not the key of/,
  );
});

test("what a front forwards is believed; what it does not is its own, and never this machine's", async () => {
  const { ca, cert, key } = credentialsOf("c");
  const at = (path: string, headers: Record<string, string>, method = "GET") =>
    askTls(frontOf("a"), path, { tls: { ca, cert, key }, headers, method });
  world.fleet.config.scrapers = ["203.0.113.9"];
  const forwarded = { "x-forwarded-for": "203.0.113.9" };
  expect((await at("/metrics", forwarded)).status).toBe(401);
  expect((await at("/metrics", {})).status).toBe(401);
  expect((await at("/internal/agent/drain", {}, "POST")).status).toBe(401);
  expect((await at("/healthz", forwarded)).status).toBe(200);

  const none = new AddressSet([]);
  const from = (address: string, headers: Record<string, string>, certified = true) =>
    clientAddress(address, headers, none, certified);
  expect(from("10.0.0.2", forwarded)).toEqual({ address: "203.0.113.9", proxied: true });
  expect(from("10.0.0.2", forwarded, false)).toEqual({ address: "10.0.0.2", proxied: true });
  // What a client put in front of the front's own word is not believed.
  const forged = { "x-forwarded-for": "127.0.0.1, 203.0.113.9" };
  expect(from("10.0.0.2", forged).address).toBe("203.0.113.9");
  expect(from("10.0.0.2", {})).toEqual({ address: "10.0.0.2", proxied: false });
  expect(from("127.0.0.1", {})).toEqual({ address: "127.0.0.1", proxied: true });
});
