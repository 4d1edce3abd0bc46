import { randomUUID } from "node:crypto";
import { WebSocket } from "ws";
import { isContention, textOfRow } from "../../../gateway/openclaw/history.ts";
import type { GatewaySocket } from "../../../gateway/openclaw/socket.ts";
import { Successors } from "../../../gateway/openclaw/successors.ts";
import { sessionKey } from "../../../gateway/openclaw/transcript.ts";
import { type End, FollowUp, isClosed } from "./follow.ts";
import { type Answer, type Call, LostConnection, Refusal, type Target } from "./types.ts";

/** OpenClaw's gateway protocol, as an operator's client speaks it. */
const PROTOCOL = 4;
const CONNECT_MS = 90_000;
const ASK_AGAIN_MS = 1_000;

interface Frame {
  type?: string;
  id?: string;
  ok?: boolean;
  event?: string;
  payload?: Record<string, unknown>;
  error?: { code?: string; message?: string };
}

/** A request that waits for its answer, or for the end of the connection. */
interface Pending {
  answer(frame: Frame): void;
  reject(error: Error): void;
}

/**
 * The session was busy, with OpenClaw's recovery of an earlier turn for one: the turn's own run has ended with nothing,
 * and its answer comes under another (docs/openclaw.md, A busy session).
 */
class Queued extends Error {
  override readonly name = "Queued";
}

/** One connection for one session. It stays open between turns and is made again after a loss. */
export class SocketClient {
  readonly #target: Target;
  readonly #agent: string;
  readonly #session: string;
  readonly #askAgainMs: number;
  readonly #successors: Successors;
  #socket: WebSocket | null = null;
  #pending = new Map<string, Pending>();
  #onEvent: (frame: Frame) => void = () => {};
  #onClose: (error: LostConnection | Refusal) => void = () => {};

  /** `askAgainMs`: pause between two looks after a turn that was lost. */
  constructor(target: Target, agent: string, session: string, askAgainMs = ASK_AGAIN_MS) {
    this.#target = target;
    this.#agent = agent;
    this.#session = session;
    this.#askAgainMs = askAgainMs;
    this.#successors = new Successors(this.#connection);
  }

  get #key(): string {
    return sessionKey(this.#agent, this.#session);
  }

  /** Calls over the connection that is open then. */
  get #connection(): Pick<GatewaySocket, "call"> {
    return {
      call: <T>(method: string, params: object = {}) => this.#request(method, params) as Promise<T>,
    };
  }

  /**
   * One turn. When the connection ends in its middle the client connects again and looks into the
   * history: an answer there is taken, a run is waited for, a question that never began is asked again.
   */
  async turn(call: Call): Promise<Answer> {
    const runId = call.key ?? randomUUID();
    // Whatever is being waited for on the connection ends with it. The signal outlives the turn.
    const end = () => this.close();
    call.signal.addEventListener("abort", end);
    try {
      await this.#connect(call.signal);
      return await this.#send(call, runId);
    } catch (error) {
      const lost = error instanceof LostConnection || isRestart(error);
      const taken = error instanceof Queued || isClosed(error) || wasBusy(error);
      if (!lost && !taken) throw error;
      return await this.#follow(call, runId, error as Error);
    } finally {
      call.signal.removeEventListener("abort", end);
    }
  }

  close(): void {
    this.#socket?.terminate();
    this.#socket = null;
  }

  async #connect(signal: AbortSignal): Promise<void> {
    if (this.#socket?.readyState === WebSocket.OPEN) return;
    const url = new URL(`/agents/${this.#agent}/`, this.#target.endpoint.replace(/^http/, "ws"));
    url.searchParams.set("session", this.#session);
    const headers = { authorization: `Bearer ${this.#target.token}` };
    const socket = new WebSocket(url, { headers, handshakeTimeout: CONNECT_MS });
    this.#socket = socket;
    const pending = new Map<string, Pending>();
    this.#pending = pending;
    await new Promise<void>((resolve, reject) => {
      const fail = (error: Error) => reject(error);
      signal.addEventListener("abort", () => fail(signal.reason as Error), { once: true });
      socket.once("unexpected-response", (_request, response) => {
        fail(new Refusal(`http_${response.statusCode}`, response.statusCode ?? null, "upgrade"));
        socket.terminate();
      });
      socket.on("error", (error) => fail(new LostConnection(error.message)));
      socket.on("close", (code, reason) => {
        const text = reason.toString() || `closed with ${code}`;
        const error =
          code === 1006 || code === 1005
            ? new LostConnection(text)
            : new Refusal(`closed_${code}`, null, text);
        if (this.#socket === socket) this.#socket = null;
        fail(error);
        for (const { reject: lose } of pending.values()) lose(error);
        pending.clear();
        this.#onClose(error);
      });
      socket.on("message", (data) => {
        const frame = JSON.parse(data.toString()) as Frame;
        if (frame.event === "connect.challenge") {
          this.#request("connect", connectParams(this.#target.token)).then(() => resolve(), fail);
        } else if (frame.type === "res" && frame.id !== undefined) {
          pending.get(frame.id)?.answer(frame);
          pending.delete(frame.id);
        } else this.#onEvent(frame);
      });
    });
  }

  #request(method: string, params: object): Promise<Record<string, unknown>> {
    const socket = this.#socket;
    if (!socket) return Promise.reject(new LostConnection("not connected"));
    const id = randomUUID();
    return new Promise((resolve, reject) => {
      const answer = (frame: Frame) => {
        if (frame.ok) resolve(frame.payload ?? {});
        else reject(new Refusal(frame.error?.code ?? "ws_error", null, frame.error?.message ?? ""));
      };
      this.#pending.set(id, { answer, reject });
      socket.send(JSON.stringify({ type: "req", id, method, params }), (error) => {
        // While it closes, the close itself says why: a planned one is none that was lost.
        if (error && socket.readyState !== WebSocket.CLOSING) {
          reject(new LostConnection(error.message));
        }
      });
    });
  }

  #send(call: Call, runId: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const abort = () => settle(() => reject(call.signal.reason));
      const settle = (end: () => void) => {
        call.signal.removeEventListener("abort", abort);
        this.#onEvent = () => {};
        this.#onClose = () => {};
        end();
      };
      call.signal.addEventListener("abort", abort);
      this.#onClose = (error) => settle(() => reject(error));
      this.#onEvent = (frame) => {
        const payload = frame.payload ?? {};
        if (frame.event !== "chat" || payload.runId !== runId) return;
        if (payload.state === "final") {
          const content = (payload.message as { content?: unknown } | undefined)?.content;
          const reply = textOfRow({ role: "assistant", content });
          settle(() => (reply === "" ? reject(new Queued()) : resolve(from(reply))));
        } else if (payload.state === "error" || payload.state === "aborted") {
          const text = String(payload.errorMessage ?? payload.state);
          settle(() => reject(new Refusal("model_error", null, text)));
        }
      };
      const sessionKey = this.#successors.of(this.#key);
      const params = { sessionKey, message: call.message, idempotencyKey: runId };
      this.#request("chat.send", params).catch((error) => settle(() => reject(error)));
    });
  }

  /** After a loss, or when it waits behind another turn: how it ended, or the loss itself when the question never got there. */
  async #follow(call: Call, runId: string, loss: Error): Promise<Answer> {
    const turn = { session: this.#key, message: call.message, runId };
    // Closed to it, the session has a successor that takes it.
    const taken = loss instanceof Queued || isClosed(loss) || wasBusy(loss);
    const followUp = new FollowUp(turn, this.#successors, taken);
    for (;;) {
      call.signal.throwIfAborted();
      let end: End | null = null;
      try {
        await this.#connect(call.signal);
        // A step that loses its connection ends there: only the next one looks at a new gateway.
        end = await followUp.step(this.#connection);
      } catch (error) {
        if (!(error instanceof LostConnection) && !(error instanceof Refusal)) throw error;
      }
      if (end?.end === "answered") return from(end.reply);
      if (end?.end === "failed") throw new Refusal("model_error", null, end.message);
      if (end?.end === "absent") throw loss;
      await pause(this.#askAgainMs, call.signal);
    }
  }
}

const from = (reply: string): Answer => ({ reply, shard: null, epoch: null, node: null });

/** 1012, "service restart": the shard moved or was lost, and the client is to connect again. */
const isRestart = (error: unknown): boolean =>
  error instanceof Refusal && (error.code === "closed_1012" || error.code === "UNAVAILABLE");

/** OpenClaw's own storage ended the run: its transcript tells whether anything of it had begun. */
const wasBusy = (error: unknown): boolean =>
  error instanceof Refusal && error.code === "model_error" && isContention(error.message);

const connectParams = (token: string) => ({
  minProtocol: PROTOCOL,
  maxProtocol: PROTOCOL,
  client: { id: "cli", version: "1.0.0", platform: process.platform, mode: "cli" },
  role: "operator",
  scopes: ["operator.read", "operator.write"],
  caps: [],
  auth: { token },
});

/** Waits, or rejects once the signal fires. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", abort);
      resolve();
    }, ms);
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort, { once: true });
  });
}
