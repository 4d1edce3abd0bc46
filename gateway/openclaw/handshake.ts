/**
 * The first frames of OpenClaw's gateway protocol. The server opens with `connect.challenge`, the
 * client answers with `connect`, the server with `hello-ok` or an error. The fleet's own client and
 * the router (for a person's WebSocket) both begin a connection with what is here.
 */

/** Version of the protocol spoken here; OpenClaw wants it exact from operators. */
export const PROTOCOL = 4;

/** `operator.read` + `operator.write`: turns, history, sessions; nothing that changes the gateway. */
export const CLIENT_SCOPES = ["operator.read", "operator.write"] as const;
/** Everything the fleet itself needs: suspend, cron, diagnostics. */
export const ADMIN_SCOPES = ["operator.read", "operator.write", "operator.admin"] as const;

/** Largest frame before the handshake (OpenClaw closes above it), bytes. */
export const MAX_CONNECT_BYTES = 64 * 1024;
/** Largest frame after it, bytes; OpenClaw says so in `hello-ok`, this is its default. */
export const MAX_FRAME_BYTES = 26_214_400;

export type Frame =
  | { type: "event"; event: string; payload?: unknown; seq?: number }
  | { type: "req"; id: string; method: string; params?: unknown }
  | { type: "res"; id: string; ok: boolean; payload?: unknown; error?: GatewayErrorBody };

export interface GatewayErrorBody {
  code: string;
  message: string;
  details?: unknown;
  retryable?: boolean;
  retryAfterMs?: number;
}

/** Reads one text frame; null when it is not one of the protocol. */
export function parseFrame(text: string): Frame | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (value === null || typeof value !== "object") return null;
  const frame = value as Record<string, unknown>;
  if (frame.type === "event" && typeof frame.event === "string") return value as Frame;
  if (typeof frame.id !== "string") return null;
  if (frame.type === "res" && typeof frame.ok === "boolean") return value as Frame;
  if (frame.type === "req" && typeof frame.method === "string") return value as Frame;
  return null;
}

/** What the server wants answered; null when the frame is another one. */
export function parseChallenge(frame: Frame): { nonce: string } | null {
  if (frame.type !== "event" || frame.event !== "connect.challenge") return null;
  const payload = frame.payload as { nonce?: unknown } | undefined;
  return { nonce: typeof payload?.nonce === "string" ? payload.nonce : "" };
}

export interface ConnectRequest {
  /** Correlates the answer; unique on the connection. */
  id: string;
  scopes: readonly string[];
  /** OpenClaw's token. It travels on loopback only. */
  token: string;
  /** Shown in OpenClaw's own lists of connections. @default "openclaw-fleet" */
  userAgent?: string;
  /**
   * Client capabilities, as the person's own `connect` named them: without `tool-events` OpenClaw
   * sends no tool events to it. @default []
   */
  caps?: readonly string[];
}

/**
 * The `connect` frame. OpenClaw grants scopes without a paired device only to this client id and
 * mode, on loopback and without an Origin header.
 */
export function buildConnect(request: ConnectRequest): Frame {
  return {
    type: "req",
    id: request.id,
    method: "connect",
    params: {
      minProtocol: PROTOCOL,
      maxProtocol: PROTOCOL,
      client: {
        id: "gateway-client",
        displayName: "openclaw-fleet",
        version: "1.0.0",
        platform: process.platform,
        mode: "backend",
      },
      role: "operator",
      scopes: [...request.scopes],
      caps: [...(request.caps ?? [])],
      auth: { token: request.token },
      userAgent: request.userAgent ?? "openclaw-fleet",
    },
  };
}

export interface Hello {
  protocol: number;
  /** OpenClaw's version. */
  version: string;
  connId: string;
  /** Scopes that were granted, which may be fewer than asked. */
  scopes: string[];
  /** Largest frame that the server takes, bytes. */
  maxPayload: number;
}

export type HelloResult =
  | { ok: true; hello: Hello }
  | { ok: false; error: GatewayErrorBody }
  /** The frame is not the answer to this `connect`. */
  | { ok: null };

/** Reads the answer to the `connect` with this id. */
export function parseHello(frame: Frame, id: string): HelloResult {
  if (frame.type !== "res" || frame.id !== id) return { ok: null };
  if (!frame.ok) {
    const error = frame.error ?? { code: "UNAVAILABLE", message: "connect was refused" };
    return { ok: false, error };
  }
  const payload = (frame.payload ?? {}) as Record<string, Record<string, unknown> | undefined> & {
    protocol?: unknown;
  };
  const { server, auth, policy } = payload;
  return {
    ok: true,
    hello: {
      protocol: Number((payload as { protocol?: unknown }).protocol ?? 0),
      version: String(server?.version ?? ""),
      connId: String(server?.connId ?? ""),
      scopes: Array.isArray(auth?.scopes) ? auth.scopes.map(String) : [],
      maxPayload: typeof policy?.maxPayload === "number" ? policy.maxPayload : MAX_FRAME_BYTES,
    },
  };
}
