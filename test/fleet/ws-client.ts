import { randomUUID } from "node:crypto";
import { WebSocket } from "ws";

interface Frame {
  type?: string;
  id?: string;
  ok?: boolean;
  event?: string;
  payload?: Record<string, unknown>;
  error?: { code?: string; message?: string };
}

/** A person's client of OpenClaw's gateway protocol, as far as tests need one. */
export class WsClient {
  readonly events: Frame[] = [];
  /** Code of the close; null while it is open. */
  closed: number | null = null;
  /** What OpenClaw said of itself at the connection's begin. */
  hello: Record<string, unknown> = {};
  readonly #socket: WebSocket;
  readonly #pending = new Map<string, (frame: Frame) => void>();

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on("error", () => undefined);
    socket.on("close", (code) => {
      this.closed = code;
      for (const answer of this.#pending.values()) {
        answer({ ok: false, error: { code: `closed_${code}` } });
      }
      this.#pending.clear();
    });
    socket.on("message", (data) => {
      const frame = JSON.parse(data.toString()) as Frame;
      if (frame.type !== "res") this.events.push(frame);
      else this.#pending.get(frame.id ?? "")?.(frame);
    });
  }

  /** Connects and introduces itself with this token; asks for all scopes. Throws OpenClaw's error. */
  static async connect(url: string, token: string): Promise<WsClient> {
    const client = new WsClient(new WebSocket(url));
    await client.until(({ event }) => event === "connect.challenge");
    client.hello = await client.call("connect", {
      minProtocol: 4,
      maxProtocol: 4,
      client: { id: "cli", version: "1.0.0", platform: process.platform, mode: "cli" },
      role: "operator",
      scopes: ["operator.read", "operator.write", "operator.admin"],
      caps: [],
      auth: { token },
    });
    return client;
  }

  async call(method: string, params: object): Promise<Record<string, unknown>> {
    const id = randomUUID();
    const frame = await new Promise<Frame>((resolve) => {
      this.#pending.set(id, resolve);
      this.#socket.send(JSON.stringify({ type: "req", id, method, params }), (error) => {
        if (error) resolve({ ok: false, error: { code: "unsent", message: error.message } });
      });
    });
    this.#pending.delete(id);
    if (frame.ok) return frame.payload ?? {};
    throw new Error(`${method}: ${frame.error?.code} ${frame.error?.message}`);
  }

  /** The first event that fits, also one that came before. */
  async until(fits: (frame: Frame) => boolean, withinMs = 90_000): Promise<Frame> {
    const deadline = performance.now() + withinMs;
    for (;;) {
      const found = this.events.find(fits);
      if (found) return found;
      if (performance.now() > deadline || this.closed !== null) {
        throw new Error(`no such event; closed: ${this.closed}; ${JSON.stringify(this.events)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  close(): void {
    this.#socket.terminate();
  }
}
