import type { CanaryConfig } from "./config.ts";
import type { CanaryFailure } from "./metrics.ts";

export type Outcome =
  | { readonly kind: "answered"; readonly shard: string | null }
  | { readonly kind: "failed"; readonly reason: CanaryFailure; readonly detail: string };

/**
 * Its conversation of now: a new one each hour. One for ever would carry a longer history to the model
 * with each message, and would see one shard only; OpenClaw itself forgets old ones.
 */
export function sessionAt(time: Date): string {
  return `canary-${time.toISOString().slice(0, 13).replace("T", "-")}`;
}

/** One message through the front door, and whether an answer came. Never throws. */
export async function ask(
  endpoint: string,
  config: Pick<CanaryConfig, "token" | "agent" | "message" | "timeoutMs">,
  session: string,
): Promise<Outcome> {
  const failed = (reason: CanaryFailure, detail: string): Outcome => ({
    kind: "failed",
    reason,
    detail,
  });
  try {
    const response = await fetch(new URL("/api/v1/chat", endpoint), {
      method: "POST",
      headers: { authorization: `Bearer ${config.token}`, "content-type": "application/json" },
      body: JSON.stringify({ agent: config.agent, session, message: config.message }),
      // A redirect would hand the token to another address.
      redirect: "error",
      signal: AbortSignal.timeout(config.timeoutMs),
    });
    const body = await response.text();
    if (response.status !== 200) return failed("status", `${response.status} ${codeIn(body)}`);
    if (!hasReply(body)) return failed("empty", "200 without a reply");
    return { kind: "answered", shard: response.headers.get("x-openclaw-shard") };
  } catch (error) {
    const { name, message, cause } = error as Error & { cause?: Error };
    if (name === "TimeoutError") return failed("timeout", `nothing within ${config.timeoutMs} ms`);
    return failed("unreachable", cause?.message ?? message);
  }
}

/** The code of the fleet's own errors; another program's page says nothing that is worth a line. */
function codeIn(body: string): string {
  const error = (parse(body) as { error?: { code?: unknown } } | null)?.error;
  return typeof error?.code === "string" ? error.code : "";
}

function hasReply(body: string): boolean {
  const reply = (parse(body) as { reply?: unknown } | null)?.reply;
  return typeof reply === "string" && reply.trim() !== "";
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
