import { WebSocket } from "ws";
import { endpoint } from "../address.ts";
import {
  buildConnect,
  type GatewayErrorBody,
  type Hello,
  MAX_FRAME_BYTES,
  parseChallenge,
  parseFrame,
  parseHello,
} from "./handshake.ts";

/** OpenClaw answered a request with an error. */
export class GatewayCallError extends Error {
  override readonly name = "GatewayCallError";
  readonly body: GatewayErrorBody;
  constructor(method: string, body: GatewayErrorBody) {
    super(`${method}: ${body.message}`);
    this.body = body;
  }
}

/** There is no connection, or it ended before the answer; `sent` says whether the request went out. */
export class ConnectionLost extends Error {
  override readonly name = "ConnectionLost";
  readonly sent: boolean;
  constructor(message: string, sent: boolean) {
    super(message);
    this.sent = sent;
  }
}

/** The answer did not come in time. */
export class CallTimeout extends Error {
  override readonly name = "CallTimeout";
}

export interface SocketOptions {
  host: string;
  port: number;
  token: string;
  scopes: readonly string[];
  /** Called for every event of a ready connection, in order. */
  onEvent?: (event: string, payload: unknown) => void;
  /** Called when a connection is ready, before `ready` resolves; may call methods. */
  onUp?: (socket: GatewaySocket) => Promise<void> | void;
  onDown?: () => void;
  /** Events that are dropped unread: their frames are large and frequent. */
  ignore?: readonly string[];
}

/** First pause before a reconnect; doubles up to the last, milliseconds. Loopback costs nothing. */
const RECONNECT_FIRST_MS = 50;
const RECONNECT_LAST_MS = 1_000;
/** A handshake that takes longer has failed; OpenClaw itself gives up after 15 s. */
const HANDSHAKE_MS = 10_000;
/** Pause between two pings; a connection silent for three of them is dead. */
const PING_MS = 10_000;
const CALL_MS = 30_000;

interface Pending {
  method: string;
  resolve: (payload: unknown) => void;
  reject: (error: Error) => void;
  timer: NodeJS.Timeout;
}

/** One connection to a gateway, made again whenever it ends, until closed. */
export class GatewaySocket {
  readonly #options: SocketOptions;
  readonly #pending = new Map<string, Pending>();
  readonly #waiters = new Set<() => void>();
  readonly #ignored: string[];
  #ws: WebSocket | null = null;
  #hello: Hello | null = null;
  #up = false;
  #closed = false;
  #nextId = 1;
  #pauseMs = RECONNECT_FIRST_MS;
  #retry: NodeJS.Timeout | null = null;
  #lastError: string | null = null;

  constructor(options: SocketOptions) {
    this.#options = options;
    this.#ignored = (options.ignore ?? []).map((name) => `{"type":"event","event":"${name}"`);
    this.#connect();
  }

  get connected(): boolean {
    return this.#up;
  }

  /** What OpenClaw said of itself; null before the first connection. */
  get hello(): Hello | null {
    return this.#hello;
  }

  /** Why the last attempt to connect failed, in OpenClaw's words where it gave any. */
  get lastError(): string | null {
    return this.#lastError;
  }

  /** Resolves once connected; throws when the signal fires or the socket is closed for good. */
  async ready(signal?: AbortSignal): Promise<void> {
    while (!this.#up) {
      if (this.#closed) throw new ConnectionLost("the client was closed", false);
      signal?.throwIfAborted();
      await new Promise<void>((resolve) => {
        const done = () => {
          this.#waiters.delete(done);
          signal?.removeEventListener("abort", done);
          resolve();
        };
        this.#waiters.add(done);
        signal?.addEventListener("abort", done);
      });
    }
  }

  /**
   * Calls a method. `onSend` runs right before the bytes go out, and may throw to keep them. Rejects with GatewayCallError,
   * ConnectionLost or CallTimeout.
   */
  call<T = Record<string, unknown>>(
    method: string,
    params: object = {},
    options: { timeoutMs?: number; onSend?: () => void } = {},
  ): Promise<T> {
    if (!this.#up) {
      return Promise.reject(new ConnectionLost("not connected to the gateway", false));
    }
    return this.#request(method, params, options) as Promise<T>;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#retry) clearTimeout(this.#retry);
    this.#ws?.close(1000);
    this.#down(null);
    this.#ws?.terminate();
    this.#wake();
  }

  #request(
    method: string,
    params: object,
    options: { timeoutMs?: number; onSend?: () => void },
  ): Promise<unknown> {
    const ws = this.#ws;
    if (!ws || ws.readyState !== WebSocket.OPEN) {
      return Promise.reject(new ConnectionLost("not connected to the gateway", false));
    }
    const id = String(this.#nextId++);
    const text = JSON.stringify({ type: "req", id, method, params });
    const limit = this.#hello?.maxPayload ?? MAX_FRAME_BYTES;
    if (Buffer.byteLength(text) > limit) {
      const message = `the request is larger than the ${limit} bytes that OpenClaw takes`;
      return Promise.reject(new GatewayCallError(method, { code: "INVALID_REQUEST", message }));
    }
    return new Promise((resolve, reject) => {
      // Throws when the caller's last look before the first byte says no: nothing goes out then.
      options.onSend?.();
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(new CallTimeout(`${method} was not answered in time`));
      }, options.timeoutMs ?? CALL_MS);
      this.#pending.set(id, { method, resolve, reject, timer });
      ws.send(text);
    });
  }

  #connect(): void {
    const { host, port, token, scopes } = this.#options;
    const ws = new WebSocket(`ws://${endpoint(host, port)}`, {
      perMessageDeflate: false,
      maxPayload: MAX_FRAME_BYTES * 4,
      handshakeTimeout: HANDSHAKE_MS,
    });
    this.#ws = ws;
    let silent = 0;
    const handshake = setTimeout(() => ws.terminate(), HANDSHAKE_MS);
    const ping = setInterval(() => {
      if (++silent > 3) ws.terminate();
      else if (ws.readyState === WebSocket.OPEN) ws.ping();
    }, PING_MS);
    const connectId = `connect-${this.#nextId++}`;
    ws.on("pong", () => {
      silent = 0;
    });
    ws.on("message", (data: Buffer) => {
      silent = 0;
      const text = data.toString("utf8");
      if (this.#up && this.#ignored.some((prefix) => text.startsWith(prefix))) return;
      const frame = parseFrame(text);
      if (!frame || ws !== this.#ws) return;
      if (this.#hello === null || !this.#up) {
        if (parseChallenge(frame)) {
          ws.send(JSON.stringify(buildConnect({ id: connectId, scopes, token })));
          return;
        }
        const result = parseHello(frame, connectId);
        if (result.ok === false) {
          this.#lastError = `${result.error.code}: ${result.error.message}`;
          ws.terminate();
          return;
        }
        if (result.ok) {
          clearTimeout(handshake);
          this.#hello = result.hello;
          void this.#greet(ws);
          return;
        }
      }
      if (frame.type === "res") this.#settle(frame.id, frame);
      else if (frame.type === "event") this.#options.onEvent?.(frame.event, frame.payload);
    });
    ws.on("error", (error) => {
      this.#lastError = error.message;
    });
    ws.on("close", () => {
      clearTimeout(handshake);
      clearInterval(ping);
      if (ws === this.#ws) this.#down(ws);
    });
  }

  async #greet(ws: WebSocket): Promise<void> {
    try {
      this.#up = true;
      await this.#options.onUp?.(this);
      if (ws !== this.#ws || ws.readyState !== WebSocket.OPEN) return;
      this.#pauseMs = RECONNECT_FIRST_MS;
      this.#lastError = null;
      this.#wake();
    } catch (error) {
      this.#lastError = (error as Error).message;
      ws.terminate();
    }
  }

  #settle(id: string, frame: { ok: boolean; payload?: unknown; error?: GatewayErrorBody }): void {
    const pending = this.#pending.get(id);
    if (!pending) return;
    this.#pending.delete(id);
    clearTimeout(pending.timer);
    if (frame.ok) pending.resolve(frame.payload ?? {});
    else {
      const unknown = { code: "UNKNOWN", message: "OpenClaw gave no reason" };
      pending.reject(new GatewayCallError(pending.method, frame.error ?? unknown));
    }
  }

  #down(ws: WebSocket | null): void {
    const wasUp = this.#up;
    this.#up = false;
    for (const pending of this.#pending.values()) {
      clearTimeout(pending.timer);
      pending.reject(new ConnectionLost("the connection to the gateway ended", true));
    }
    this.#pending.clear();
    if (wasUp) this.#options.onDown?.();
    if (this.#closed || ws === null) return;
    this.#retry = setTimeout(() => this.#connect(), this.#pauseMs);
    this.#pauseMs = Math.min(this.#pauseMs * 2, RECONNECT_LAST_MS);
  }

  #wake(): void {
    for (const waiter of [...this.#waiters]) waiter();
  }
}
