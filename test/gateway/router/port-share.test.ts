import { Agent, createServer, request, type Server } from "node:http";
import { afterEach, expect, test } from "vitest";
import { bootId } from "../../../gateway/clock.ts";
import { type PortHolderOptions, PublicPort } from "../../../gateway/router/port.ts";
import { listen, testBind } from "../../../gateway/router/port-bind.ts";
import { freePort } from "../../support/free-ports.ts";
import { ask, KeptLog, until, World } from "./world.ts";

/** Sharing a port for a hand-over is what Linux can do; elsewhere the holder is waited for. */
const linux = test.runIf(process.platform === "linux");

const HOST = "127.0.0.1";
const FAST = { bindEveryMs: 5, probeEveryMs: 10, probeTimeoutMs: 5_000, handOverMs: 60_000 };

const open: { port: PublicPort; server: Server }[] = [];
let world: World | null = null;
afterEach(async () => {
  for (const { port, server } of open.splice(0)) {
    await port.stop();
    server.closeAllConnections();
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  }
  await world?.close();
  world = null;
});

function router(node: string, port: number, over: Partial<PortHolderOptions> = {}) {
  const server = createServer((_req, res) => {
    // An answer takes its time, so that clients are in every stage of a request at a hand-over.
    setTimeout(() => res.end(JSON.stringify({ fleet: "f", instanceId: node })), 1);
  });
  const options = { server, node, host: HOST, port, fleet: () => "f", log: new KeptLog() };
  const own = new PublicPort({ ...options, timings: FAST, ...over });
  open.push({ port: own, server });
  return own;
}

const orderOf = (node: string, port: number) => ({
  node,
  host: HOST,
  port,
  bootId: bootId(),
  evenStopping: false,
});

/** Clients that open a connection for each request, until told to stop. */
function hammer(port: number, clients: number) {
  let over = false;
  const faults: string[] = [];
  const answers = new Map<string, number>();
  const loop = async () => {
    while (!over) {
      try {
        const { json } = await ask(port, "/healthz");
        answers.set(json.instanceId, (answers.get(json.instanceId) ?? 0) + 1);
      } catch (error) {
        faults.push(String(error));
      }
    }
  };
  const done = Promise.all(Array.from({ length: clients }, loop));
  const stop = async () => {
    over = true;
    await done;
    return faults;
  };
  return { answers, stop };
}

linux("fifty hand-overs under clients with a connection a request: none fails", async () => {
  const port = await freePort();
  const routers = ["a", "b", "c"].map((node) => ({ node, own: router(node, port) }));
  for (const { own } of routers) await own.start();
  const load = hammer(port, 8);
  const holder = () => routers.filter(({ own }) => own.held);
  for (let round = 0; round < 50; round += 1) {
    const [old] = holder();
    const next = routers.filter((each) => each !== old)[round % 2];
    if (!old || !next) throw new Error("nobody holds the port");
    expect(await next.own.take(orderOf(old.node, port))).toEqual({ taken: true, why: "" });
    await old.own.letGo();
    expect(holder()).toEqual([next]);
  }
  expect(await load.stop()).toEqual([]);
  expect([...load.answers.keys()].sort()).toEqual(["a", "b", "c"]);
});

linux("routers that close one after another hand the port on, and no client fails", async () => {
  const port = await freePort();
  world = new World();
  world.fleet.config.port = port;
  for (const id of ["a", "b", "c"]) {
    await world.add(id, { listen: { host: HOST, port }, closeBudgetMs: 20_000 });
  }
  const holder = () =>
    [...(world?.nodes.values() ?? [])].find(({ router }) => router.port === port)?.id;
  await until(() => holder() === "a");
  const load = hammer(port, 4);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const kept = () =>
    new Promise<string>((resolve, reject) => {
      const req = request({ host: HOST, port, path: "/healthz", agent }, (res) => {
        res.resume().on("end", () => resolve(String(res.headers.connection)));
      });
      req.on("error", reject).end();
    });
  expect(await kept()).toBe("keep-alive");
  const closing = world.node("a").router.close();
  await until(() => holder() === "b" && world?.node("a").router.port === null);
  // Its connection is still the first router's, which says good-bye with an answer.
  expect(await kept()).toBe("close");
  expect(await kept()).toBe("keep-alive");
  await closing;
  agent.destroy();
  await world.node("b").router.close();
  expect(holder()).toBe("c");
  expect(await load.stop()).toEqual([]);
  expect([...load.answers.keys()].sort()).toEqual(["a", "b", "c"]);
});

linux("a router that handed its port on lets a long turn at the peer end", async () => {
  const port = await freePort();
  world = new World();
  world.fleet.config.port = port;
  for (const id of ["a", "b"])
    await world.add(id, { listen: { host: HOST, port }, closeBudgetMs: 1 });
  await until(() => world?.node("a").router.port === port);
  let finish = () => {};
  let begun = false;
  await world.fleet.own("s1", "b", {
    http: (_req, res) => {
      begun = true;
      finish = () => res.end('{"long":true}');
    },
  });
  const body = { model: "openclaw/main", user: "one", messages: [] };
  const answer = ask(port, "/v1/chat/completions", { body });
  await until(() => begun);
  const closing = world.node("a").router.close(60_000);
  await until(() => world?.node("b").router.port === port && world?.node("a").router.port === null);
  // Its shorter budget is over many times by then, last words included.
  const cut = await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 1_000))]);
  expect(cut).toBeUndefined();
  finish();
  expect((await answer).json).toEqual({ long: true });
  await closing;
});

linux("of two that took the port in a race, the larger id lets go", async () => {
  const port = await freePort();
  const [a, b] = [router("a", port), router("b", port)];
  await b.start();
  expect(b.held).toBe(true);
  // The order names a stranger, so neither knows the other as its predecessor.
  expect((await a.take(orderOf("x", port))).taken).toBe(true);
  await a.start();
  await until(() => !b.held, "the larger id to let go");
  expect(a.held).toBe(true);
  expect((await ask(port, "/healthz")).json.instanceId).toBe("a");
  expect(await testBind(HOST, port)).toMatchObject({ code: "EADDRINUSE" });
});

linux("a program that shares its port is not joined unasked", async () => {
  const port = await freePort();
  const foreign = createServer((_req, res) => res.end("not ours"));
  expect(await listen(foreign, { host: HOST, port, exclusive: true, reusePort: true })).toBe(null);
  const own = router("a", port);
  await own.start();
  await until(() => own.holder === "foreign");
  expect(own.held).toBe(false);
  for (let n = 0; n < 20; n += 1) expect((await ask(port, "/")).text).toBe("not ours");
  foreign.close();
  await own.taken;
});

linux("who met a stranger on the port lets go of it", async () => {
  const port = await freePort();
  const own = router("a", port);
  await own.start();
  const foreign = createServer((_req, res) => res.end("not ours"));
  expect(await listen(foreign, { host: HOST, port, exclusive: true, reusePort: true })).toBe(null);
  await until(() => !own.held, "the stranger to be noticed");
  expect((await ask(port, "/")).text).toBe("not ours");
  foreign.close();
});

test("who cannot take the port says why", async () => {
  const port = await freePort();
  const order = orderOf("z", port);
  const why = async (over: Partial<PortHolderOptions>, asked: object) =>
    (await router("a", port, over).take({ ...order, ...asked })).why;
  expect(await why({}, { bootId: "other" })).toContain("another machine");
  expect(await why({}, { port: port + 1 })).toContain(`${HOST}:${port}`);
  expect(await why({ stopping: () => true }, {})).toContain("stopping");
  expect(await why({ share: false }, {})).toContain("cannot be shared");
  const closed = router("a", port);
  await closed.stop();
  expect((await closed.take(order)).why).toContain("closing");
  const holder = router("a", port);
  await holder.start();
  expect((await holder.take(order)).why).toContain("already");
});

test("where ports cannot be shared the next one binds when the holder is gone", async () => {
  const port = await freePort();
  const [a, b] = [router("a", port, { share: false }), router("b", port, { share: false })];
  await a.start();
  await b.start();
  await until(() => b.holder === "ours");
  await a.stop();
  await new Promise((resolve) => open[0]?.server.close(resolve));
  await b.taken;
  expect((await ask(port, "/healthz")).json.instanceId).toBe("b");
});
