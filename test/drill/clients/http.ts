import { FRONT_ERRORS } from "../../../components/front/plan.ts";
import { HEADER } from "../../../gateway/contract.ts";
import { readEvents } from "./sse.ts";
import {
  type Answer,
  type Call,
  FrontLost,
  LostConnection,
  NotTaken,
  Refusal,
  type Target,
} from "./types.ts";

/** Where an answer came from, by its headers. */
function origin(response: Response): Pick<Answer, "shard" | "epoch" | "node"> {
  const epoch = response.headers.get(HEADER.epoch);
  // A stored answer comes with the epoch that it was given under, which may be over.
  const stored = response.headers.has("idempotency-replayed");
  return {
    shard: response.headers.get(HEADER.shard) || null,
    epoch: stored || epoch === null || epoch === "" ? null : Number(epoch),
    node: response.headers.get(HEADER.instance),
  };
}

async function post(
  target: Target,
  path: string,
  body: object,
  call: Call,
  headers: Record<string, string> = {},
): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(target.endpoint + path, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        authorization: `Bearer ${target.token}`,
        ...headers,
      },
      body: JSON.stringify(body),
      signal: call.signal,
    });
  } catch (error) {
    throw lost(error, call);
  }
  if (response.ok) return response;
  const text = await response.text().catch(() => "");
  const no = refusal(response.status, text);
  // A balancer's answer says no instance; Nginx and Caddy say their host, in words that no router has.
  const front = response.headers.get(HEADER.instance) === null || no.message === wordsOf(no.status);
  throw front ? byFront(no) : no;
}

const wordsOf = (status: number | null): string | undefined => FRONT_ERRORS[status ?? 0]?.message;

function refusal(status: number, text: string): Refusal {
  try {
    const { error } = JSON.parse(text) as {
      error?: { code?: unknown; message?: unknown; type?: unknown };
    };
    const message = String(error?.message ?? "");
    if (typeof error?.code === "string") return new Refusal(error.code, status, message);
    // OpenClaw's own words, passed through on the routes of its API.
    if (error?.type === "api_error") return new Refusal("gateway_error", status, message);
  } catch {
    // Not an error of the fleet's; the text is shown as it is.
  }
  return new Refusal(`http_${status}`, status, text.slice(0, 200));
}

/**
 * What a front says itself, which no router answered behind: it lost the router in the middle of the
 * request (502), or had none to give it to (503). People with a key send it again then, as after a lost
 * connection.
 */
function byFront(no: Refusal): Refusal | LostConnection {
  const words = `the front: ${no.message}`;
  if (no.status === 503) return new NotTaken(words);
  return no.status === 502 ? new FrontLost(no, words) : no;
}

/** Network errors become LostConnection; the caller's own abort stays what it is. */
function lost(error: unknown, call: Call): unknown {
  if (call.signal.aborted) return call.signal.reason;
  if (error instanceof Refusal) return error;
  const cause = (error as { cause?: { code?: string } }).cause?.code;
  return new LostConnection(cause ?? (error as Error).message);
}

const keyOf = (call: Call): Record<string, string> =>
  call.key === null ? {} : { [HEADER.idempotencyKey]: call.key };

export async function chat(target: Target, call: Call): Promise<Answer> {
  const { agent, session, message } = call;
  const body = { agent, session, message };
  const response = await post(target, "/api/v1/chat", body, call, keyOf(call));
  try {
    const { reply } = (await response.json()) as { reply?: unknown };
    return { reply: String(reply ?? ""), ...origin(response) };
  } catch (error) {
    throw lost(error, call);
  }
}

/** Server-sent events to their `done`; a stream that ends without one is a lost connection. */
export async function stream(target: Target, call: Call): Promise<Answer> {
  const { agent, session, message } = call;
  const body = { agent, session, message };
  const response = await post(target, "/api/v1/chat/stream", body, call, keyOf(call));
  let reply = "";
  try {
    for await (const { event, data } of readEvents(response.body)) {
      if (event === "resumed") reply = "";
      if (event === "delta") reply += String((JSON.parse(data) as { text?: unknown }).text ?? "");
      if (event === "error") throw refusal(response.status, data);
      // The headers name the owner the stream began with, which after `resumed` is not who answered.
      if (event === "done") return { reply, ...origin(response), epoch: null };
    }
  } catch (error) {
    throw lost(error, call);
  }
  throw new LostConnection("the stream ended without `done`");
}

export async function completion(target: Target, call: Call): Promise<Answer> {
  const response = await post(target, "/v1/chat/completions", openAi(call, false), call);
  try {
    const { choices } = (await response.json()) as {
      choices?: { message?: { content?: unknown } }[];
    };
    return { reply: String(choices?.[0]?.message?.content ?? ""), ...origin(response) };
  } catch (error) {
    throw lost(error, call);
  }
}

export async function completionStream(target: Target, call: Call): Promise<Answer> {
  const response = await post(target, "/v1/chat/completions", openAi(call, true), call);
  let reply = "";
  try {
    for await (const { data } of readEvents(response.body)) {
      if (data === "[DONE]") return { reply, ...origin(response) };
      const chunk = JSON.parse(data) as {
        error?: unknown;
        choices?: { delta?: { content?: unknown } }[];
      };
      if (chunk.error) throw refusal(response.status, data);
      const content = chunk.choices?.[0]?.delta?.content;
      if (typeof content === "string") reply += content;
    }
  } catch (error) {
    throw lost(error, call);
  }
  throw new LostConnection("the stream ended without [DONE]");
}

const openAi = (call: Call, streaming: boolean) => ({
  model: `openclaw/${call.agent}`,
  user: call.session,
  stream: streaming,
  messages: [{ role: "user", content: call.message }],
});
