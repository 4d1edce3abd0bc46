import { type Directives, NO_DIRECTIVES, parseDirectives } from "./directives.ts";

/** The part of an OpenAI chat message that the echo reads. */
export interface ChatMessage {
  role: string;
  /** A string, or parts of which the text ones count. */
  content?: unknown;
}

/** What one call is answered with. */
export interface Answer {
  reply: string;
  directives: Directives;
  /** The user's own words, without directives and without what OpenClaw put around them. */
  asked: string;
  /** A tool has answered since. */
  toolAnswered: boolean;
}

/** What OpenClaw puts behind a question whose turn a crash interrupted (2026.9.6, measured). */
const RECOVERY =
  /\s*\[System\] (?:Your previous turn was interrupted|Continue from the recovered transcript)[\s\S]*$/;

/** What it puts before such a question when it hands both to the model as one message. */
const REQUEUED = /^\[Queued user message from a previous active turn[^\]]*\]\s*/;

/** What OpenClaw tells a model between a user's words: no person said it (2026.9.6, measured). */
const INTERNAL =
  /<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>[\s\S]*?<<<END_OPENCLAW_INTERNAL_CONTEXT>>>/g;

/** What OpenClaw puts behind a question when it tries again after a failed call (2026.9.6, measured). */
const RETRY = /\s*\n\nContinue the current task from the existing transcript[\s\S]*$/;

/** Facts of the run that OpenClaw puts behind a user's words (2026.9.6, measured). */
const RUNTIME = /\s*\n\nRuntime: agent=[^\n]*$/;

/** `[Sat 2026-11-21 07:58 UTC] `, which OpenClaw puts before a user's words (2026.9.6, measured). */
const TIMESTAMP = /^\[[A-Z][a-z]{2} \d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)? [^\]]{1,40}\]\s*/;

/**
 * The echo of the last thing a person said. After a crash OpenClaw asks the model to go on; the
 * last real question is then behind that row, and it is that question which is answered.
 */
export function answer(messages: readonly ChatMessage[]): Answer {
  let directives = NO_DIRECTIVES;
  let asked = "";
  let toolAnswered = false;
  for (let i = messages.length - 1; i >= 0; i--) {
    const message = messages[i];
    if (message?.role === "tool") toolAnswered = true;
    if (message?.role !== "user") continue;
    const words = textOf(message.content)
      .replace(INTERNAL, "")
      .trim()
      .replace(RETRY, "")
      .replace(RUNTIME, "")
      .replace(RECOVERY, "")
      .replace(TIMESTAMP, "")
      .replace(REQUEUED, "")
      .replace(TIMESTAMP, "")
      .trim();
    if (words === "") continue;
    const parsed = parseDirectives(words);
    directives = parsed.directives;
    asked = parsed.text;
    break;
  }
  const echo = asked === "" ? "I am listening." : `You said: ${asked}`;
  return {
    reply: directives.tokens === null ? echo : pad(echo, directives.tokens),
    directives,
    asked,
    toolAnswered,
  };
}

/** A text of exactly `words` words that begins with the echo. */
function pad(echo: string, words: number): string {
  const own = echo.split(/\s+/);
  const list = own.slice(0, words);
  while (list.length < words) list.push(`word${list.length + 1}`);
  return list.join(" ");
}

/** The text of a message's content, whichever of OpenAI's two forms it has. */
export function textOf(content: unknown): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content
    .map((part: unknown) =>
      part !== null && typeof part === "object" && "text" in part && typeof part.text === "string"
        ? part.text
        : "",
    )
    .join("\n");
}

/** Tokens as this model counts them: words. Real models differ; the demo only has to add up. */
export function countTokens(text: string): number {
  return text.split(/\s+/).filter((word) => word !== "").length;
}
