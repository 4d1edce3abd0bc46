import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { Interrupted, PartlyDone } from "../../../plugin/handler.ts";
import { issue, makeAuthority } from "../../../plugin/host/authority.ts";
import { FleetReadyHandler } from "../../../plugin/host/fleet-ready.ts";
import type { HostShell } from "../../../plugin/host/shell.ts";
import { type Props, secret } from "../../../plugin/values.ts";
import { freePorts } from "../../support/free-ports.ts";

const ADMIN = "admin-token";
const CLIENT = "client-token";
let server: Server;
let inputs: Props;
let shown: { nodes: object[]; shards: object[]; store: object; update?: object };
let reply: { status: number; body: unknown };
let chats: number;
const said: string[] = [];
const asked: string[] = [];

const OP = {
  preview: false,
  signal: new AbortController().signal,
  say: (line: string) => void said.push(line),
  programRuns: true,
};
const shell: HostShell = {
  async exec(argv) {
    asked.push(argv.join(" "));
    return { code: 0, stdout: "the disk is full\n", stderr: "" };
  },
  put: () => Promise.reject(new Error("nothing is put")),
  close: async () => {},
};
const handler = (readyMs = 0) => new FleetReadyHandler({ open: () => shell, readyMs, settleMs: 0 });

beforeAll(async () => {
  const now = new Date();
  const authority = await makeAuthority("vps", now);
  const leaf = { fleet: "vps", name: "front", addresses: ["127.0.0.1"], days: 30 };
  const { cert, key } = await issue(authority, leaf, now);
  server = createServer({ cert, key }, async (request, response) => {
    let text = "";
    for await (const part of request) text += part;
    const { authorization } = request.headers;
    const send = (status: number, body: unknown) =>
      response.writeHead(status, { connection: "close" }).end(JSON.stringify(body));
    if (request.url === "/api/v1/chat") {
      expect([authorization, JSON.parse(text).agent]).toEqual([`Bearer ${CLIENT}`, "main"]);
      chats += 1;
      return send(reply.status, reply.body);
    }
    if (authorization !== `Bearer ${ADMIN}`) return send(401, { error: { message: "not you" } });
    send(200, shown);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  inputs = {
    fleet: "vps",
    endpoint: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    caCertificate: authority.cert,
    nodes: ["a", "b"],
    shards: ["s1", "s2"],
    adminToken: secret(ADMIN),
    clientToken: secret(CLIENT),
    hosts: { a: { name: "a", address: "10.0.0.1" }, b: { name: "b", address: "10.0.0.2" } },
    unit: "toy.service",
    founding: null,
    releases: { a: "1", b: "1" },
  };
});
beforeEach(() => {
  const serving = { state: "serving", reason: null };
  shown = {
    nodes: ["a", "b"].map((id) => ({ id, state: "active" })),
    shards: ["s1", "s2"].map((id) => ({ id, ...serving })),
    store: { kind: "etcd", ok: true },
  };
  reply = { status: 200, body: { reply: "OK" } };
  [chats, said.length, asked.length] = [0, 0, 0];
});
afterAll(() => {
  server.close();
});

const failure = async (work: Promise<unknown>): Promise<Error> => {
  const error: unknown = await work.then(
    () => new Error("it worked"),
    (reason: unknown) => reason,
  );
  return error as Error;
};

test("it is there after one real answer, behind a certificate of the fleet's own authority", async () => {
  expect(handler().check(undefined, inputs).failures).toEqual([]);
  const { id, state } = await handler().create(inputs, OP);
  expect([id, state.state, chats]).toEqual(["vps", "serving", 1]);
  expect(handler().diff(state, inputs, inputs).changes).toEqual([]);
  const changed = { ...inputs, releases: { a: "2", b: "1" } };
  expect(handler().diff(state, inputs, changed).changes).toEqual([
    { path: "releases.a", kind: "update" },
  ]);
  await handler().update("vps", state, changed, OP);
  expect(chats).toBe(2);
});

test("a fleet whose first front is lost proves itself through the next, once", async () => {
  const [lost] = await freePorts(["127.0.0.1"], 1);
  const other = { endpoint: `https://127.0.0.1:${lost}`, otherFronts: [inputs.endpoint as string] };
  const { state } = await handler().create({ ...inputs, ...other }, OP);
  expect([state.state, chats]).toEqual(["serving", 1]);
});

/** What is shown of the second node, or the first shard, instead. */
const node = (b: object | null) => () => {
  shown.nodes = [shown.nodes[0] as object, ...(b ? [b] : [])];
};
const shard = (s1: object) => () => {
  shown.shards[0] = s1;
};
const answer = (status: number, body: object) => () => {
  reply = { status, body };
};

test.each([
  [
    "a node that is lost",
    node({ id: "b", state: "lost" }),
    /node b lost.*Last lines of b:\nthe disk is full/s,
  ],
  ["a node that never came", node(null), /node b has not joined.*Last lines of b/s],
  ["a shard that nobody serves", shard({ id: "s1", state: "idle" }), /s1 idle/],
  [
    "a shard that cannot run",
    shard({ id: "s1", state: "failed", reason: "no model" }),
    /s1: no model/,
  ],
  [
    "a shard whose settings are refused",
    shard({ id: "s1", state: "serving", reason: 'settings refused: gateway: no "nonsense"' }),
    /s1 runs with older settings, the new ones are refused: gateway: no "nonsense"/,
  ],
  ["a shard that nobody knows", shard({ id: "s9", state: "serving" }), /s1 is not known yet/],
  [
    "a chat that gets no answer",
    answer(502, { error: { message: "no key" } }),
    /chat through .* got no answer: it answered 502: no key/,
  ],
  [
    "a shard that has not got its OpenClaw yet",
    () => {
      shown.update = { to: "2.0.0", waiting: ["s2"], refused: null };
    },
    /OpenClaw 2\.0\.0 is not on s2 yet/,
  ],
  [
    "an OpenClaw that failed",
    () => {
      const refused = { shard: "s1", why: "exit code 78: no such table" };
      shown.update = { to: "2.0.0", waiting: ["s1", "s2"], refused };
    },
    /2\.0\.0 failed on shard s1.*no such table.*as it was on s1, s2.*\.\/fleet move s1 NODE --stack /s,
  ],
  ["an answer without text", answer(200, {}), /held no text/],
])("%s is named, and the fleet is kept in the state", async (_, spoil, message) => {
  spoil();
  const error = await failure(handler().create(inputs, OP));
  expect(error).toBeInstanceOf(PartlyDone);
  expect(error.message).toMatch(message);
  const { state } = error as PartlyDone;
  expect(handler().diff(state, inputs, inputs).changes).toEqual([
    { path: "state", kind: "update" },
  ]);
});

test("an OpenClaw that failed is not waited for", async () => {
  const refused = { shard: "s1", why: "exit code 78" };
  shown.update = { to: "2.0.0", waiting: ["s1"], refused };
  expect((await failure(handler(600_000).create(inputs, OP))).message).toMatch(/exit code 78/);
});

test("settings that stay refused are not waited for; a word from before the change is", async () => {
  const well = shown.shards[0] as object;
  const refused = { ...well, reason: "settings refused: gateway: no" };
  shown.shards[0] = refused;
  const open = () => shell;
  const stands = new FleetReadyHandler({ open, readyMs: 600_000, settleMs: 0, refusedMs: 0 });
  expect((await failure(stands.create(inputs, OP))).message).toMatch(/are refused: gateway: no/);
  const say = (line: string) => {
    if (line.startsWith("waiting")) shown.shards[0] = well;
  };
  expect((await handler(60_000).create(inputs, { ...OP, say })).state.state).toBe("serving");
  // One that is about to get another OpenClaw may be given settings for that one.
  shown.shards[0] = refused;
  shown.update = { to: "2.0.0", waiting: ["s1"], refused: null };
  const updated = (line: string) => {
    said.push(line);
    if (!line.startsWith("waiting")) return;
    shown.shards[0] = well;
    delete shown.update;
  };
  said.length = 0;
  expect((await stands.create(inputs, { ...OP, say: updated })).state.state).toBe("serving");
  expect(said[0]).toBe("waiting: OpenClaw 2.0.0 is not on s1 yet");
});

test("without the authority, and with a wrong token, it says why", async () => {
  const foreign = await failure(handler().create({ ...inputs, caCertificate: "" }, OP));
  expect(foreign.message).toMatch(/does not answer \(.*certificate/);
  const wrong = { ...inputs, adminToken: secret("x") };
  // A wrong token stays wrong: this is not waited for.
  const refused = await failure(handler(60_000).create(wrong, OP));
  expect(refused.message).toContain("it answered 401: not you");
  expect(refused.message).not.toContain(CLIENT);
});

test("a new fleet is founded once, before it is waited for", async () => {
  const founding = { host: "b", argv: ["found", "it"] };
  shown.store = { kind: "etcd", ok: false };
  const error = await failure(handler().create({ ...inputs, founding }, OP));
  expect(error.message).toContain("lease store down");
  expect(asked).toEqual(["found it"]);
  shown.store = { kind: "etcd", ok: true };
  const { state } = error as PartlyDone;
  const made = await handler().update("vps", state, { ...inputs, founding }, OP);
  await handler().update("vps", made, { ...inputs, founding, releases: { a: "2" } }, OP);
  expect(asked).toEqual(["found it", "found it"]);
});

test("what comes during the wait is waited for; a node in maintenance is no fault", async () => {
  shown.nodes[1] = { id: "b", state: "maintenance" };
  shown.shards[0] = { id: "s1", state: "starting" };
  const say = (line: string) => {
    said.push(line);
    if (line.startsWith("waiting")) shown.shards[0] = { id: "s1", state: "serving" };
  };
  await handler(60_000).create(inputs, { ...OP, say });
  expect(said[0]).toBe("waiting: s1 starting, node b in maintenance");
});

test("refresh shows what became of it; interrupted, nothing is recorded", async () => {
  const { state } = await handler().create(inputs, OP);
  shown.nodes[1] = { id: "b", state: "lost" };
  expect((await handler().read("vps", state, inputs))?.state.state).toBe("node b lost");
  const stop = new AbortController();
  const say = () => stop.abort();
  const error = await failure(handler(60_000).create(inputs, { ...OP, signal: stop.signal, say }));
  expect(error).toBeInstanceOf(Interrupted);
});
