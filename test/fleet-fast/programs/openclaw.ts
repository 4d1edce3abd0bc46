import { createHash, randomUUID } from "node:crypto";
import { appendFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createSocketServer } from "node:net";
import { basename, dirname, join } from "node:path";
import { type WebSocket, WebSocketServer } from "ws";

/**
 * A cheap gateway in OpenClaw's place: `openclaw gateway run --port N`. It serves `/startupz` and as
 * much of the WebSocket protocol as the fleet speaks, and writes its own record of when it lived.
 *
 * While it lives it holds an abstract socket named after its state directory. The kernel gives that to
 * one process at a time and takes it back with the process, so a second live gateway of a shard is
 * seen exactly, and recorded as `overlap`.
 *
 * Its version is the folder it lies in; what is special about one stands there in `conduct.json`. It migrates its
 * state to its own schema, and refuses one that is newer.
 *
 * Words of a message: `[[delay=MS]]` makes the turn slow, `[[crash]]` ends the process in mid-turn once.
 */
const stateDir = process.env.OPENCLAW_STATE_DIR as string;
const shardDir = dirname(stateDir);
const shard = basename(shardDir);
const dataDir = dirname(dirname(shardDir));
const trace = `${dataDir}.trace`;
const port = Number(process.argv[process.argv.indexOf("--port") + 1]);

/** The epoch this process was started under: its own, as long as no later owner has opened the state. */
const epoch = Math.max(
  ...readdirSync(shardDir).map((name) => Number(/^epoch-(\d+)$/.exec(name)?.[1] ?? 0)),
);

function record(event: string, more: object = {}): void {
  try {
    mkdirSync(trace, { recursive: true });
    const line = JSON.stringify({ event, pid: process.pid, epoch, at: Date.now(), ...more });
    appendFileSync(join(trace, `${shard}.log`), `${line}\n`);
  } catch (error) {
    process.stderr.write(`no record: ${(error as Error).message}\n`);
  }
}

interface Config {
  secrets: { providers: { "openclaw-fleet": { path: string } } };
  standIn?: { refuses?: string };
}
const readConfig = () =>
  JSON.parse(readFileSync(process.env.OPENCLAW_CONFIG_PATH as string, "utf8")) as Config;

const config = readConfig();
if (config.standIn?.refuses) {
  process.stderr.write(`Invalid config: ${config.standIn.refuses}\n`);
  process.exit(78);
}

/** How a version behaves. */
export interface Conduct {
  /** @default 1 */
  schema?: number;
  /** `die`: after it has migrated its state. `hang`: it then never says that it has started. */
  start?: "refuse" | "die" | "hang";
  /** No turn gets an answer. */
  mute?: boolean;
}
const home = dirname(process.argv[1] as string);
const version = basename(home);

function readOr(path: string, or: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return or;
  }
}
const conduct = JSON.parse(readOr(join(home, "conduct.json"), "{}")) as Conduct;
const { schema = 1 } = conduct;
const schemaFile = join(stateDir, "schema");
const found = Number(readOr(schemaFile, "1"));
if (conduct.start === "refuse" || found > schema) {
  process.stderr.write(`${version} cannot use schema ${found}\n`);
  process.exit(78);
}

/** As openclaw.json names it; read once, as by OpenClaw. */
const token = readFileSync(config.secrets.providers["openclaw-fleet"].path, "utf8").trim();

const alone = createSocketServer();
alone.once("error", (error) => {
  record("overlap", { message: error.message });
  process.exit(70);
});
const name = createHash("sha256").update(stateDir).digest("hex").slice(0, 24);
alone.listen(`\0openclaw-fleet-test-${name}`, serve);

interface Row {
  role: string;
  content: string;
  idempotencyKey?: string;
  stopReason?: string;
  __openclaw: { runId: string };
}
/** A session's rows; the name is its key, so that all can be listed. */
const sessionFile = (key: string) =>
  join(stateDir, `session-${Buffer.from(key).toString("base64url")}.jsonl`);

function sessionKeys(): string[] {
  return readdirSync(stateDir).flatMap((name) => {
    const encoded = /^session-(.+)\.jsonl$/.exec(name)?.[1];
    return encoded ? [Buffer.from(encoded, "base64url").toString()] : [];
  });
}

function rows(key: string): Row[] {
  try {
    return readFileSync(sessionFile(key), "utf8")
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Row);
  } catch {
    return [];
  }
}

let active = 0;
let suspension: string | null = null;
const peers = new Set<WebSocket>();

function send(ws: WebSocket, frame: object): void {
  ws.send(JSON.stringify(frame));
}

async function runTurn(params: { sessionKey: string; message: string; idempotencyKey: string }) {
  const { sessionKey, message, idempotencyKey: runId } = params;
  active++;
  record("turn", { runId });
  const delay = Number(/\[\[delay=(\d+)\]\]/.exec(message)?.[1] ?? 0);
  await new Promise((resolve) => setTimeout(resolve, delay));
  const said = rows(sessionKey).filter((row) => row.role === "user").length;
  const reply = `echo ${said + 1}: ${message}`;
  const written: Row[] = [
    {
      role: "user",
      content: message,
      idempotencyKey: `${runId}:user`,
      __openclaw: { runId },
    },
    { role: "assistant", content: reply, stopReason: "stop", __openclaw: { runId } },
  ];
  active--;
  const event = (payload: object) => {
    for (const ws of peers) send(ws, { type: "event", event: "chat", payload });
  };
  if (conduct.mute) {
    event({ runId, sessionKey, state: "error", errorMessage: `${version} is at a loss` });
    return;
  }
  try {
    appendFileSync(
      sessionFile(sessionKey),
      written.map((row) => `${JSON.stringify(row)}\n`).join(""),
    );
  } catch (error) {
    event({ runId, sessionKey, state: "error", errorMessage: (error as Error).message });
    return;
  }
  record("answered", { runId });
  event({ runId, sessionKey, state: "final", message: { role: "assistant", content: reply } });
}

// biome-ignore lint/suspicious/noExplicitAny: the parameters of the protocol's methods
const METHODS: Record<string, (params: any) => object> = {
  "diagnostics.lanes": () => ({ lanes: [{ lane: "main", activeCount: active, queuedCount: 0 }] }),
  "gateway.suspend.prepare": () => {
    suspension ??= randomUUID();
    return { status: active === 0 ? "ready" : "draining", suspensionId: suspension };
  },
  "gateway.suspend.status": () => ({ status: active === 0 ? "ready" : "draining" }),
  "gateway.suspend.resume": () => {
    suspension = null;
    return {};
  },
  "sessions.list": () => ({ sessions: sessionKeys().map((key) => ({ key })) }),
  "cron.list": () => ({ jobs: [] }),
  "channels.status": () => ({ channelAccounts: {} }),
  "config.get": () => {
    const refused = readConfig().standIn?.refuses;
    return refused
      ? { valid: false, issues: [{ path: "standIn", message: refused }] }
      : { valid: true };
  },
  "agent.wait": () => ({ status: "running" }),
  "chat.history": ({ sessionKey }: { sessionKey: string }) => {
    const messages = rows(sessionKey);
    return { messages, sessionInfo: messages.length > 0 ? { status: "done" } : {} };
  },
  "chat.send": (params) => {
    if (suspension) throw Object.assign(new Error("draining"), { code: "UNAVAILABLE" });
    void runTurn(params);
    return { status: "started" };
  },
};

function serve(): void {
  writeFileSync(schemaFile, String(schema));
  if (conduct.start === "die") {
    process.stderr.write(`${version} lost its way\n`);
    process.exit(1);
  }
  const server = createServer((request, response) => {
    const found = request.url === "/startupz";
    response.writeHead(found ? 200 : 404, { "content-type": "application/json" });
    const status = conduct.start === "hang" ? "starting" : "started";
    response.end(JSON.stringify(found ? { status } : { error: "not found" }));
  });
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (ws) => {
    ws.on("message", (data: Buffer) => {
      const { id, method, params } = JSON.parse(data.toString());
      const answer = (payload: object) => send(ws, { type: "res", id, ok: true, payload });
      const fail = (code: string, message: string) =>
        send(ws, { type: "res", id, ok: false, error: { code, message } });
      if (method === "connect") {
        if (params.auth.token !== token) return fail("UNAUTHORIZED", "token");
        peers.add(ws);
        ws.once("close", () => peers.delete(ws));
        return answer({
          protocol: 4,
          server: { version: "stand-in" },
          auth: { scopes: params.scopes },
        });
      }
      try {
        answer(METHODS[method]?.(params) ?? {});
      } catch (error) {
        const { code = "INVALID_REQUEST", message } = error as Error & { code?: string };
        fail(code, message);
      }
    });
    send(ws, { type: "event", event: "connect.challenge", payload: { nonce: "n", ts: 1 } });
  });
  server.listen(port, "127.0.0.1", () => record("start", { port, version }));
}

process.on("SIGTERM", () => {
  record("stop");
  process.exit(0);
});
