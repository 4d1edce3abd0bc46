import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { endpoint } from "../address.ts";
import { type Answer, answer, type ChatMessage, countTokens, textOf } from "./answer.ts";

/** Provider and model name of the demo model in OpenClaw's terms: `demo/echo`. */
export const DEMO_MODEL = { provider: "demo", model: "echo" } as const;

/** One call to the model, as a recording sees it: once when it begins and once when it ends. */
export interface ModelCall {
  id: string;
  /** Milliseconds since the epoch. */
  startedAt: number;
  /** Null while it runs. */
  endedAt: number | null;
  /** Null while it runs; `aborted`: the caller went away before the answer was complete. */
  outcome: "answered" | "failed" | "aborted" | null;
  /** The message's `[[run=…]]`, or null. */
  runKey: string | null;
  /** What the person said, without directives. */
  text: string;
}

export interface DemoModelOptions {
  /** @default "127.0.0.1" */
  host?: string;
  /** 0 lets the kernel choose. @default 0 */
  port?: number;
  /** Least delay of every answer, milliseconds. @default 0 */
  delayMs?: number;
  /** Sees every call twice: begun (before any byte is sent) and ended. */
  onCall?: (call: ModelCall) => void;
  /** Sees every request body as it came; for tests. */
  onRequest?: (body: Record<string, unknown>) => void;
}

export interface DemoModel {
  /** Base URL as OpenClaw's provider wants it, ending in `/v1`. */
  url: string;
  port: number;
  /** Stops listening and ends running calls. */
  close(): Promise<void>;
}

/** Longest request body: a long context is a few megabytes. */
const MAX_BODY_BYTES = 64 * 2 ** 20;
/** Pieces per second of a delayed stream; each is one or more words. */
const PIECES_PER_SECOND = 10;

/** An OpenAI-compatible model that echoes, for trying things without a key or a network. */
export async function startDemoModel(options: DemoModelOptions = {}): Promise<DemoModel> {
  const server = createServer((request, response) => {
    handle(request, response, options).catch(() => response.destroy());
  });
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, options.host ?? "127.0.0.1", () => {
      server.off("error", reject);
      resolve();
    });
  });
  const { address, port } = server.address() as AddressInfo;
  return {
    url: `http://${endpoint(address, port)}/v1`,
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function handle(
  request: IncomingMessage,
  response: ServerResponse,
  options: DemoModelOptions,
): Promise<void> {
  const path = (request.url ?? "").split("?", 1)[0];
  if (request.method === "GET" && path === "/v1/models") {
    const model = { id: DEMO_MODEL.model, object: "model", created: 0, owned_by: "demo" };
    return json(response, 200, { object: "list", data: [model] });
  }
  if (request.method !== "POST" || path !== "/v1/chat/completions") {
    return fail(response, 404, `the demo model has no ${request.method} ${path}`);
  }
  const body = await readJson(request);
  if (body === null || !Array.isArray(body.messages)) {
    return fail(response, 400, "expected a JSON object with `messages`");
  }
  options.onRequest?.(body);
  await complete(response, body, options);
}

async function complete(
  response: ServerResponse,
  body: Record<string, unknown>,
  options: DemoModelOptions,
): Promise<void> {
  const messages = body.messages as ChatMessage[];
  const given = answer(messages);
  const call: ModelCall = {
    id: randomUUID(),
    startedAt: Date.now(),
    endedAt: null,
    outcome: null,
    runKey: given.directives.run,
    text: given.asked,
  };
  const gone = new AbortController();
  // `close` without `finished`: the caller left before the answer was complete.
  response.once("close", () => {
    if (!response.writableFinished) gone.abort();
    call.endedAt = Date.now();
    call.outcome = gone.signal.aborted
      ? "aborted"
      : response.statusCode < 400
        ? "answered"
        : "failed";
    options.onCall?.({ ...call });
  });
  options.onCall?.({ ...call });

  const delayMs = Math.max(options.delayMs ?? 0, given.directives.delayMs);
  if (given.directives.fail !== null) {
    await pause(delayMs, gone.signal);
    if (gone.signal.aborted) return;
    return fail(response, given.directives.fail, "failed as the message asked");
  }
  const tool = toolToCall(given, body.tools);
  const usage = usageOf(messages, given.reply);
  if (body.stream === true) {
    await stream(response, { reply: given.reply, tool, usage, delayMs, gone: gone.signal, body });
    return;
  }
  await pause(delayMs, gone.signal);
  if (gone.signal.aborted) return;
  const message = tool
    ? { role: "assistant", content: null, tool_calls: [toolCall(tool)] }
    : { role: "assistant", content: given.reply };
  json(response, 200, {
    ...envelope("chat.completion"),
    choices: [{ index: 0, message, finish_reason: tool ? "tool_calls" : "stop" }],
    usage,
  });
}

async function stream(
  response: ServerResponse,
  job: {
    reply: string;
    tool: string | null;
    usage: object;
    delayMs: number;
    gone: AbortSignal;
    body: Record<string, unknown>;
  },
): Promise<void> {
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
  const base = envelope("chat.completion.chunk");
  const send = (delta: object, finish: string | null) =>
    response.write(
      `data: ${JSON.stringify({ ...base, choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`,
    );
  send({ role: "assistant", content: "" }, null);
  if (job.tool) {
    await pause(job.delayMs, job.gone);
    if (job.gone.aborted) return;
    send({ tool_calls: [{ index: 0, ...toolCall(job.tool) }] }, null);
    send({}, "tool_calls");
  } else {
    const pieces = split(
      job.reply,
      Math.max(1, Math.ceil((job.delayMs / 1000) * PIECES_PER_SECOND)),
    );
    for (const piece of pieces) {
      await pause(job.delayMs / pieces.length, job.gone);
      if (job.gone.aborted) return;
      send({ content: piece }, null);
    }
    send({}, "stop");
  }
  const options = job.body.stream_options;
  if (options !== null && typeof options === "object" && "include_usage" in options) {
    response.write(`data: ${JSON.stringify({ ...base, choices: [], usage: job.usage })}\n\n`);
  }
  response.end("data: [DONE]\n\n");
}

/** The tool a message asks for, unless it was already called in this turn or is not offered. */
function toolToCall(given: Answer, tools: unknown): string | null {
  const wanted = given.directives.tool;
  if (wanted === null || given.toolAnswered || !Array.isArray(tools)) return null;
  const offered = tools.some(
    (tool: { function?: { name?: unknown } } | null) => tool?.function?.name === wanted,
  );
  return offered ? wanted : null;
}

function toolCall(name: string) {
  return { id: `call_${randomUUID()}`, type: "function", function: { name, arguments: "{}" } };
}

/** Cuts a text between words into at most `count` pieces that join to the text again. */
function split(text: string, count: number): string[] {
  const words = text.match(/\s*\S+|\s+$/g) ?? [];
  const pieces: string[] = [];
  for (let i = 0; i < count; i++) {
    const from = Math.floor((words.length * i) / count);
    const to = Math.floor((words.length * (i + 1)) / count);
    pieces.push(words.slice(from, to).join(""));
  }
  return pieces.filter((piece, i) => piece !== "" || i === pieces.length - 1);
}

function usageOf(messages: readonly ChatMessage[], reply: string) {
  const prompt = messages.reduce((sum, message) => sum + countTokens(textOf(message.content)), 0);
  const completion = countTokens(reply);
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
  };
}

function envelope(object: string) {
  return {
    id: `chatcmpl-${randomUUID()}`,
    object,
    created: Math.floor(Date.now() / 1000),
    model: DEMO_MODEL.model,
  };
}

async function readJson(request: IncomingMessage): Promise<Record<string, unknown> | null> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) return null;
    chunks.push(chunk);
  }
  try {
    const value: unknown = JSON.parse(Buffer.concat(chunks).toString("utf8"));
    return value !== null && typeof value === "object" ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

function json(response: ServerResponse, status: number, value: unknown): void {
  const text = JSON.stringify(value);
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(text),
  });
  response.end(text);
}

function fail(response: ServerResponse, status: number, message: string): void {
  json(response, status, { error: { message, type: "demo_model_error", code: null } });
}

/** Waits, or returns early once the signal fires. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms <= 0 || signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}
