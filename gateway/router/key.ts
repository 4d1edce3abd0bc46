import { createHash, randomUUID } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { HEADER } from "../contract.ts";
import { RouterError } from "./errors.ts";

/** Whom a request talks to, before the fleet's settings are asked. Both names are lower-cased. */
export interface RequestKey {
  agent: string;
  session: string;
  /** True when the client named no conversation and a new id was made for it. */
  fresh: boolean;
}

export const DEFAULT_AGENT = "main";

const AGENT = /^[a-z0-9][a-z0-9_-]{0,63}$/;
/** OpenClaw takes any text; spaces and control characters would break headers and logs. */
const SESSION = /^[a-z0-9][a-z0-9_.:@+=/|~-]{0,199}$/;
/** OpenClaw's own namespaces: sub-agents, cron jobs, agent protocol. */
const RESERVED = /^(subagent|cron|acp):/;

/** Agent out of OpenClaw's forms of `model`; null when the model names no agent. */
export function agentOfModel(model: unknown): string | null {
  if (typeof model !== "string") return null;
  const match = /^(?:openclaw[/:]|agent:)(.+)$/i.exec(model);
  const name = match?.[1]?.toLowerCase();
  return name === undefined || name === "default" ? null : name;
}

function agentName(value: string, where: string): string {
  const name = value.trim().toLowerCase();
  if (!AGENT.test(name)) {
    throw new RouterError(
      "bad_request",
      `${where} is "${value.slice(0, 80)}", which is no agent name (a-z, 0-9, _ and -, at most 64)`,
    );
  }
  return name;
}

function sessionName(value: string, agent: string): string {
  let name = value.trim().toLowerCase();
  if (name.startsWith("agent:")) {
    const own = `agent:${agent}:`;
    if (!name.startsWith(own)) {
      throw new RouterError(
        "bad_request",
        `session "${name.slice(0, 80)}" belongs to another agent than "${agent}"; name that agent`,
      );
    }
    name = name.slice(own.length);
  }
  if (!SESSION.test(name)) {
    throw new RouterError(
      "bad_request",
      `session "${value.slice(0, 80)}" must start with a letter or digit and hold only letters, digits and _.:@+=/|~- (at most 200)`,
    );
  }
  if (RESERVED.test(name)) {
    throw new RouterError(
      "bad_request",
      `session "${name.slice(0, 80)}" is in a namespace that OpenClaw keeps for itself (subagent:, cron:, acp:)`,
    );
  }
  return name;
}

/** OpenAI's `user` may be any text; what cannot be a name becomes a stable one. */
function sessionOfUser(user: string, agent: string): string {
  const lower = user.trim().toLowerCase();
  if (SESSION.test(lower) || lower.startsWith("agent:")) return sessionName(lower, agent);
  return `user-${createHash("sha256").update(lower).digest("hex").slice(0, 32)}`;
}

export interface KeySource {
  headers: IncomingHttpHeaders;
  /** From `/agents/<agent>/…`, as in the path; null without it. */
  pathAgent: string | null;
  /** From the query or the JSON body, in the route's own field. */
  agent?: unknown;
  session?: unknown;
  /** OpenAI's fields. */
  model?: unknown;
  user?: unknown;
  /** Makes the id of a new conversation. @default a random UUID */
  newSession?: () => string;
}

/** The key of a request. Header before path before the route's field before `model`. */
export function requestKey(source: KeySource): RequestKey {
  const header = single(source.headers, HEADER.agent);
  const field = text(source.agent, "agent");
  const model = agentOfModel(source.model);
  const agent = header
    ? agentName(header, `header ${HEADER.agent}`)
    : source.pathAgent !== null
      ? agentName(source.pathAgent, "the agent in the path")
      : field !== undefined
        ? agentName(field, `"agent"`)
        : model !== null
          ? agentName(model, `the agent in "model"`)
          : DEFAULT_AGENT;
  const given = single(source.headers, HEADER.session) ?? text(source.session, "session");
  if (given) return { agent, session: sessionName(given, agent), fresh: false };
  const user = text(source.user, "user");
  if (user?.trim()) return { agent, session: sessionOfUser(user, agent), fresh: false };
  return { agent, session: (source.newSession ?? randomUUID)(), fresh: true };
}

/** OpenClaw's full name of a conversation. */
export function sessionKey(agent: string, session: string): string {
  return `agent:${agent}:${session}`;
}

function single(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return typeof value === "string" && value.trim() !== "" ? value : undefined;
}

function text(value: unknown, field: string): string | undefined {
  if (value === undefined || value === null || value === "") return undefined;
  if (typeof value === "string") return value;
  throw new RouterError("bad_request", `"${field}" must be a string`);
}
