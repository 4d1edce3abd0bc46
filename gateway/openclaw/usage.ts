import type { HistoryRow } from "./history.ts";
import type { UsageEvent } from "./port.ts";

/** Kinds of tools, for a metric with a fixed set of labels. First match wins. */
const KINDS: readonly [RegExp, string][] = [
  [/^browser/, "browser"],
  [/__|^mcp[_-]/, "mcp"],
  [/^(exec|process|bash)$/, "exec"],
  [/^(read|write|edit|apply_patch|ls|find|grep)$/, "files"],
  [/^web_/, "web"],
  [/^(sessions_|subagents?$|agents_list$)/, "sessions"],
  [/^memory_/, "memory"],
  [/^(message|send)/, "message"],
];

export function toolKind(name: string): string {
  return KINDS.find(([pattern]) => pattern.test(name))?.[1] ?? "other";
}

/** Ids remembered to count a repeated event once. */
const REMEMBERED = 2_000;

/** Counts tokens and tool calls from `session.message` events, each stored answer once. */
export class UsageCounter {
  readonly #seen = new Set<string>();

  /** What an event adds; null when it adds nothing. */
  read(payload: unknown): UsageEvent | null {
    const data = payload as {
      agentId?: string;
      messageId?: string;
      message?: HistoryRow & { usage?: { cacheRead?: number; cacheWrite?: number } };
    } | null;
    const message = data?.message;
    if (!data?.agentId || message?.role !== "assistant") return null;
    const id = data.messageId ?? message.__openclaw?.id;
    if (id !== undefined) {
      if (this.#seen.has(id)) return null;
      this.#seen.add(id);
      if (this.#seen.size > REMEMBERED) {
        for (const oldest of this.#seen) {
          this.#seen.delete(oldest);
          break;
        }
      }
    }
    const event: UsageEvent = { agent: data.agentId };
    const { usage } = message;
    if (usage?.input) event.input = usage.input;
    if (usage?.output) event.output = usage.output;
    if (usage?.cacheRead) event.cacheRead = usage.cacheRead;
    if (usage?.cacheWrite) event.cacheWrite = usage.cacheWrite;
    const tools = toolCalls(message.content);
    if (tools.length > 0) event.toolCalls = tools;
    return Object.keys(event).length > 1 ? event : null;
  }
}

function toolCalls(content: unknown): { kind: string; count: number }[] {
  if (!Array.isArray(content)) return [];
  const counts = new Map<string, number>();
  for (const part of content as ({ type?: unknown; name?: unknown } | null)[]) {
    if (part?.type !== "toolCall" || typeof part.name !== "string") continue;
    const kind = toolKind(part.name);
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return [...counts].map(([kind, count]) => ({ kind, count }));
}
