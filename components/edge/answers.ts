import { ERRORS, type ErrorBody, type ErrorCode } from "../../gateway/contract.ts";

/** An answer that the front gives itself, in the form of the router's own. It cannot make request ids. */
export interface FixedAnswer {
  readonly status: number;
  readonly body: string;
}

function answer(code: ErrorCode, message: string): FixedAnswer {
  const { status, retryable } = ERRORS[code];
  const body: ErrorBody = { error: { code, message, retryable, requestId: "none" } };
  return { status, body: JSON.stringify(body) };
}

export const NO_FLEET = answer("no_fleet", "no fleet runs behind this name yet");
export const NOT_FOUND = answer("not_found", "there is nothing at this path");
export const RATE_LIMITED = answer("rate_limited", "too many requests in five minutes; slow down");
export const REFUSED = answer("forbidden", "the firewall refuses this request");
