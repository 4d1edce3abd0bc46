import type { IncomingMessage } from "node:http";
import { HOLD } from "../contract.ts";
import { ClientGone, RouterError } from "./errors.ts";

/** A client that sends no byte of its body for this long is given up, ms. */
export const BODY_IDLE_MS = 30_000;

/**
 * The whole body, kept for retries. Throws RouterError `body_too_large`, `client_timeout`, or
 * ClientGone.
 */
export function readBody(
  req: IncomingMessage,
  maxBytes: number = HOLD.maxBodyBytes,
  idleMs: number = BODY_IDLE_MS,
): Promise<Buffer> {
  const announced = Number(req.headers["content-length"] ?? 0);
  if (announced > maxBytes) {
    return Promise.reject(tooLarge(maxBytes));
  }
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    let lastAt = performance.now();
    const timer = setInterval(
      () => {
        if (performance.now() - lastAt >= idleMs) {
          finish();
          reject(
            new RouterError("client_timeout", `no byte of the body came for ${idleMs / 1000} s`),
          );
        }
      },
      Math.max(10, idleMs / 4),
    );
    const finish = () => {
      clearInterval(timer);
      req.off("data", onData);
      req.off("end", onEnd);
      req.off("error", onGone);
      req.off("close", onGone);
    };
    const onData = (chunk: Buffer) => {
      lastAt = performance.now();
      bytes += chunk.length;
      if (bytes > maxBytes) {
        finish();
        req.resume();
        reject(tooLarge(maxBytes));
        return;
      }
      chunks.push(chunk);
    };
    const onEnd = () => {
      finish();
      resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks));
    };
    const onGone = () => {
      finish();
      reject(new ClientGone("the client left while it sent its body"));
    };
    req.on("data", onData);
    req.on("end", onEnd);
    req.on("error", onGone);
    req.on("close", onGone);
  });
}

function tooLarge(maxBytes: number): RouterError {
  return new RouterError(
    "body_too_large",
    `the body is larger than ${maxBytes / 2 ** 20} MiB, the most that is kept for a retry`,
  );
}

/** The body as a JSON object; an empty one counts as `{}`. */
export function parseJson(body: Buffer): Record<string, unknown> {
  if (body.length === 0) return {};
  let value: unknown;
  try {
    value = JSON.parse(body.toString("utf8"));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new RouterError("bad_request", `the body is not valid JSON: ${why.slice(0, 200)}`);
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw new RouterError("bad_request", "the body must be a JSON object");
  }
  return value as Record<string, unknown>;
}
