import { type ChildProcess, spawn } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type FleetConfig, fleetConfig } from "../../gateway/config.ts";
import { type DemoModel, type ModelCall, startDemoModel } from "../../gateway/model/server.ts";
import { connectGateway } from "../../gateway/openclaw/client.ts";
import { agentFiles, agentsEnv, gatewayConfig } from "../../gateway/openclaw/config.ts";
import { ADMIN_SCOPES } from "../../gateway/openclaw/handshake.ts";
import {
  checkGatewayConfig,
  freePortSpan,
  gatewayLaunch,
  newGatewayToken,
  writeGatewayConfig,
  writeGatewayToken,
} from "../../gateway/openclaw/launch.ts";
import type { GatewayPort, TurnRequest } from "../../gateway/openclaw/port.ts";
import { GatewaySocket } from "../../gateway/openclaw/socket.ts";

const openclaw = process.env.OPENCLAW_FLEET_OPENCLAW;
const BOOT_MS = 120_000;
const TURN_MS = 90_000;

interface AgentInput {
  name: string;
  systemPrompt?: string;
}

function fleetOf(agents: AgentInput[], raw: Record<string, unknown> = {}): FleetConfig {
  return fleetConfig.parse({
    version: 1,
    fleet: "test",
    target: "local",
    preset: "solo",
    port: 1,
    shards: [{ id: "s1", agents: agents.map(({ name }) => name), recycleMiB: 2_500 }],
    agents: agents.map((agent) => ({ ...agent, shards: ["s1"], homeShard: "s1" })),
    models: "demo",
    openclaw: raw,
    tokens: { client: ["c".repeat(24)], admin: "a".repeat(24), peer: "p".repeat(24) },
  });
}

const TWO = [{ name: "main" }, { name: "bob", systemPrompt: "You are Bob." }];

/** One real gateway for the whole file, killed and started again where a test says so. */
describe.skipIf(!openclaw)("a real OpenClaw gateway", () => {
  const release = { node: process.execPath, openclaw: openclaw ?? "" };
  const calls: ModelCall[] = [];
  let prompts: string[] = [];
  let dir = "";
  let port = 0;
  let token = "";
  let model: DemoModel;
  let gateway: GatewayPort;
  let child: ChildProcess | null = null;
  let output = "";

  const stateDir = () => join(dir, "s1");
  const begun = (run: string) =>
    calls.filter((call) => call.runKey === run && call.outcome === null).length;

  function render(fleet: FleetConfig) {
    return gatewayConfig({ fleet, shard: "s1", stateDir: stateDir(), modelBaseUrl: model.url });
  }

  function apply(fleet: FleetConfig): Promise<boolean> {
    return writeGatewayConfig(stateDir(), render(fleet), agentFiles(fleet, "s1", stateDir()));
  }

  async function boot(fleet: FleetConfig): Promise<void> {
    await writeGatewayToken(stateDir(), token);
    await apply(fleet);
    const env = agentsEnv(fleet, "s1");
    const launch = gatewayLaunch({ release, stateDir: stateDir(), port, env });
    const { command, args, ...how } = launch;
    child = spawn(command, args, { ...how, detached: true, stdio: ["ignore", "pipe", "pipe"] });
    child.stdout?.on("data", (data) => {
      output = (output + data).slice(-20_000);
    });
    child.stderr?.on("data", (data) => {
      output = (output + data).slice(-20_000);
    });
    let exited = false;
    child.once("exit", () => {
      exited = true;
    });
    const end = Date.now() + BOOT_MS;
    for (;;) {
      const status = await fetch(`http://127.0.0.1:${port}/startupz`).then(
        (response) => response.status,
        () => 0,
      );
      if (status === 200) return;
      if (exited || Date.now() > end) throw new Error(`the gateway did not start:\n${output}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async function kill(): Promise<void> {
    const dying = child;
    child = null;
    if (!dying?.pid || dying.exitCode !== null || dying.signalCode !== null) return;
    const gone = new Promise((resolve) => dying.once("exit", resolve));
    // The whole group: OpenClaw starts helpers.
    process.kill(-dying.pid, "SIGKILL");
    await gone;
  }

  const turn = (more: Partial<TurnRequest>) =>
    gateway.runTurn({
      runId: randomUUID(),
      agent: "main",
      session: "alice",
      message: "hello",
      mayHaveRun: false,
      budgetMs: TURN_MS,
      ...more,
    });

  async function admin<T>(work: (socket: GatewaySocket) => Promise<T>): Promise<T> {
    const socket = new GatewaySocket({ host: "127.0.0.1", port, token, scopes: ADMIN_SCOPES });
    try {
      await socket.ready(AbortSignal.timeout(20_000));
      return await work(socket);
    } finally {
      socket.close();
    }
  }

  /** Takes the lock that OpenClaw's threads take before they write the global database. */
  async function holdStorage(): Promise<{ release: () => void }> {
    const database = join(await realpath(stateDir()), "state", "openclaw.sqlite");
    const hash = createHash("sha256").update(database).digest("hex").slice(0, 8);
    const folder = `/tmp/openclaw-state-locks-${process.getuid?.()}`;
    const lock = new DatabaseSync(join(folder, `state-lifecycle.${hash}.lock.sqlite`), {
      timeout: 30_000,
    });
    lock.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
    return {
      release: () => {
        if (lock.isOpen) lock.close();
      },
    };
  }

  /** As after three crashes that each came before a recovery had begun. */
  function exhaustRecovery(key: string): void {
    const path = join(stateDir(), "agents", "main", "agent", "openclaw-agent.sqlite");
    const database = new DatabaseSync(path);
    const recovery = JSON.stringify({ cycleId: randomUUID(), revision: 1, chargedAttempts: 3 });
    const { changes } = database
      .prepare(
        "UPDATE session_nodes SET entry_json = json_set(entry_json, '$.mainRestartRecovery', json(?)) WHERE session_key = ?",
      )
      .run(recovery, key);
    // A trigger takes the mark away; OpenClaw sets it behind what it writes.
    database.prepare("UPDATE session_nodes SET entry_valid = 1 WHERE session_key = ?").run(key);
    database.close();
    expect(changes).toBe(1);
  }

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "openclaw-"));
    token = newGatewayToken();
    port = await freePortSpan(23_000);
    model = await startDemoModel({
      onCall: (call) => calls.push(call),
      onRequest: (body) => {
        prompts.push(JSON.stringify(body.messages));
        prompts = prompts.slice(-20);
      },
    });
    await boot(fleetOf(TWO));
    gateway = connectGateway({ port, token });
    await gateway.ready(AbortSignal.timeout(60_000));
  });

  afterAll(async () => {
    gateway?.close();
    await kill();
    await model?.close();
    if (dir) await rm(dir, { recursive: true, force: true, maxRetries: 5 });
  });

  test("two agents answer, each with its own prompt, and count their tokens", async () => {
    const usage: { agent: string; input?: number; output?: number }[] = [];
    const stop = gateway.onUsage((event) => usage.push(event));
    const deltas: string[] = [];
    const main = await turn({ message: "hello main", onDelta: (text) => deltas.push(text) });
    expect(main).toMatchObject({ reply: "You said: hello main", recovered: false });
    expect(deltas.join("")).toBe("You said: hello main");
    const bob = await turn({ agent: "bob", message: "hello bob" });
    expect(bob.reply).toBe("You said: hello bob");
    expect(prompts.at(-1)).toContain("You are Bob.");
    stop();
    expect(usage.map(({ agent, output: words }) => [agent, words])).toEqual([
      ["main", 4],
      ["bob", 4],
    ]);
    expect(main.usage?.output).toBe(4);
  });

  test("a run id that comes again is answered from the transcript", async () => {
    const run = { runId: randomUUID(), session: "twice", message: "once [[run=once]]" };
    expect((await turn(run)).reply).toBe("You said: once");
    const again = await turn({ ...run, mayHaveRun: true });
    expect(again).toMatchObject({ reply: "You said: once", recovered: true });
    expect(begun("once")).toBe(1);
  });

  test("messages to a busy session are answered each, in order", async () => {
    const replies = await Promise.all(
      ["one [[delay=500]]", "two", "three"].map((message) => turn({ session: "busy", message })),
    );
    expect(replies.map(({ reply }) => reply)).toEqual([
      "You said: one",
      "You said: two",
      "You said: three",
    ]);
  });

  test("a message behind another client's run gets its own answer", async () => {
    await admin(async (socket) => {
      const key = "agent:main:shared";
      const theirs = { sessionKey: key, idempotencyKey: randomUUID() };
      await socket.call("chat.send", {
        ...theirs,
        message: "theirs [[delay=3000]] [[run=theirs]]",
      });
      await expect.poll(() => begun("theirs"), { timeout: 30_000 }).toBe(1);
      expect((await turn({ session: "shared", message: "mine" })).reply).toBe("You said: mine");
    });
  });

  test("an agent's failure is told in OpenClaw's words", async () => {
    const failing = turn({ session: "failing", message: "no [[fail=400]]" });
    await expect(failing).rejects.toMatchObject({ kind: "failed", reached: true });
    await expect(turn({ agent: "nobody" })).rejects.toThrow('Agent "nobody"');
  });

  test("a caller who leaves ends the model call", async () => {
    const gone = new AbortController();
    const leaving = turn({
      session: "leaving",
      message: "slow [[delay=60000]] [[run=leaving]]",
      signal: gone.signal,
    });
    const refused = expect(leaving).rejects.toMatchObject({ kind: "aborted" });
    await expect.poll(() => begun("leaving"), { timeout: 30_000 }).toBe(1);
    gone.abort();
    await refused;
    const ends = () => calls.filter((call) => call.runKey === "leaving").at(-1)?.outcome;
    await expect.poll(ends, { timeout: 30_000 }).toBe("aborted");
  });

  test("sessions are listed by agent and short name", async () => {
    const sessions = await gateway.sessions();
    expect(sessions).toContainEqual({ agent: "main", session: "alice" });
    expect(sessions).toContainEqual({ agent: "bob", session: "alice" });
  });

  test("a suspension lets the running turn finish, refuses new ones, and is undone", async () => {
    const running = turn({ session: "drain", message: "slow [[delay=3000]] [[run=drain]]" });
    await expect.poll(() => begun("drain"), { timeout: 30_000 }).toBe(1);
    expect((await gateway.turns()).active).toBeGreaterThan(0);
    await gateway.suspend();
    expect(await gateway.suspended()).toBe(false);
    await expect(turn({ session: "new" })).rejects.toMatchObject({
      kind: "refused",
      reached: false,
    });
    expect((await running).reply).toBe("You said: slow");
    await expect.poll(() => gateway.suspended(), { timeout: 30_000 }).toBe(true);
    await gateway.resume();
    expect((await turn({ session: "new", message: "again" })).reply).toBe("You said: again");
  });

  test("cron jobs become what is wished, and no others are touched", async () => {
    const list = () =>
      admin((socket) =>
        socket.call<{
          jobs: { name: string; updatedAtMs: number; payload: { message?: string } }[];
        }>("cron.list", { includeDisabled: true }),
      );
    const ours = async () =>
      (await list()).jobs.filter(({ name }) => name.startsWith("openclaw-fleet:"));
    const others = (await list()).jobs.length;
    const job = { agent: "main", schedule: "0 9 * * *", message: "report", enabled: true };
    const tick = { ...job, agent: "bob", schedule: "every 10m", name: "tick", enabled: false };
    await gateway.syncCron([{ ...job, name: "daily", timezone: "Europe/Berlin" }, tick]);
    const first = await ours();
    expect(first.map(({ name }) => name).sort()).toEqual([
      "openclaw-fleet:bob:tick",
      "openclaw-fleet:main:daily",
    ]);
    await gateway.syncCron([{ ...job, name: "daily", timezone: "Europe/Berlin" }, tick]);
    expect(await ours()).toEqual(first);
    await gateway.syncCron([{ ...job, name: "daily", message: "changed" }]);
    expect((await ours()).map(({ payload }) => payload.message)).toEqual(["changed"]);
    await gateway.syncCron([]);
    expect((await list()).jobs.length).toBe(others);
  });

  test("a prompt and a new agent are there without a restart", async () => {
    const pid = child?.pid;
    const agents = [
      { name: "main" },
      { name: "bob", systemPrompt: "You are Robert." },
      { name: "eve" },
    ];
    expect(await apply(fleetOf(agents))).toBe(true);
    expect(await apply(fleetOf(agents))).toBe(false);
    await expect
      .poll(() => turn({ agent: "eve", message: "hi" }).then(({ reply }) => reply, String), {
        timeout: 60_000,
        interval: 250,
      })
      .toBe("You said: hi");
    await turn({ agent: "bob", message: "who are you" });
    expect(prompts.at(-1)).toContain("You are Robert.");
    expect(child?.pid).toBe(pid);
    expect(child?.exitCode).toBeNull();
  });

  test("a configuration that OpenClaw refuses is told in its words, and it serves on", async () => {
    const bad = fleetOf([...TWO, { name: "eve" }], { agents: { defaults: { nonsense: 1 } } });
    const good = fleetOf([...TWO, { name: "eve" }]);
    const check = (fleet: FleetConfig) =>
      checkGatewayConfig({ release, config: render(fleet), scratchDir: dir });
    expect(await check(good)).toEqual({ ok: true });
    expect(await check(bad)).toEqual({
      ok: false,
      message: expect.stringMatching(/agents\.defaults.*nonsense/),
    });
    await apply(bad);
    await expect.poll(() => output, { timeout: 30_000 }).toContain("nonsense");
    expect((await turn({ message: "still there" })).reply).toBe("You said: still there");
    await apply(good);
  });

  test("a turn whose run ends for OpenClaw's busy storage is answered, with one model call", async () => {
    await turn({ session: "locked", message: "before" });
    const run = { runId: randomUUID(), session: "locked", message: "locked [[run=locked]]" };
    const storage = await holdStorage();
    try {
      const answer = turn(run);
      const state = () =>
        admin((socket) =>
          socket.call<{ status: string }>("agent.wait", { runId: run.runId, timeoutMs: 0 }),
        ).then(({ status }) => status, String);
      await expect.poll(state, { timeout: 60_000, interval: 250 }).toBe("error");
      storage.release();
      expect((await answer).reply).toBe("You said: locked");
    } finally {
      storage.release();
    }
    expect(begun("locked")).toBe(1);
    expect((await turn({ ...run, mayHaveRun: true })).reply).toBe("You said: locked");
    expect(begun("locked")).toBe(1);
  });

  test("killed in mid-turn and started again, every turn gets one answer", async () => {
    const mid = {
      runId: randomUUID(),
      session: "crash",
      message: "mid [[delay=4000]] [[run=mid]]",
    };
    const done = { runId: randomUUID(), session: "done", message: "done [[run=done]]" };
    const never = { runId: randomUUID(), session: "never", message: "never [[run=never]]" };
    await turn(done);
    const lost = expect(turn(mid)).rejects.toMatchObject({ kind: "lost", reached: true });
    await expect.poll(() => begun("mid"), { timeout: 30_000 }).toBe(1);
    await kill();
    await lost;
    await expect(turn(never)).rejects.toMatchObject({ kind: "lost", reached: false });

    await boot(fleetOf(TWO));
    await gateway.ready(AbortSignal.timeout(60_000));
    const [recovered, stored, sent] = await Promise.all([
      turn({ ...mid, mayHaveRun: true }),
      turn({ ...done, mayHaveRun: true }),
      turn({ ...never, mayHaveRun: true }),
    ]);
    expect(recovered).toMatchObject({ reply: "You said: mid", recovered: true });
    expect(stored).toMatchObject({ reply: "You said: done", recovered: true });
    expect(sent).toMatchObject({ reply: "You said: never", recovered: false });
    expect([begun("mid"), begun("done"), begun("never")]).toEqual([2, 1, 1]);

    const again = await turn({ ...mid, mayHaveRun: true });
    expect(again.reply).toBe("You said: mid");
    expect(begun("mid")).toBe(2);
    const history = await admin((socket) =>
      socket.call<{ messages: { role: string }[] }>("chat.history", {
        sessionKey: "agent:main:crash",
      }),
    );
    expect(history.messages.filter(({ role }) => role === "assistant")).toHaveLength(1);
  });

  test("a conversation that OpenClaw gave up goes on with its turn and its history", async () => {
    const session = "given-up";
    await turn({ session, message: "before" });
    const message = "cut [[delay=4000]] [[run=cut]]";
    const cut = { runId: randomUUID(), session, message };
    const lost = expect(turn(cut)).rejects.toMatchObject({ kind: "lost", reached: true });
    await expect.poll(() => begun("cut"), { timeout: 30_000 }).toBe(1);
    await kill();
    await lost;
    exhaustRecovery(`agent:main:${session}`);

    await boot(fleetOf(TWO));
    await gateway.ready(AbortSignal.timeout(60_000));
    const answer = await turn({ ...cut, mayHaveRun: true });
    expect(answer).toMatchObject({ reply: "You said: cut", recovered: true });
    expect(begun("cut")).toBe(2);

    const after = { runId: randomUUID(), session, message: "after [[run=after]]" };
    expect((await turn(after)).reply).toBe("You said: after");
    expect(prompts.at(-1)).toContain("You said: before");
    // A client of its own, as after another start of the node, knows of no successor.
    gateway.close();
    gateway = connectGateway({ port, token });
    await gateway.ready(AbortSignal.timeout(60_000));
    expect((await turn({ ...after, mayHaveRun: true })).reply).toBe("You said: after");
    expect(begun("after")).toBe(1);
    expect((await turn({ session, message: "last" })).reply).toBe("You said: last");
    expect(prompts.at(-1)).toContain("You said: after");
    expect(await gateway.sessions()).toContainEqual({ agent: "main", session });
  });

  test("its OpenAI-compatible API has only an error for such a conversation, and takes its successor", async () => {
    const session = "agent:main:given-up-api";
    const complete = async (key: string, content: string) => {
      const response = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
        method: "POST",
        headers: {
          authorization: `Bearer ${token}`,
          "content-type": "application/json",
          "x-openclaw-agent-id": "main",
          "x-openclaw-session-key": key,
        },
        body: JSON.stringify({ model: "openclaw/main", messages: [{ role: "user", content }] }),
      });
      return { status: response.status, body: JSON.stringify(await response.json()) };
    };
    expect((await complete(session, "before")).body).toContain("You said: before");
    const broken = complete(session, "cut [[delay=4000]] [[run=cut-api]]").catch(() => null);
    await expect.poll(() => begun("cut-api"), { timeout: 30_000 }).toBe(1);
    await kill();
    await broken;
    exhaustRecovery(session);

    await boot(fleetOf(TWO));
    await gateway.ready(AbortSignal.timeout(60_000));
    const present = () => gateway.presentSession(session);
    await expect.poll(present, { timeout: 30_000 }).not.toBe(session);
    expect(begun("cut-api")).toBe(2);
    expect(await complete(session, "refused")).toMatchObject({
      status: 500,
      body: expect.stringContaining("internal error"),
    });
    expect((await complete(await present(), "after")).body).toContain("You said: after");
    expect(prompts.at(-1)).toContain("You said: before");
  });
});
