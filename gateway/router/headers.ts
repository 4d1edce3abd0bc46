import type { IncomingHttpHeaders } from "node:http";
import { HEADER, type NodeId, type ShardId } from "../contract.ts";
import { sessionKey } from "./key.ts";

/** RFC 9110, 7.6.1, with the ones in use before it. Never passed on. */
const HOP_BY_HOP = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "expect",
  "http2-settings",
]);

/** OpenClaw answers 403 to forwarding evidence from an address it does not know; it gets none. */
const FORWARDING = /^(x-forwarded-|x-real-ip$|forwarded$|via$|cf-connecting-ip$|true-client-ip$)/;

/** Names the session of a `/v1` request, in full: `agent:<agent>:<session>`. */
const SESSION_KEY = "x-openclaw-session-key";

/** What an administrator may set on OpenClaw, and nobody else: it changes model or policy. */
export const ADMIN_ONLY = ["x-openclaw-model", "x-openclaw-message-channel"] as const;

/** Node's own name of the target shard on a forwarded request. */
export const FLEET = {
  shard: "x-openclaw-fleet-shard",
  /** Asks a peer that is not the owner to pass it on to this node, once. */
  relay: "x-openclaw-fleet-relay",
  /** Scopes of a WebSocket: `admin` or `client`. */
  scope: "x-openclaw-fleet-scope",
  /** On a peer's answer: no gateway was reached, the request may be sent again. */
  unreached: "x-openclaw-fleet-unreached",
} as const;

/** Headers as undici wants them: name, value, name, value. */
export type FlatHeaders = string[];

/**
 * Headers of a `/v1` request as OpenClaw shall see them, but for its own token. Agent and session are
 * named in full, so nothing that the client sent can route it elsewhere.
 */
export function openaiHeaders(
  headers: IncomingHttpHeaders,
  key: { agent: string; session: string | null },
  admin: boolean,
  requestId: string,
): FlatHeaders {
  const flat: FlatHeaders = [];
  for (const name in headers) {
    if (name === "authorization" || name === "cookie" || name.startsWith("x-openclaw-")) continue;
    push(flat, name, headers[name]);
  }
  if (admin) for (const name of ADMIN_ONLY) push(flat, name, headers[name]);
  flat.push("x-openclaw-agent-id", key.agent);
  if (key.session !== null) {
    flat.push(SESSION_KEY, sessionKey(key.agent, key.session));
  }
  flat.push(HEADER.requestId, requestId);
  return flat;
}

/** The same headers with another session in place of the one they name; untouched if they name none. */
export async function withSession(
  headers: FlatHeaders,
  replace: (key: string) => Promise<string>,
): Promise<FlatHeaders> {
  const name = headers.findIndex((each, index) => index % 2 === 0 && each === SESSION_KEY);
  const key = headers[name + 1];
  if (name < 0 || key === undefined) return headers;
  return headers.with(name + 1, await replace(key));
}

/** Headers of a webhook: the sender's own proof goes through, routing headers do not. */
export function webhookHeaders(headers: IncomingHttpHeaders, requestId: string): FlatHeaders {
  const flat: FlatHeaders = [];
  for (const name in headers) {
    if (name.startsWith("x-openclaw-") && name !== "x-openclaw-token") continue;
    push(flat, name, headers[name]);
  }
  flat.push(HEADER.requestId, requestId);
  return flat;
}

/** On the owner's side: what a peer sent, without the fleet's own marks. */
export function forwardedHeaders(headers: IncomingHttpHeaders): FlatHeaders {
  const flat: FlatHeaders = [];
  for (const name in headers) {
    if (name.startsWith("x-openclaw-fleet-") || name === HEADER.epoch) continue;
    push(flat, name, headers[name]);
  }
  return flat;
}

/** Marks of a request from one node to another. */
export function peerHeaders(mark: {
  shard: ShardId;
  epoch: number;
  incarnation: string;
  token: string;
  hop: number;
  relay: NodeId | null;
}): FlatHeaders {
  const flat = [
    HEADER.peerToken,
    mark.token,
    FLEET.shard,
    mark.shard,
    HEADER.epoch,
    String(mark.epoch),
    HEADER.incarnation,
    mark.incarnation,
    HEADER.hop,
    String(mark.hop),
  ];
  if (mark.relay !== null) flat.push(FLEET.relay, mark.relay);
  return flat;
}

/** Headers of an answer as the client shall see them. */
export function answerHeaders(headers: IncomingHttpHeaders): Record<string, string | string[]> {
  const out: Record<string, string | string[]> = {};
  for (const name in headers) {
    const value = headers[name];
    if (value === undefined || HOP_BY_HOP.has(name)) continue;
    if (name.startsWith("x-openclaw-fleet-")) continue;
    out[name] = value;
  }
  return out;
}

function push(flat: FlatHeaders, name: string, value: string | string[] | undefined): void {
  if (value === undefined || name === "host" || name === "content-length") return;
  if (name === HEADER.requestId || HOP_BY_HOP.has(name) || FORWARDING.test(name)) return;
  if (typeof value === "string") flat.push(name, value);
  else for (const each of value) flat.push(name, each);
}
