import { afterEach, expect, test } from "vitest";
import { connectGateway } from "../../../gateway/openclaw/client.ts";
import { startFakeGateway } from "./fake-gateway.ts";

const BOTS = "agent:main:telegram:group:-1";
const COPY = "agent:main:openclaw-fleet:closed:id-1";
const SUCCESSOR = "agent:main:dashboard:1";

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const undo of cleanup.splice(0).reverse()) await undo();
});

interface Session {
  key: string;
  sessionId: string;
  restartRecoveryStatus?: string;
  archived?: boolean;
  archiveReason?: string;
  previousSessionId?: string;
  parentSessionKey?: string;
  deliveryContext?: { channel: string };
  rows: { role: string; content: string; idempotencyKey?: string }[];
}

const question = { role: "user", content: "what was asked" };
const answer = { role: "assistant", content: "what was answered" };
const closing = {
  role: "assistant",
  content: "I couldn't continue",
  idempotencyKey: "main-session-restart-recovery:id-1:failed-notice",
};
const closed: Session = {
  key: BOTS,
  sessionId: "id-1",
  restartRecoveryStatus: "tombstoned",
  deliveryContext: { channel: "telegram" },
  rows: [question],
};

interface Oddities {
  /** What is made anew stays closed, as in another version. */
  keepsClosed?: boolean;
  /** Of this one no other is made. */
  tooLarge?: string;
  /** What is said of a run, before it is over. */
  waits?: object[];
}

/** A gateway with these sessions. */
async function start(sessions: Session[], { keepsClosed, tooLarge, waits = [] }: Oddities = {}) {
  const store = new Map(sessions.map((session) => [session.key, structuredClone(session)]));
  const run = Promise.withResolvers<void>();
  let made = 1;
  const at = (key: unknown): Session => {
    const session = store.get(String(key));
    if (!session) throw new Error(`unknown session: ${key}`);
    return session;
  };
  const fake = await startFakeGateway({
    "sessions.list": ({ archived = false }) => ({
      sessions: [...store.values()].filter((session) => (session.archived ?? false) === archived),
    }),
    "sessions.describe": ({ key }) => ({ session: store.get(String(key)) ?? null }),
    "sessions.create": ({ key, parentSessionKey }) => {
      const parent = at(parentSessionKey);
      if (parent.key === tooLarge) throw new Error("parent session is too large to fork");
      const { restartRecoveryStatus: status, ...before } = store.get(String(key)) ?? {};
      const session: Session = {
        ...before,
        ...(keepsClosed && status ? { restartRecoveryStatus: status } : {}),
        key: String(key),
        sessionId: `made-${++made}`,
        parentSessionKey: parent.key,
        rows: [...parent.rows],
      };
      store.set(session.key, session);
      return { ok: true, key, sessionId: session.sessionId };
    },
    "sessions.patch": ({ key, archived, expectedSessionId }) => {
      if (at(key).sessionId !== expectedSessionId) throw new Error("Session changed");
      at(key).archived = archived === true;
    },
    "sessions.delete": ({ key }) => {
      store.delete(String(key));
    },
    "chat.history": ({ sessionKey, limit, offset = 0 }) => {
      const { rows } = at(sessionKey);
      const [last, next] = [rows.length - Number(offset), Number(offset) + Number(limit)];
      const messages = rows.slice(Math.max(0, last - Number(limit)), last);
      return { messages, hasMore: next < rows.length, nextOffset: next };
    },
    "sessions.recover": ({ key }) => {
      const { deliveryContext: _, restartRecoveryStatus: __, ...closed } = at(key);
      at(key).archived = true;
      store.set(SUCCESSOR, {
        ...closed,
        key: SUCCESSOR,
        sessionId: "id-2",
        previousSessionId: closed.sessionId,
      });
      return { key: SUCCESSOR };
    },
    agent: ({ sessionKey, message, idempotencyKey }) => {
      const row = { role: "user", content: String(message) };
      at(sessionKey).rows.push({ ...row, idempotencyKey: `${idempotencyKey}:user` });
      return { status: "accepted", runId: idempotencyKey };
    },
    "agent.wait": async () => {
      const said = waits.shift();
      if (said) return said;
      await run.promise;
      return { status: "ok" };
    },
  });
  cleanup.push(() => fake.close());
  const gateway = connectGateway({ port: fake.port, token: "secret" });
  cleanup.push(() => gateway.close());
  cleanup.push(() => run.resolve());
  await gateway.ready();
  const asked = () => fake.calls.filter(({ method }) => method === "agent");
  const finished = () => expect.poll(() => [...store.keys()].includes(COPY)).toBe(false);
  return { fake, gateway, store, at, run, asked, finished };
}

test("a bot's closed conversation is open again under its key, and its turn is gone on with", async () => {
  const { gateway, at, run, asked, finished } = await start([closed]);
  expect(await gateway.reopenBots(false)).toEqual({ opened: [BOTS], refused: [] });
  expect(at(BOTS)).not.toHaveProperty("restartRecoveryStatus");
  expect(at(BOTS).rows[0]).toEqual(question);
  // Looks come each second, the turn may take minutes.
  expect(await gateway.reopenBots(true)).toEqual({ opened: [], refused: [] });
  await expect.poll(asked).toHaveLength(1);
  expect(asked()[0]?.params).toMatchObject({ sessionKey: BOTS, deliver: true, channel: "last" });
  run.resolve();
  await finished();
});

test("a turn of somebody else in it waits for the end of the interrupted one", async () => {
  const { gateway, run } = await start([closed]);
  let present: string | null = null;
  const waiting = gateway.presentSession(BOTS).then((key) => {
    present = key;
  });
  expect(await gateway.reopenBots(false)).toEqual({ opened: [BOTS], refused: [] });
  expect(present).toBeNull();
  run.resolve();
  await waiting;
  expect(present).toBe(BOTS);
});

test("nothing is gone on with where the last turn was answered", async () => {
  const { gateway, asked, finished } = await start([{ ...closed, rows: [question, answer] }]);
  expect(await gateway.reopenBots(false)).toEqual({ opened: [BOTS], refused: [] });
  await finished();
  expect(asked()).toEqual([]);
});

test("conversations of the API and the web page are left to those who ask for them", async () => {
  const { deliveryContext: _, ...api } = closed;
  const page = { ...closed, key: "agent:main:page", deliveryContext: { channel: "webchat" } };
  const { gateway, fake } = await start([api, page]);
  expect(await gateway.reopenBots(true)).toEqual({ opened: [], refused: [] });
  expect(fake.calls.map(({ method }) => method)).not.toContain("sessions.create");
});

const open: Session = { ...closed, sessionId: "made-1", restartRecoveryStatus: "" };
const copy: Session = { key: COPY, sessionId: "made-2", parentSessionKey: BOTS, rows: [question] };

test("what was cut off behind the opening is finished by the next one, and asked once", async () => {
  const { gateway, run, asked, finished } = await start([open, copy]);
  run.resolve();
  expect(await gateway.reopenBots(true)).toEqual({ opened: [], refused: [] });
  await finished();
  expect(asked()).toHaveLength(1);

  const told = { role: "user", content: "go on", idempotencyKey: "reopened:id-1:user" };
  const again = await start([{ ...open, rows: [question, told] }, copy]);
  await again.gateway.reopenBots(true);
  await again.finished();
  expect(again.asked()).toEqual([]);
  expect(await again.gateway.sessions()).toEqual([{ agent: "main", session: "telegram:group:-1" }]);
});

test("what was begun is found behind all that it wrote since, and not begun again", async () => {
  const told = { role: "user", content: "go on", idempotencyKey: "reopened:id-1:user" };
  const tools = Array.from({ length: 120 }, () => ({ role: "toolResult", content: "x" }));
  const rows = [question, closing, told, ...tools];
  const { gateway, asked, finished } = await start([{ ...open, rows }, copy]);
  await gateway.reopenBots(true);
  await finished();
  expect(asked()).toEqual([]);
});

test("no more is read than what was said since the closing", async () => {
  const before = Array.from({ length: 500 }, () => question);
  const { gateway, fake, asked } = await start([{ ...open, rows: [...before, closing] }, copy]);
  await gateway.reopenBots(true);
  await expect.poll(asked).toHaveLength(1);
  const read = fake.calls.filter(({ method }) => method === "chat.history");
  expect(read).toHaveLength(1);
});

test("a run is over when its own timeout ended it, and one that waits in a queue is not asked for on end", async () => {
  const waits = [
    { status: "pending", timeoutPhase: "queue" },
    { status: "timeout", endedAt: 1 },
  ];
  const { gateway, fake, finished } = await start([closed], { waits });
  await gateway.reopenBots(false);
  const asked = () => fake.calls.filter(({ method }) => method === "agent.wait").length;
  await expect.poll(asked).toBe(1);
  const first = performance.now();
  await finished();
  expect(asked()).toBe(2);
  // Its own pause of a second, of which some may have gone before it was seen.
  expect(performance.now() - first).toBeGreaterThan(500);
});

test("one that OpenClaw refuses to open keeps no other closed, and whoever asks for it has its successor", async () => {
  const other = { ...closed, key: "agent:main:telegram:group:-2", sessionId: "id-9" };
  const { gateway, run } = await start([closed, other], { tooLarge: BOTS });
  run.resolve();
  const { opened, refused } = await gateway.reopenBots(false);
  expect(opened).toEqual([other.key]);
  expect(refused).toEqual([{ key: BOTS, why: expect.stringContaining("too large to fork") }]);
  expect(await gateway.reopenBots(false)).toEqual({ opened: [], refused: [] });
  expect(await gateway.presentSession(BOTS)).toBe(SUCCESSOR);
});

test("one that was gone on with elsewhere comes out of the archive with what was said there", async () => {
  const archived = { ...closed, archived: true, archiveReason: "restart-recovery" };
  const successor: Session = {
    key: SUCCESSOR,
    sessionId: "id-2",
    previousSessionId: "id-1",
    rows: [question, answer],
  };
  const { gateway, at, asked } = await start([archived, successor]);
  expect(await gateway.reopenBots(false)).toEqual({ opened: [], refused: [] });
  expect(await gateway.reopenBots(true)).toEqual({ opened: [BOTS], refused: [] });
  expect(at(BOTS)).toMatchObject({ archived: false, rows: [question, answer] });
  expect(asked()).toEqual([]);
});

test("an OpenClaw that keeps it closed is not asked for ever", async () => {
  const { gateway, fake } = await start([closed], { keepsClosed: true });
  const why = `OpenClaw keeps ${BOTS} closed`;
  expect(await gateway.reopenBots(false)).toEqual({
    opened: [],
    refused: [{ key: BOTS, why }],
  });
  // Told once, and not tried at each look.
  expect(await gateway.reopenBots(false)).toEqual({ opened: [], refused: [] });
  const made = fake.calls.filter(({ method }) => method === "sessions.create");
  expect(made).toHaveLength(2);
});
