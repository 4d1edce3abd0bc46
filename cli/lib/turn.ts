import { randomUUID } from "node:crypto";
import { ApiError, call, callJson } from "./api.ts";
import { CommandFailed } from "./errors.ts";
import type { FleetAccess } from "./fleet.ts";
import { serverSentEvents } from "./sse.ts";
import { say } from "./terminal.ts";

/** One question. The session is named by the caller: a question without one could not be asked again. */
export interface Question {
  /** Left out: the fleet decides. */
  agent?: string;
  session: string;
  message: string;
}

export interface Answer {
  reply: string;
  agent: string;
  session: string;
  shard: string;
  usage: unknown;
}

/** How patient a question is, milliseconds. */
export interface Patience {
  /** A turn may take ten minutes; the router itself gives up first and says so. */
  turnMs: number;
  /** A router whose process was killed is replaced within seconds. */
  routerMs: number;
  /** Between two attempts. */
  pauseMs: number;
  /** After this much silence a person wants to know why. */
  silenceMs: number;
}

export const PATIENCE: Patience = {
  turnMs: 660_000,
  routerMs: 8_000,
  pauseMs: 1_000,
  silenceMs: 5_000,
};

/** Errors that say: not now. The fleet lost nothing, and the same key asks for the same turn. */
const NOT_NOW = new Set(["no_owner", "overloaded", "in_progress"]);

/** The connection ended before the answer did: the router was lost, the turn was not. */
class Broken extends Error {
  override readonly name = "Broken";
}

/**
 * Asks until there is an answer: again under the same key when the fleet had no owner in time, when
 * its router was lost, or when the connection broke. The key makes that one turn, however often it is asked.
 * @throws CommandFailed with what the last attempt met.
 */
async function insist<T>(patience: Patience, attempt: () => Promise<T>): Promise<T> {
  const begun = performance.now();
  let lostAt: number | null = null;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      const now = performance.now();
      if (now - begun > patience.turnMs) throw error;
      if (error instanceof ApiError) {
        if (!NOT_NOW.has(error.code)) throw error;
        lostAt = null;
      } else if (error instanceof Broken) {
        lostAt = now;
      } else if (error instanceof CommandFailed) {
        // No router: a fleet that never answered is down, one that just did replaces it.
        lostAt ??= now;
        if (now - lostAt > patience.routerMs) throw error;
      } else throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, patience.pauseMs));
  }
}

/** Asks, and gives the whole answer. */
export function ask(
  access: FleetAccess,
  question: Question,
  patience: Patience = PATIENCE,
): Promise<Answer> {
  const key = randomUUID();
  return insist(patience, () =>
    callJson<Answer>(access, "/api/v1/chat", {
      as: "client",
      method: "POST",
      body: question,
      headers: { "idempotency-key": key },
      timeoutMs: patience.turnMs,
    }).catch((error: unknown) => {
      throw error instanceof CommandFailed ? error : new Broken(String(error));
    }),
  );
}

/** Prints the answer while it comes. What was printed of a turn that was lost is printed once more, whole. */
export async function printTurn(
  access: FleetAccess,
  question: Question,
  patience: Patience = PATIENCE,
): Promise<void> {
  const silence = whileSilent(access, patience);
  const key = randomUUID();
  const print = new Printer();
  try {
    await insist(patience, () => stream(access, { question, key, print, patience }, silence.heard));
  } finally {
    silence.end();
  }
}

/** What of the answer stands on the screen. */
class Printer {
  #printed = false;

  text(piece: string): void {
    process.stdout.write(piece);
    this.#printed = true;
  }

  /** The whole answer follows. */
  again(): void {
    if (!this.#printed) return;
    say("\n(a gateway or router was lost in the middle; here is the whole answer)");
    this.#printed = false;
  }

  end(): void {
    process.stdout.write("\n");
  }
}

interface Attempt {
  question: Question;
  key: string;
  print: Printer;
  patience: Patience;
}

async function stream(access: FleetAccess, attempt: Attempt, heard: () => void): Promise<void> {
  const { question, key, print, patience } = attempt;
  const response = await call(access, "/api/v1/chat/stream", {
    as: "client",
    method: "POST",
    body: question,
    headers: { "idempotency-key": key, accept: "text/event-stream" },
    timeoutMs: patience.turnMs,
  });
  if (!response.body) throw new Broken("the router sent no stream");
  print.again();
  try {
    for await (const { event, data } of serverSentEvents(response.body)) {
      heard();
      if (event === "delta") print.text((JSON.parse(data) as { text: string }).text);
      else if (event === "resumed") print.again();
      else if (event === "error") throw streamError(data, response.status);
      else if (event === "done") return print.end();
    }
  } catch (error) {
    throw error instanceof CommandFailed ? error : new Broken(String(error));
  }
  throw new Broken("the stream ended before the answer did");
}

function streamError(data: string, status: number): ApiError {
  return new ApiError(
    status,
    (JSON.parse(data) as { error: ConstructorParameters<typeof ApiError>[1] }).error,
  );
}

/**
 * Tells a person at a terminal why nothing comes: the fleet is busy with itself, or the answer takes
 * its time. Once for each silence.
 */
function whileSilent(
  access: FleetAccess,
  { silenceMs }: Patience,
): { heard: () => void; end: () => void } {
  const tell = async () => {
    const health = await callJson<{ shards: { serving: number; total: number } }>(
      access,
      "/api/v1/health",
      { as: "anyone" },
    ).catch(() => null);
    if (!health) return;
    const { serving, total } = health.shards;
    say(
      serving === total
        ? "(no answer yet: all shards serve, the agent is at work)"
        : "(no answer yet: a shard is starting anew; your question waits and is not lost)",
    );
  };
  const timer = process.stderr.isTTY ? setTimeout(() => void tell(), silenceMs) : undefined;
  return { heard: () => void timer?.refresh(), end: () => clearTimeout(timer) };
}
