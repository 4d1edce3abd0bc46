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
}

/** Row that OpenClaw puts behind a turn that a crash interrupted (2026.9.6, measured). */
const RECOVERY = /^\[System\] Your previous turn was interrupted/;

/** `[Sat 2026-11-21 07:58 UTC] `, which OpenClaw puts before a user's words (2026.9.6, measured). */
const TIMESTAMP = /^\[[A-Z][a-z]{2} \d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)? [^\]]{1,40}\]\s*/;

/**
 * The echo of the last thing a person said. After a crash OpenClaw asks the model to go on; the
 * last real question is then behind that row, and it is that question which is answered.
 */
export function answer(messages: readonly ChatMessage[]): Answer {
  let directives = NO_DIRECTIVES;
  let asked = "";
  for (let i = messages.length - 1; i >= 0; i--) {
    const message = messages[i];
    if (message?.role !== "user") continue;
    const words = textOf(message.content).trim().replace(TIMESTAMP, "");
    if (words === "" || RECOVERY.test(words)) continue;
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
