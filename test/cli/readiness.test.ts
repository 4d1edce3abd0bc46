import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, expect, test } from "vitest";
import type { FleetAccess } from "../../cli/lib/fleet.ts";
import type { Patience } from "../../cli/lib/turn.ts";
import { askOnce } from "../../cli/readiness.ts";

const PATIENT: Patience = { turnMs: 60_000, routerMs: 30_000, pauseMs: 1, silenceMs: 60_000 };

type Reply = (res: ServerResponse, req: IncomingMessage) => void;

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** A router that gives one reply after the other, the last one for ever. */
async function router(...replies: Reply[]) {
  const asked: { key: unknown; body: Record<string, unknown> }[] = [];
  const server = createServer(async (req, res) => {
    asked.push({ key: req.headers["idempotency-key"], body: JSON.parse(await text(req)) });
    (replies.length > 1 ? replies.shift() : replies[0])?.(res, req);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(() => server.close().closeAllConnections());
  const { port } = server.address() as AddressInfo;
  const access: FleetAccess = {
    ...{ stack: "prod", endpoint: `http://127.0.0.1:${port}`, token: "t", adminToken: "a" },
    ...{ target: "local", preset: "small", dataDir: null, config: null },
  };
  return { access, asked };
}

const error =
  (status: number, code: string): Reply =>
  (res) => {
    res.writeHead(status, { "content-type": "application/json" });
    res.end(JSON.stringify({ error: { code, message: `is ${code}`, requestId: "r" } }));
  };
const answer: Reply = (res) => res.end(JSON.stringify({ reply: "hi" }));
const broken: Reply = (res) => res.destroy();

test("the question that ends `up` waits out a router that goes and an owner that changes", async () => {
  const { access, asked } = await router(broken, error(503, "no_owner"), answer);
  await askOnce(access, PATIENT);
  expect(asked).toHaveLength(3);
  expect(new Set(asked.map(({ key }) => key)).size).toBe(1);
  // Whichever agent the fleet has: none is named.
  expect(Object.keys(asked[0]?.body ?? {}).sort()).toEqual(["message", "session"]);
});

test.each([
  ["the model refuses", error(502, "agent_failed"), "is agent_failed"],
  ["nothing is said", (res: ServerResponse) => void res.end("{}"), "the answer was empty"],
] as const)(
  "an answer that is none is told apart from a deployment that failed: %s",
  async (_, reply, why) => {
    const { access } = await router(reply);
    const failed = await askOnce(access, PATIENT).catch((each: unknown) => each);
    expect(failed).toMatchObject({
      name: "CommandFailed",
      message: expect.stringContaining("was made and is recorded"),
      why: expect.stringContaining(why),
      advice: expect.stringContaining('./fleet chat --stack prod "Are you there?"'),
    });
  },
);

test("patience for it ends", async () => {
  const { access } = await router(error(503, "no_owner"));
  const failed = await askOnce(access, { ...PATIENT, turnMs: 50 }).catch((each: unknown) => each);
  expect(failed).toMatchObject({ why: expect.stringContaining("is no_owner") });
});
