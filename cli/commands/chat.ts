import { randomUUID } from "node:crypto";
import { createInterface } from "node:readline/promises";
import type { Command } from "commander";
import { call, callJson } from "../lib/api.ts";
import { CommandFailed, UsageError } from "../lib/errors.ts";
import { type FleetAccess, fleetAccess } from "../lib/fleet.ts";
import { withJson, withStack } from "../lib/options.ts";
import { serverSentEvents } from "../lib/sse.ts";
import { say } from "../lib/terminal.ts";

interface Options {
  stack: string;
  json?: boolean;
  agent: string;
  session?: string;
}

interface Answer {
  reply: string;
  agent: string;
  session: string;
  shard: string;
  usage: unknown;
}

/** A turn may take ten minutes; the router itself gives up first and says so. */
const TURN_TIMEOUT_MS = 660_000;

/** After this much silence a person wants to know why. */
const SILENCE_MS = 5_000;

/**
 * Tells a person at a terminal once why nothing comes: the fleet is busy with itself, or the answer
 * takes its time. Returns what to call at each sign of life.
 */
function whileSilent(access: FleetAccess): { heard: () => void; end: () => void } {
  const tell = async () => {
    const health = await callJson<{ shards: { serving: number; total: number } }>(
      access,
      "/api/v1/health",
      { as: "anyone" },
    ).catch(() => null);
    const { serving, total } = health?.shards ?? { serving: 0, total: 0 };
    say(
      health !== null && serving === total
        ? "(no answer yet; all shards serve, so the agent is at work)"
        : "(no answer yet; a shard is starting anew, your question waits and is not lost)",
    );
  };
  const timer = process.stderr.isTTY ? setTimeout(() => void tell(), SILENCE_MS) : undefined;
  return { heard: () => timer?.refresh(), end: () => clearTimeout(timer) };
}

/** Prints the answer while it comes. A resumed stream repeats the whole answer, so it starts anew. */
async function stream(access: FleetAccess, body: object): Promise<void> {
  const silence = whileSilent(access);
  try {
    await printStream(access, body, silence.heard);
  } finally {
    silence.end();
  }
}

async function printStream(access: FleetAccess, body: object, heard: () => void): Promise<void> {
  const response = await call(access, "/api/v1/chat/stream", {
    as: "client",
    method: "POST",
    body,
    headers: { "idempotency-key": randomUUID(), accept: "text/event-stream" },
    timeoutMs: TURN_TIMEOUT_MS,
  });
  if (!response.body) throw new CommandFailed("The router sent no stream");
  let printed = false;
  for await (const { event, data } of serverSentEvents(response.body)) {
    heard();
    if (event === "delta") {
      process.stdout.write((JSON.parse(data) as { text: string }).text);
      printed = true;
    } else if (event === "resumed") {
      say(`${printed ? "\n" : ""}(the gateway was lost in the middle; here is the whole answer)`);
      printed = false;
    } else if (event === "error") {
      const { error } = JSON.parse(data) as { error: { message: string; code: string } };
      throw new CommandFailed(`${printed ? "\n" : ""}${error.message}`, error.code);
    } else if (event === "done") {
      process.stdout.write("\n");
      return;
    }
  }
  throw new CommandFailed("The stream ended before the answer did", undefined, "ask again");
}

async function turn(access: FleetAccess, options: Options, message: string): Promise<void> {
  const body = {
    agent: options.agent,
    message,
    ...(options.session === undefined ? {} : { session: options.session }),
  };
  if (options.json) {
    const answer = await callJson<Answer>(access, "/api/v1/chat", {
      as: "client",
      method: "POST",
      body,
      headers: { "idempotency-key": randomUUID() },
      timeoutMs: TURN_TIMEOUT_MS,
    });
    process.stdout.write(`${JSON.stringify(answer, null, 2)}\n`);
    return;
  }
  await stream(access, body);
}

/** Without a text and at a terminal: one line, one turn, until end of input. */
async function converse(access: FleetAccess, options: Options): Promise<void> {
  const session = options.session ?? `cli-${randomUUID().slice(0, 8)}`;
  say(`Talking to ${options.agent} in session ${session}. An empty line or Ctrl-D ends it.`);
  const lines = createInterface({ input: process.stdin, output: process.stderr, prompt: "> " });
  lines.prompt();
  for await (const line of lines) {
    if (line.trim() === "") break;
    await turn(access, { ...options, session }, line);
    lines.prompt();
  }
  lines.close();
}

export function register(program: Command): void {
  withJson(withStack(program.command("chat")))
    .summary("talk to an agent")
    .argument("[text...]", "what to say; without it, a conversation at the terminal")
    .option("-a, --agent <name>", "the agent to talk to", "main")
    .option("--session <name>", "go on in this conversation")
    .addHelpText(
      "after",
      '\nExamples:\n  ./fleet chat "what can you do?"\n  ./fleet chat --agent support --session alice "and my invoice?"',
    )
    .action(async (words: string[], options: Options) => {
      const access = fleetAccess(options.stack);
      if (words.length > 0) return turn(access, options, words.join(" "));
      if (!process.stdin.isTTY) {
        throw new UsageError("chat wants a text when there is no terminal: ./fleet chat TEXT");
      }
      await converse(access, options);
    });
}
