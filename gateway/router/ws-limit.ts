import { parseFrame } from "../openclaw/handshake.ts";
import { asRouterError } from "./errors.ts";
import { type Frame, type Link, textOf } from "./ws-link.ts";

/** Requests of OpenClaw's protocol that have a model called. Read from its release 2026.9.6. */
const TURN_METHODS = new Set([
  "agent",
  "chat.send",
  "sessions.create",
  "sessions.dispatch",
  "sessions.send",
  "sessions.steer",
  "tasks.retry",
]);

/**
 * A person's WebSocket on which each request for a turn is counted like one over HTTP, and answered here
 * when it is too much. Frames keep their order.
 *
 * @param admit counts one turn of an agent, of the connection's own where the request names none (null); throws
 * RouterError when there is no room. Null when nothing is limited now.
 */
export function limited(
  link: Link,
  admit: () => ((agent: string | null) => Promise<void>) | null,
): Link {
  return {
    ...link,
    listen(next) {
      let waiting = 0;
      let last: Promise<void> = Promise.resolve();
      link.listen((frame) => {
        const check = admit();
        const turn = check === null ? null : turnOf(frame);
        if (waiting === 0 && turn === null) {
          next(frame);
          return;
        }
        waiting += 1;
        last = last
          .then(async () => {
            if (turn !== null && check !== null) await check(turn.agent);
            next(frame);
          })
          .catch((error: unknown) => refuse(link, turn?.id ?? null, error))
          .finally(() => {
            waiting -= 1;
          });
      });
    },
  };
}

interface Turn {
  id: string;
  /** The agent that its parameters name, lower-cased; null when they name none. */
  agent: string | null;
}

/** A request for a turn; null when the frame is none. OpenClaw reads a binary frame like a text. */
function turnOf({ data }: Frame): Turn | null {
  const frame = parseFrame(textOf(data));
  if (frame?.type !== "req" || !TURN_METHODS.has(frame.method)) return null;
  return { id: frame.id, agent: agentOf(frame.params) };
}

/** Fields in which a request for a turn names a conversation, as `agent:<agent>:…` when it is not the default agent's. */
const KEYS = ["sessionKey", "key"] as const;

/** The conversation's own agent goes before `agentId`: that is whom OpenClaw asks. */
function agentOf(params: unknown): string | null {
  if (params === null || typeof params !== "object") return null;
  const fields = params as Record<string, unknown>;
  for (const field of KEYS) {
    const key = fields[field];
    const found = typeof key === "string" ? /^\s*agent:([^:]+):/i.exec(key)?.[1] : undefined;
    if (found !== undefined) return found.trim().toLowerCase();
  }
  const { agentId } = fields;
  return typeof agentId === "string" && agentId.trim() !== "" ? agentId.trim().toLowerCase() : null;
}

function refuse(link: Link, id: string | null, error: unknown): void {
  const { message, retryAfterSeconds } = asRouterError(error);
  if (link.socket.readyState !== link.socket.OPEN) return;
  const body = {
    code: "UNAVAILABLE",
    message,
    retryable: true,
    ...(retryAfterSeconds === null ? {} : { retryAfterMs: retryAfterSeconds * 1_000 }),
  };
  link.socket.send(JSON.stringify({ type: "res", id, ok: false, error: body }));
}
