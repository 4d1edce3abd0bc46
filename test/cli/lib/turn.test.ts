import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test, vi } from "vitest";
import type { FleetAccess } from "../../../cli/lib/fleet.ts";
import { ask, type Patience, printTurn } from "../../../cli/lib/turn.ts";

const PATIENT: Patience = { turnMs: 60_000, routerMs: 30_000, pauseMs: 1, silenceMs: 60_000 };
const QUESTION = { agent: "main", session: "alice", message: "hello" };

type Reply = (res: ServerResponse, req: IncomingMessage) => void;

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
  vi.restoreAllMocks();
});

/** A router that gives one reply after the other, and remembers the keys it was asked under. */
async function router(...replies: Reply[]): Promise<{ access: FleetAccess; keys: string[] }> {
  const keys: string[] = [];
  const server = createServer((req, res) => {
    keys.push(String(req.headers["idempotency-key"]));
    req.resume().on("end", () => replies.shift()?.(res, req));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(() => server.close().closeAllConnections());
  const { port } = server.address() as AddressInfo;
  return {
    keys,
    access: {
      stack: "t",
      endpoint: `http://127.0.0.1:${port}`,
      token: "token-of-the-test",
      adminToken: "",
      target: "local",
      preset: "small",
      dataDir: null,
      config: null,
    },
  };
}

const error =
  (status: number, code: string): Reply =>
  (res) => {
    res.writeHead(status, { "content-type": "application/json" });
    res.end(
      JSON.stringify({ error: { code, message: `is ${code}`, retryable: true, requestId: "r" } }),
    );
  };
const broken: Reply = (res) => res.destroy();
const answer: Reply = (res) => res.end(JSON.stringify({ reply: "hi", ...QUESTION, shard: "s1" }));
const sse =
  (text: string, whole: boolean): Reply =>
  (res) => {
    res.writeHead(200, { "content-type": "text/event-stream" });
    res.write(`event: delta\ndata: ${JSON.stringify({ text })}\n\n`, () => {
      if (whole) res.end("event: done\ndata: {}\n\n");
      else res.destroy();
    });
  };

test("a question without an owner, or whose router dies, is asked again under its key", async () => {
  const { access, keys } = await router(broken, error(503, "no_owner"), answer);
  expect((await ask(access, QUESTION, PATIENT)).reply).toBe("hi");
  expect(keys).toHaveLength(3);
  expect(new Set(keys).size).toBe(1);
});

test("an answer whose stream broke is printed once more, whole", async () => {
  const { access, keys } = await router(sse("You sa", false), sse("You said: hello", true));
  let printed = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    printed += String(text);
    return true;
  });
  vi.spyOn(process.stderr, "write").mockImplementation(() => true);
  await printTurn(access, QUESTION, PATIENT);
  vi.restoreAllMocks();
  expect(printed.endsWith("You said: hello\n")).toBe(true);
  expect(new Set(keys).size).toBe(1);
});

test("an error that time does not heal is told at once", async () => {
  const { access, keys } = await router(error(404, "unknown_agent"), answer);
  await expect(ask(access, QUESTION, PATIENT)).rejects.toThrow("is unknown_agent");
  expect(keys).toHaveLength(1);
});

test("a fleet that never answers is told after the time a router needs", async () => {
  const { access } = await router();
  const nowhere = { ...access, endpoint: "http://127.0.0.1:1" };
  await expect(ask(nowhere, QUESTION, { ...PATIENT, routerMs: 5 })).rejects.toThrow(/No router/);
});
