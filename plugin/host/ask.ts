import { request as http } from "node:http";
import { request as https } from "node:https";
import { rootCertificates } from "node:tls";

export interface AskOptions {
  readonly method?: string;
  readonly token?: string;
  readonly body?: unknown;
  /** Further authorities to trust, PEM. @default none */
  readonly ca?: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export interface Answer {
  /** 0: nobody answered. */
  readonly status: number;
  /** Parsed; null when it is no JSON. */
  readonly body: unknown;
  /** What was said against it, for people; empty when it is fine. */
  readonly fault: string;
}

/**
 * Asks a fleet over HTTP or HTTPS; trusts what this machine trusts and the given authority. Throws nothing
 * but the signal's reason.
 */
export async function ask(url: URL, options: AskOptions): Promise<Answer> {
  const { method = "GET", token, body, ca, timeoutMs, signal } = options;
  const limit = AbortSignal.timeout(timeoutMs);
  const sent = body === undefined ? "" : JSON.stringify(body);
  const headers = {
    connection: "close",
    ...(token ? { authorization: `Bearer ${token}` } : {}),
    ...(sent
      ? { "content-type": "application/json", "content-length": Buffer.byteLength(sent) }
      : {}),
  };
  const send = url.protocol === "https:" ? https : http;
  try {
    return await new Promise<Answer>((resolve, reject) => {
      const request = send(
        url,
        {
          method,
          headers,
          agent: false,
          signal: AbortSignal.any([signal, limit]),
          ...(ca ? { ca: [...rootCertificates, ca] } : {}),
        },
        (response) => {
          let text = "";
          response.setEncoding("utf8");
          response.on("data", (part: string) => {
            text += part;
          });
          response.on("error", reject);
          response.on("end", () => resolve(answerOf(response.statusCode ?? 0, text)));
        },
      );
      request.on("error", reject);
      request.end(sent);
    });
  } catch (error) {
    signal.throwIfAborted();
    const why = limit.aborted
      ? `no answer within ${timeoutMs / 1_000} s`
      : (error as Error).message;
    return {
      status: 0,
      body: null,
      fault: why || (error as NodeJS.ErrnoException).code || "failed",
    };
  }
}

function answerOf(status: number, text: string): Answer {
  const body = parsed(text);
  if (status < 400) return { status, body, fault: "" };
  const said = (body as { error?: { message?: string } } | null)?.error?.message ?? text;
  return { status, body, fault: `it answered ${status}: ${said.slice(0, 300)}` };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
