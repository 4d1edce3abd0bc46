import { createServer as createHttp } from "node:http";
import { createServer } from "node:https";
import { type AddressInfo, connect } from "node:net";
import { connect as connectTls } from "node:tls";
import { afterEach, expect, test } from "vitest";
import { frontError, ownHeaders } from "../../components/front/plan.ts";
import { issue, makeAuthority } from "../../plugin/host/authority.ts";
import { chat, completion } from "../drill/clients/http.ts";
import { outcomeOf } from "../drill/clients/load.ts";
import { type Call, FrontLost, NotTaken, Refusal } from "../drill/clients/types.ts";
import { type Balancer, startBalancer } from "../drill/hosts/balancer.ts";
import { eventually } from "../support/eventually.ts";

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

const call = (key: string | null): Call => ({
  ...{ agent: "main", session: "s", message: "m", marker: "x", key },
  signal: AbortSignal.timeout(20_000),
});

/** Answers everything with this status, as a router, as a front of a host, or as a balancer (without a name). */
async function answering(
  status: number,
  code: string,
  by: "router" | "front" | "balancer",
): Promise<string> {
  const server = createHttp((_request, response) => {
    const named = by === "balancer" ? {} : ownHeaders("a", "id");
    response.writeHead(status, { "content-type": "application/json", ...named });
    const own = by === "front" ? frontError(status, "id") : null;
    response.end(own ?? JSON.stringify({ error: { code, message: "no" } }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  open.push({ close: () => server.close() });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const target = (endpoint: string) => ({ endpoint, token: "t", adminToken: "t" });

test.each(["front", "balancer"] as const)(
  "a %s without a router took nothing, whoever asks",
  async (by) => {
    const at = target(await answering(503, "no_owner", by));
    await expect(chat(at, call("k"))).rejects.toBeInstanceOf(NotTaken);
    await expect(completion(at, call(null))).rejects.toBeInstanceOf(NotTaken);
  },
);

test.each(["front", "balancer"] as const)(
  "a %s that lost its router is a lost connection, and owner_lost where there is no key",
  async (by) => {
    const at = target(await answering(502, "owner_lost", by));
    const error = await completion(at, call(null)).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(FrontLost);
    expect(outcomeOf(error, "v1")).toMatchObject({ code: "owner_lost", status: 502 });
  },
);

test("what a router says is never taken for a front's", async () => {
  const at = target(await answering(503, "no_owner", "router"));
  const error = await chat(at, call("k")).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(Refusal);
  expect(error).toMatchObject({ code: "no_owner" });
});

test("a stored answer is none under the epoch that it names", async () => {
  const server = createHttp((request, response) => {
    const stored = request.headers["idempotency-key"] === "again";
    response.writeHead(200, {
      "x-openclaw-epoch": "3",
      ...(stored ? { "idempotency-replayed": "true" } : {}),
    });
    response.end(JSON.stringify({ reply: "r" }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  open.push({ close: () => server.close() });
  const at = target(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  expect(await chat(at, call("first"))).toMatchObject({ reply: "r", epoch: 3 });
  expect(await chat(at, call("again"))).toMatchObject({ reply: "r", epoch: null });
});

test("the balancer passes connections to a front that is ready, and ends those of a silent one", async () => {
  const authority = await makeAuthority("test", new Date());
  const addresses = ["127.0.0.1", "127.0.0.2"];
  const pair = await issue(authority, { fleet: "t", name: "t", addresses, days: 1 }, new Date());
  const says = new Map<string, number | null>([
    ["127.0.0.1", 503],
    ["127.0.0.2", 200],
  ]);
  const handler = (address: string) =>
    createServer({ cert: pair.cert, key: pair.key }, (_request, response) => {
      const status = says.get(address) ?? null;
      if (status === null) return;
      response.writeHead(status, { connection: "close" });
      response.end(address);
    });
  const first = handler("127.0.0.1");
  await new Promise<void>((resolve) => first.listen(0, "127.0.0.1", resolve));
  const { port } = first.address() as AddressInfo;
  const second = handler("127.0.0.2");
  await new Promise<void>((resolve) => second.listen(port, "127.0.0.2", resolve));
  open.push({ close: () => first.close() }, { close: () => second.close() });
  const balancer: Balancer = await startBalancer(addresses, authority.cert, port);
  open.push(balancer);
  const own = Number(new URL(balancer.endpoint).port);

  const idle = connect({ host: "127.0.0.1", port: own });
  idle.on("error", () => {});
  const gone = new Promise<void>((resolve) => idle.once("close", () => resolve()));
  // Nothing is read from it: the balancer alone decides when it ends.
  idle.resume();
  await said(own, authority.cert, "127.0.0.2");
  // About to end: it gets no new ones, and keeps what it has.
  says.set("127.0.0.2", 503);
  says.set("127.0.0.1", 200);
  await eventually(() => said(own, authority.cert, "127.0.0.1"));
  expect(idle.destroyed).toBe(false);
  says.set("127.0.0.2", null);
  await gone;
  // None is ready: better any that answers than nobody.
  says.set("127.0.0.1", 503);
  await said(own, authority.cert, "127.0.0.1");
});

/** Asks through the balancer once; throws unless this front answered. */
async function said(port: number, ca: string, address: string): Promise<void> {
  const text = await new Promise<string>((resolve, reject) => {
    const socket = connectTls({ host: "127.0.0.1", port, ca, servername: "" });
    let all = "";
    socket.once("error", reject);
    socket.once("secureConnect", () => socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    socket.on("data", (chunk: Buffer) => {
      all += chunk.toString();
    });
    socket.once("close", () => resolve(all));
  });
  expect(text).toContain(address);
}
