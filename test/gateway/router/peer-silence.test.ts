import { readFileSync } from "node:fs";
import { afterEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { ALIVE_MS, silentAfter } from "../../../gateway/router/peer-silence.ts";
import { Path } from "./dead-path.ts";
import { CLIENT_TOKEN, type FakeGateway, fleetConfig } from "./fakes.ts";
import { ask, until, World } from "./world.ts";

const QUICK_MS = 100;
const NOWHERE = "no-such-host.invalid:1";
const body = { agent: "helper", session: "s", message: "hi" };

let world: World;
let path: Path;
let gateway: FakeGateway;
const open: WebSocket[] = [];

/** Three nodes of a fleet; c owns s1 and is reached over a path that can die. */
async function fleet({ aliveMs = QUICK_MS, turnMs = 60_000, turnBudgetMs = 20_000 } = {}) {
  world = new World(fleetConfig({ turnBudgetMs }));
  for (const id of ["a", "b", "c"]) await world.add(id, { aliveMs });
  gateway = await world.fleet.own("s1", "c", { turnMs });
  path = await Path.to(world.node("c").router.peerAddress);
}

/** What a node dials to reach c; its belief in the owner stays. */
function dial(node: string, address: string): void {
  const { view } = world.node(node);
  const route = view.route("s1");
  if (route.at !== "peer") throw new Error(`${node} must not be the owner`);
  view.beliefs.set("s1", { ...route, address });
}

afterEach(async () => {
  for (const socket of open.splice(0)) socket.terminate();
  await path.close();
  await world.close();
});

describe("a chat at a peer", () => {
  test("that says nothing any more is asked for over another node", async () => {
    await fleet({ turnMs: 2 * silentAfter(QUICK_MS) });
    dial("a", path.address);
    const answer = ask(world.node("a").port, "/api/v1/chat", { body });
    await until(() => gateway.turnsSent.length === 1, "the turn at the owner");
    path.die();
    dial("a", NOWHERE);
    expect((await answer).json.reply).toBe("echo hi");
    expect(world.log.lines.join()).toContain("a turn lost its owner");
    expect([...world.fleet.disk("s1").asked.values()].map(({ runs }) => runs)).toEqual([1]);
  });

  test("that works for long and says so is left alone", async () => {
    await fleet({ turnMs: 10 * QUICK_MS });
    dial("a", path.address);
    const answer = await ask(world.node("a").port, "/api/v1/chat", { body });
    expect(answer.json.reply).toBe("echo hi");
    expect(gateway.turnsSent).toHaveLength(1);
    expect(world.log.lines.join()).not.toContain("lost its owner");
  });

  test("ends at its budget, whatever the peer says", async () => {
    await fleet({ aliveMs: ALIVE_MS, turnBudgetMs: 300 });
    dial("a", path.address);
    path.die();
    const { status, json } = await ask(world.node("a").port, "/api/v1/chat", { body });
    expect(status).toBe(504);
    expect(json.error.code).toBe("in_progress");
  });
});

describe("a WebSocket to a peer", () => {
  async function connected(port: number): Promise<{ closed: () => number | null }> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/agents/helper/`, {
      headers: { authorization: `Bearer ${CLIENT_TOKEN}` },
    });
    open.push(socket);
    let frames = 0;
    let closed: number | null = null;
    socket.on("message", () => {
      frames += 1;
    });
    socket.on("close", (code) => {
      closed = code;
    });
    await new Promise((resolve) => socket.once("open", resolve));
    socket.send(JSON.stringify({ type: "req", id: "c", method: "connect", params: {} }));
    await until(() => frames === 2, "the answer to connect");
    return { closed: () => closed };
  }

  test("closes with 1012 when its path is dead", async () => {
    await fleet();
    dial("a", path.address);
    const client = await connected(world.node("a").port);
    await new Promise((resolve) => setTimeout(resolve, 2 * silentAfter(QUICK_MS)));
    expect(client.closed()).toBeNull();
    path.die();
    await until(() => client.closed() !== null, "the close");
    expect(client.closed()).toBe(1012);
  });

  test("so does one over a relay, when the path behind that is dead", async () => {
    await fleet();
    dial("a", NOWHERE);
    world.fleet.addresses.set("c", path.address);
    const client = await connected(world.node("a").port);
    path.die();
    await until(() => client.closed() !== null, "the close");
    expect(client.closed()).toBe(1012);
  });
});

/** Sockets of this machine on a port, as the kernel has them: 02 is a timer of keep-alive, in 1/100 s. */
function timers(end: "local" | "remote", port: number): { kind: string; hundredths: number }[] {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  return readFileSync("/proc/net/tcp", "utf8")
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[end === "local" ? 1 : 2]?.endsWith(`:${hex}`) && fields[3] === "01")
    .map((fields) => {
      const [kind = "", ticks = ""] = (fields[5] as string).split(":");
      return { kind, hundredths: Number.parseInt(ticks, 16) };
    });
}

test.skipIf(process.platform !== "linux")(
  "what may be silent for long is watched by the kernels of both ends",
  async () => {
    await fleet();
    gateway.behaviour.http = () => undefined;
    const stop = new AbortController();
    const chat = { model: "openclaw/helper", user: "x", messages: [] };
    const waiting = ask(world.node("a").port, "/v1/chat/completions", {
      body: chat,
      signal: stop.signal,
    }).catch(() => undefined);
    await until(() => gateway.requests.length === 1, "the request at the gateway");
    const port = Number(world.node("c").router.peerAddress.split(":")[1]);
    for (const end of ["local", "remote"] as const) {
      const [timer] = timers(end, port);
      expect(timer?.kind, end).toBe("02");
      expect(timer?.hundredths, end).toBeLessThanOrEqual(ALIVE_MS / 10);
    }
    stop.abort();
    await waiting;
  },
);
