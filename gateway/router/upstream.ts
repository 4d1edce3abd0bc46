import type { IncomingHttpHeaders } from "node:http";
import { type Dispatcher, Pool } from "undici";
import type { FleetTls } from "./fleet-tls.ts";
import { ALIVE_MS } from "./peer-silence.ts";

/** OpenClaw closes an idle connection after 5 s; whoever writes at that moment loses the request. */
export const IDLE_MS = 4_000;
/** Connection attempts to an owner on another host, ms. */
const CONNECT_MS = 3_000;
/** Connections to one gateway or peer. */
const MAX_CONNECTIONS = 1_024;
/** A pool that nobody used for this long is closed: each start of a gateway has its own port. */
const POOL_IDLE_MS = 60_000;

export interface UpstreamRequest {
  /** `http://host:port`; of a peer, from {@link Upstreams.peer}. */
  origin: string;
  method: string;
  path: string;
  headers: string[];
  body: Buffer | null;
  /** Asked right before the first byte goes out; false sends nothing. */
  live: () => boolean;
}

/**
 * How an attempt ended. `unreached`: no byte was written, it may be sent elsewhere. `lost`: bytes were
 * written and the answer did not come, or not whole (`begun`). `stopped`: the caller aborted.
 */
export type Ending =
  | { ending: "complete" }
  | { ending: "unreached"; why: string; refused: boolean }
  | { ending: "lost"; begun: boolean; why: string }
  | { ending: "stopped" };

export interface AnswerSink {
  /** The first byte is about to be written. */
  onSent?(): void;
  onHead(status: number, headers: IncomingHttpHeaders): void;
  /** False: stop reading until `resume` is called. */
  onData(chunk: Buffer, resume: () => void): boolean;
}

interface Held {
  pool: Pool;
  usedAt: number;
  busy: number;
  /** Of the certificates that its connections use. */
  generation: number;
}

/** Connections to gateways and peers, kept open for the next request. */
export class Upstreams {
  readonly #pools = new Map<string, Held>();
  /** Certificates between nodes; null on one machine, where they talk plainly. */
  readonly tls: FleetTls | null;

  constructor(tls: FleetTls | null = null) {
    this.tls = tls;
  }

  /** Origin of another node's listener for peers, by its published `host:port`. */
  peer(address: string): string {
    return `${this.tls ? "https" : "http"}://${address}`;
  }

  /** Sends one request, once; never rejects. `signal` aborts it, also in mid-answer. */
  send(request: UpstreamRequest, sink: AnswerSink, signal: AbortSignal): Promise<Ending> {
    if (signal.aborted) return Promise.resolve({ ending: "stopped" });
    const held = this.#pool(request.origin);
    held.busy += 1;
    return new Promise<Ending>((resolve) => {
      let controller: Dispatcher.DispatchController | null = null;
      let sent = false;
      let begun = false;
      let settled = false;
      const settle = (ending: Ending) => {
        if (settled) return;
        settled = true;
        signal.removeEventListener("abort", stop);
        held.busy -= 1;
        held.usedAt = performance.now();
        resolve(ending);
      };
      const stop = () => {
        settle({ ending: "stopped" });
        controller?.abort(new Error("stopped"));
      };
      signal.addEventListener("abort", stop, { once: true });
      try {
        held.pool.dispatch(
          {
            method: request.method as Dispatcher.HttpMethod,
            path: request.path,
            headers: request.headers,
            body: request.body,
          },
          {
            onRequestStart(control) {
              controller = control;
              if (settled) control.abort(new Error("stopped"));
              else if (!request.live()) control.abort(new Error("the owner's deadline has passed"));
              else {
                sent = true;
                sink.onSent?.();
              }
            },
            onResponseStart(_control, status, headers) {
              if (settled || status < 200) return;
              begun = true;
              sink.onHead(status, headers);
            },
            onResponseData(control, chunk) {
              if (settled) return;
              if (!sink.onData(chunk, () => control.resume())) control.pause();
            },
            onResponseEnd() {
              settle({ ending: "complete" });
            },
            onResponseError(_control, error) {
              settle(ended(error, sent, begun));
            },
          },
        );
      } catch (error) {
        settle(ended(error as Error, sent, begun));
      }
    });
  }

  /** A small question to a peer or gateway, answered whole; throws when it did not come in time. */
  async ask(
    request: Omit<UpstreamRequest, "live">,
    timeoutMs: number,
    maxBytes = 16 * 2 ** 20,
  ): Promise<{ status: number; body: string }> {
    let status = 0;
    let bytes = 0;
    const chunks: Buffer[] = [];
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), timeoutMs);
    try {
      const ending = await this.send(
        { ...request, live: () => true },
        {
          onHead: (code) => {
            status = code;
          },
          onData: (chunk) => {
            bytes += chunk.length;
            if (bytes > maxBytes) abort.abort();
            else chunks.push(chunk);
            return true;
          },
        },
        abort.signal,
      );
      if (ending.ending !== "complete") {
        const why = "why" in ending ? ending.why : `no answer in ${timeoutMs} ms`;
        throw new Error(`${request.origin}${request.path.split("?")[0]}: ${why}`);
      }
      return { status, body: Buffer.concat(chunks).toString("utf8") };
    } finally {
      clearTimeout(timer);
    }
  }

  async close(): Promise<void> {
    const pools = [...this.#pools.values()];
    this.#pools.clear();
    await Promise.all(pools.map(({ pool }) => pool.destroy()));
  }

  #pool(origin: string): Held {
    let held = this.#pools.get(origin);
    const secure = origin.startsWith("https:") ? this.tls : null;
    const generation = secure?.generation ?? 0;
    if (held && held.generation !== generation) {
      // What runs on it ends in peace.
      held.pool.close().catch(() => undefined);
      held = undefined;
    }
    if (!held) {
      this.#sweep();
      const pool = new Pool(origin, {
        pipelining: 1,
        connections: MAX_CONNECTIONS,
        headersTimeout: 0,
        bodyTimeout: 0,
        keepAliveTimeout: IDLE_MS,
        keepAliveMaxTimeout: IDLE_MS,
        keepAliveTimeoutThreshold: 1_000,
        // A model may be silent for minutes: only the kernel can tell that from a path that is dead.
        connect: {
          timeout: CONNECT_MS,
          keepAliveInitialDelay: ALIVE_MS,
          ...secure?.credentials,
        },
        allowH2: false,
      });
      held = { pool, usedAt: performance.now(), busy: 0, generation };
      this.#pools.set(origin, held);
    }
    return held;
  }

  #sweep(): void {
    const before = performance.now() - POOL_IDLE_MS;
    for (const [origin, held] of this.#pools) {
      if (held.busy > 0 || held.usedAt > before) continue;
      this.#pools.delete(origin);
      held.pool.destroy().catch(() => undefined);
    }
  }
}

function ended(error: Error & { code?: string }, sent: boolean, begun: boolean): Ending {
  const why = `${error.code ?? error.name}: ${error.message}`;
  if (sent) return { ending: "lost", begun, why };
  return { ending: "unreached", why, refused: error.code === "ECONNREFUSED" };
}
