import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LostConnection } from "../drill/clients/types.ts";
import { SocketClient } from "../drill/clients/ws.ts";
import { type FakePeer, startFakeGateway } from "../gateway/openclaw/fake-gateway.ts";

const KEY = "run-1";
const SESSION = "agent:main:alice";
const SUCCESSOR = "agent:main:dashboard:1";
const EARLIER = { status: "done", endedAt: 900, activeRunIds: [] as string[] };
const RUNNING = { status: "running", activeRunIds: ["recovery"] };
const DONE = { status: "done", endedAt: 2_000, activeRunIds: [] as string[] };

type Send = (key: string, peer: FakePeer) => unknown;

const question = (key: string) => ({
  role: "user",
  content: "say turn-1",
  timestamp: 1_000,
  idempotencyKey: `${key}:user`,
});
const reply = (runId: string, text = "You said: turn-1") => ({
  role: "assistant",
  content: [{ type: "text", text }],
  stopReason: "stop",
  __openclaw: { runId },
});

/** What OpenClaw has on its disk, and what each `chat.send` after the other does. */
let rows: object[];
let info: object | undefined;
let sends: Send[];
/** OpenClaw takes nothing more in the session. */
let closed: boolean;
/** What a successor does with the turn that was interrupted before it. */
let continues: () => void;
let looks: (() => void)[];
/** For each `chat.send`, whether its connection had read the history before. */
let sentAfterLook: boolean[];
let fake: Awaited<ReturnType<typeof startFakeGateway>>;
let client: SocketClient;

beforeEach(async () => {
  rows = [];
  info = EARLIER;
  sends = [];
  closed = false;
  continues = () => {};
  looks = [];
  sentAfterLook = [];
  const looked = new Set<FakePeer>();
  fake = await startFakeGateway({
    "chat.send": (params, peer) => {
      if (closed && params.sessionKey === SESSION) {
        const message = `Session "${SESSION}" ended during restart recovery. Use /new or /reset.`;
        throw Object.assign(new Error(message), { code: "INVALID_REQUEST" });
      }
      sentAfterLook.push(looked.has(peer));
      const send = sends.shift();
      if (!send) throw new Error("nobody expected another chat.send");
      return send(String(params.idempotencyKey), peer);
    },
    "chat.history": (_params, peer) => {
      looked.add(peer);
      const page = { messages: [...rows], sessionInfo: info };
      looks.shift()?.();
      return page;
    },
    "agent.wait": ({ runId }) => ({ status: runId === "continuation" ? "ok" : "timeout" }),
    "sessions.describe": ({ key }) => ({
      session: {
        key,
        ...(closed && key === SESSION ? { restartRecoveryStatus: "tombstoned" } : {}),
      },
    }),
    "sessions.recover": () => {
      continues();
      const continuation = { status: "started", runId: "continuation" };
      return { key: SUCCESSOR, continuation };
    },
  });
  const target = { endpoint: `http://127.0.0.1:${fake.port}`, token: "secret", adminToken: "" };
  client = new SocketClient(target, "main", "alice", 5);
});
afterEach(async () => {
  client.close();
  await fake.close();
});

const ask = () =>
  client.turn({
    agent: "main",
    session: "alice",
    message: "say turn-1",
    key: KEY,
    marker: "turn-1",
    signal: AbortSignal.timeout(20_000),
  });
const sentKeys = () =>
  fake.calls
    .filter(({ method }) => method === "chat.send")
    .map(({ params }) => params.idempotencyKey);

/** The row is written, and the gateway dies before the run begins. */
const forgets: Send = (key, peer) => {
  rows.push(question(key));
  peer.cut();
};
/** Runs at once; its row is there already when the key comes again. */
const runs: Send = (key) => {
  if (!rows.some((row) => (row as { idempotencyKey?: string }).idempotencyKey === `${key}:user`)) {
    rows.push(question(key));
  }
  rows.push(reply(key));
  info = DONE;
  return { status: "started" };
};
const unavailable = (message: string) => () => {
  throw Object.assign(new Error(message), { code: "UNAVAILABLE" });
};

describe("a turn over a raw WebSocket behind another one of its session", () => {
  /** OpenClaw has it in its queue: its own run ends with nothing, and answers under another. */
  const queues: Send = (key, peer) => {
    rows.push(question(key));
    info = RUNNING;
    peer.event("chat", { runId: key, state: "final", message: { content: "" } });
    return { status: "started" };
  };

  test("gets the answer that comes under another run, not the empty end of its own", async () => {
    sends = [queues];
    looks = [
      () => {},
      () => {
        rows.push(reply("recovery"));
        info = DONE;
      },
    ];
    expect((await ask()).reply).toBe("You said: turn-1");
    expect(sentKeys()).toEqual([KEY]);
  });

  test("is asked again, not lost, when a crash forgets it there", async () => {
    sends = [
      (key, peer) => {
        queues(key, peer);
        rows = [];
        info = EARLIER;
      },
      runs,
    ];
    expect((await ask()).reply).toBe("You said: turn-1");
    expect(sentKeys()).toEqual([KEY, KEY]);
  });
});

test("a turn that busy storage ended before it began is sent under another key", async () => {
  const errorMessage =
    "StateDatabaseCoordinatorContentionError: another OpenClaw process owns state-x";
  sends = [
    (key, peer) => {
      const report = { customType: "run-failed-before-reply", content: errorMessage };
      rows = [question(key), { role: "custom", ...report, __openclaw: { runId: key } }];
      info = { status: "failed", endedAt: 2_000, activeRunIds: [] };
      peer.event("chat", { runId: key, state: "error", errorMessage });
      return { status: "started" };
    },
    runs,
  ];
  expect((await ask()).reply).toBe("You said: turn-1");
  expect(sentKeys()).toEqual([KEY, `${KEY}.2`]);
});

describe("a turn over a raw WebSocket in a session that OpenClaw closed", () => {
  const sentIn = () =>
    fake.calls.filter(({ method }) => method === "chat.send").map((call) => call.params.sessionKey);
  const recoveries = () => fake.calls.filter(({ method }) => method === "sessions.recover");

  test("is sent to the successor, as are all that come later", async () => {
    closed = true;
    const tells: Send = (runId, peer) => {
      peer.event("chat", { runId, state: "final", message: { content: "later" } });
      return { status: "started" };
    };
    sends = [runs, tells];
    expect((await ask()).reply).toBe("You said: turn-1");
    expect(sentIn()).toEqual([SESSION, SESSION, SUCCESSOR]);
    expect((await ask()).reply).toBe("later");
    expect(sentIn().at(-1)).toBe(SUCCESSOR);
    expect(recoveries()).toHaveLength(1);
  });

  test("is answered by what the successor makes of it, when it was the one given up", async () => {
    const notice = "main-session-restart-recovery:r:failed-notice";
    sends = [
      (key, peer) => {
        rows.push(question(key), { ...reply("x", "I couldn't continue"), idempotencyKey: notice });
        info = { status: "failed", endedAt: 2_000 };
        closed = true;
        peer.cut();
      },
    ];
    continues = () => {
      const content = "[System] Continue from the recovered transcript and finish it.";
      rows.push({ role: "user", content, idempotencyKey: "c:user" }, reply("continuation"));
    };
    expect((await ask()).reply).toBe("You said: turn-1");
    expect(sentIn()).toEqual([SESSION]);
    expect(recoveries()).toHaveLength(1);
  });
});

describe("a turn over a raw WebSocket whose gateway dies", () => {
  test.each([
    ["of a session that has run before", EARLIER],
    ["of a new session", undefined],
  ])("is asked again under its key when its question %s never began", async (_, status) => {
    info = status;
    sends = [forgets, runs];
    expect((await ask()).reply).toBe("You said: turn-1");
    expect(sentKeys()).toEqual([KEY, KEY]);
    expect(rows).toHaveLength(2);
  });

  test("is waited for, not asked again, while its run goes on", async () => {
    sends = [
      (key, peer) => {
        rows.push(question(key));
        info = RUNNING;
        peer.cut();
      },
    ];
    looks = [
      () => {},
      () => {},
      () => {
        rows.push(reply("recovery"));
        info = DONE;
      },
    ];
    expect((await ask()).reply).toBe("You said: turn-1");
    expect(sentKeys()).toEqual([KEY]);
  });

  test("is not asked again when its answer is there", async () => {
    sends = [
      (key, peer) => {
        runs(key, peer);
        peer.cut();
      },
    ];
    expect((await ask()).reply).toBe("You said: turn-1");
    expect(sentKeys()).toEqual([KEY]);
  });

  test("is looked for anew when the gateway that was asked again dies too", async () => {
    sends = [
      forgets,
      // This time the run begins; the next gateway takes it up by itself.
      (_key, peer) => {
        info = RUNNING;
        peer.cut();
      },
    ];
    looks = [
      () => {},
      () => {
        rows.push(reply("recovery"));
        info = DONE;
      },
    ];
    expect((await ask()).reply).toBe("You said: turn-1");
    expect(sentKeys()).toEqual([KEY, KEY]);
  });

  test("is asked again only over a connection on which it was looked for", async () => {
    const lost: Send = (_key, peer) => peer.cut();
    sends = [forgets, lost, lost, runs];
    expect((await ask()).reply).toBe("You said: turn-1");
    expect(sentKeys()).toEqual([KEY, KEY, KEY, KEY]);
    expect(sentAfterLook).toEqual([false, true, true, true]);
  });

  test("keeps its key while a gateway that lives on has not begun it", async () => {
    sends = [forgets, () => ({ status: "in_flight" }), (key, peer) => runs(key, peer)];
    expect((await ask()).reply).toBe("You said: turn-1");
    expect(new Set(sentKeys())).toEqual(new Set([KEY]));
  });

  test("gets the next key only where OpenClaw says that nothing can begin under its own", async () => {
    sends = [
      forgets,
      unavailable("the gateway is draining"),
      unavailable("Pending input ownership ended; submit a new turn to continue"),
      runs,
    ];
    expect((await ask()).reply).toBe("You said: turn-1");
    expect(sentKeys()).toEqual([KEY, KEY, KEY, `${KEY}.2`]);
  });

  test("ends in OpenClaw's own failure", async () => {
    sends = [forgets];
    info = { status: "failed", endedAt: 2_000 };
    await expect(ask()).rejects.toMatchObject({ name: "Refusal", code: "model_error" });
    expect(sentKeys()).toEqual([KEY]);
  });

  test("ends in the loss itself when its question never got there", async () => {
    sends = [(_key, peer) => peer.cut()];
    await expect(ask()).rejects.toBeInstanceOf(LostConnection);
    expect(sentKeys()).toEqual([KEY]);
  });
});
