import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { ERRORS, type ErrorCode, FRONT, HEADER, type NodeId } from "../contract.ts";
import type { Log } from "./deps.ts";
import { errorBody, RouterError } from "./errors.ts";
import type { FleetTls } from "./fleet-tls.ts";

/** A request's head must be there this long after its first byte, ms. */
export const HEAD_MS = 20_000;
const MAX_HEADER_BYTES = 16 * 1024;
/** A TLS handshake must be done by then, ms. */
const HANDSHAKE_MS = 10_000;
/** Refused handshakes are told at most this often: a scanner on the network must not fill the log. */
const TELL_EVERY_MS = 60_000;

export interface GuardedHandlers {
  request(req: IncomingMessage, res: ServerResponse): Promise<void>;
  upgrade(req: IncomingMessage, socket: Socket, head: Buffer): Promise<void>;
}

export interface GuardOptions {
  node: NodeId;
  log: Log;
  /** @default HEAD_MS */
  headMs?: number;
  /**
   * A front stands before this server. It reads heads whole before it sends them on, and may open a
   * connection long before it needs it, which `headMs` would cut under its next request.
   * @default false
   */
  behindFront?: boolean;
  /**
   * The kernel asks a caller that was silent for this long whether it is there, and cuts it 10 s later, ms.
   * @default callers may be out of reach for as long as they like
   */
  askAfterMs?: number;
  /** Talks TLS 1.3 with certificates on both sides; a caller without one of the fleet's is cut. */
  tls?: FleetTls | null;
}

/**
 * An HTTP server on which no request can do harm: what the parser refuses gets an answer in our form,
 * and whatever a handler throws ends that request only.
 */
export function guardedServer(handlers: GuardedHandlers, options: GuardOptions): Server {
  const { node, log } = options;
  const headMs = options.headMs ?? (options.behindFront ? FRONT.keepAliveMs : HEAD_MS);
  const settings = {
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: headMs,
    requestTimeout: 0,
    keepAliveTimeout: FRONT.keepAliveMs,
    connectionsCheckingInterval: Math.max(50, Math.min(1_000, headMs / 4)),
    requireHostHeader: false,
    insecureHTTPParser: false,
    noDelay: true,
    ...(options.askAfterMs === undefined
      ? {}
      : { keepAlive: true, keepAliveInitialDelay: options.askAfterMs }),
    shouldUpgradeCallback: (req: IncomingMessage) =>
      req.headers.upgrade?.toLowerCase() === "websocket",
  };
  const server = options.tls ? certifiedServer(settings, options.tls, log) : createServer(settings);
  server.on("request", (req, res) => {
    if (req.httpVersion === "1.1" && req.headers.host === undefined) {
      answerRaw(req.socket, "bad_request", "a request without a Host header", node);
      return;
    }
    handlers.request(req, res).catch((error: unknown) => {
      log.error({ error: stackOf(error) }, "a request ended the router's handler");
      res.destroy();
    });
  });
  server.on("upgrade", (req, socket: Socket, head) => {
    socket.on("error", () => socket.destroy());
    handlers.upgrade(req, socket, head).catch((error: unknown) => {
      log.error({ error: stackOf(error) }, "an upgrade ended the router's handler");
      socket.destroy();
    });
  });
  server.on("checkExpectation", (_req, res: ServerResponse) => {
    answerRaw(res.socket as Socket, "bad_request", "only Expect: 100-continue is known", node);
  });
  server.on("connect", (_req, socket: Duplex) => {
    answerRaw(socket, "method_not_allowed", "CONNECT is not for this server", node);
  });
  server.on("clientError", (error: Error & { code?: string }, socket: Duplex) => {
    if (error.code === "ECONNRESET" || !socket.writable) {
      socket.destroy();
      return;
    }
    const [code, message, status] = parserRefusal(error.code);
    answerRaw(socket, code, message, node, status);
  });
  server.on("dropRequest", (_req, socket: Duplex) => socket.destroy());
  return server;
}

function certifiedServer(settings: object, tls: FleetTls, log: Log): Server {
  const server = createTlsServer({
    ...settings,
    ...tls.credentials,
    requestCert: true,
    rejectUnauthorized: true,
    handshakeTimeout: HANDSHAKE_MS,
  });
  tls.follow(server);
  let toldAt = Number.NEGATIVE_INFINITY;
  server.on("tlsClientError", (error: Error & { code?: string }, socket) => {
    const now = performance.now();
    if (error.code === "ECONNRESET" || now - toldAt < TELL_EVERY_MS) return;
    toldAt = now;
    const from = socket.remoteAddress ?? "an address that is gone";
    log.warn({ from }, `a connection without a good certificate of this fleet: ${error.message}`);
  });
  // Its own type says only that it is no plain one; all that is used here both have.
  return server as unknown as Server;
}

function parserRefusal(code: string | undefined): [ErrorCode, string, number?] {
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
      return ["bad_request", `the headers are larger than ${MAX_HEADER_BYTES} bytes`, 431];
    case "HPE_CHUNK_EXTENSIONS_OVERFLOW":
      return ["body_too_large", "too many bytes of chunk extensions"];
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return ["client_timeout", "the request's head did not come in time"];
    default:
      return ["bad_request", `this is no valid HTTP request (${code ?? "unknown"})`];
  }
}

/** Answers on a bare connection and closes it: after a fault of framing nothing on it can be trusted. */
export function answerRaw(
  socket: Duplex,
  code: ErrorCode,
  message: string,
  node: NodeId,
  status: number = ERRORS[code].status,
  extra: Record<string, string> = {},
): void {
  if (socket.destroyed || !socket.writable) {
    socket.destroy();
    return;
  }
  const requestId = extra[HEADER.requestId] ?? randomUUID();
  const body = `${JSON.stringify(errorBody(new RouterError(code, message), requestId))}\n`;
  const headers: Record<string, string> = {
    "content-type": "application/json; charset=utf-8",
    "content-length": String(Buffer.byteLength(body)),
    connection: "close",
    [HEADER.shard]: "none",
    [HEADER.epoch]: "0",
    [HEADER.instance]: node,
    [HEADER.requestId]: requestId,
    ...extra,
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${code}\r\n${lines.join("")}\r\n${body}`, () => {
    // What the client still sends would otherwise turn the answer into a reset before it is read.
    setTimeout(() => socket.destroy(), 1_000).unref();
  });
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
