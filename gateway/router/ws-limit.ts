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
 * @param admit throws RouterError when there is no room; null when nothing is limited now
 */
export function limited(link: Link, admit: () => (() => Promise<void>) | null): Link {
  return {
    ...link,
    listen(next) {
      let waiting = 0;
      let last: Promise<void> = Promise.resolve();
      link.listen((frame) => {
        const check = admit();
        const id = check === null ? null : turnOf(frame);
        if (waiting === 0 && id === null) {
          next(frame);
          return;
        }
        waiting += 1;
        last = last
          .then(async () => {
            if (id !== null && check !== null) await check();
            next(frame);
          })
          .catch((error: unknown) => refuse(link, id, error))
          .finally(() => {
            waiting -= 1;
          });
      });
    },
  };
}

/** Id of a request for a turn; null when the frame is none. */
function turnOf({ data, binary }: Frame): string | null {
  const frame = binary ? null : parseFrame(textOf(data));
  return frame?.type === "req" && TURN_METHODS.has(frame.method) ? frame.id : null;
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
