import type { ServerResponse } from "node:http";
import { ERRORS, type ErrorBody, type ErrorCode } from "../contract.ts";

/** An answer that the router gives in its own name. */
export class RouterError extends Error {
  readonly code: ErrorCode;
  /** Value of `Retry-After`, seconds; null when a retry has no better moment. */
  readonly retryAfterSeconds: number | null;
  constructor(code: ErrorCode, message: string, retryAfterSeconds: number | null = null) {
    super(message);
    this.name = "RouterError";
    this.code = code;
    this.retryAfterSeconds = retryAfterSeconds;
  }
  get status(): number {
    return ERRORS[this.code].status;
  }
}

/** The client went away: nothing is to be answered. */
export class ClientGone extends Error {
  override readonly name = "ClientGone";
}

export function errorBody(error: RouterError, requestId: string): ErrorBody {
  return {
    error: {
      code: error.code,
      message: error.message,
      retryable: ERRORS[error.code].retryable,
      requestId,
    },
  };
}

/** Anything thrown becomes one of ours; what was not foreseen says nothing of its inside. */
export function asRouterError(error: unknown): RouterError {
  if (error instanceof RouterError) return error;
  return new RouterError("internal", "the router failed on this request; its log has the reason");
}

/** Answers with JSON; does nothing when the client is gone or an answer has begun. */
export function sendJson(
  res: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  if (res.headersSent || res.destroyed) return;
  const text = Buffer.from(`${JSON.stringify(body)}\n`);
  res.writeHead(status, {
    "content-type": "application/json; charset=utf-8",
    "content-length": text.length,
    "cache-control": "no-store",
    ...headers,
  });
  res.end(text);
}

export function sendError(res: ServerResponse, error: RouterError, requestId: string): void {
  const headers: Record<string, string> = {};
  if (error.retryAfterSeconds !== null) headers["retry-after"] = String(error.retryAfterSeconds);
  if (error.code === "unauthorized") headers["www-authenticate"] = 'Bearer realm="openclaw-fleet"';
  // The rest of such a body is not worth reading.
  if (error.code === "body_too_large" || error.code === "client_timeout")
    headers.connection = "close";
  sendJson(res, error.status, errorBody(error, requestId), headers);
}
