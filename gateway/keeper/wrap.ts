/** Lines of a gateway that are kept to explain why it ended. */
const TAIL_LINES = 20;
const TAIL_CHARS = 500;
const LEVELS = new Set(["trace", "debug", "info", "warn", "error", "fatal"]);

/** Names of environment variables whose values must not show in logs. */
const SECRET_NAME = /TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|PRIVATE|CREDENTIAL/i;
/** Shorter values would take harmless words out of the log. */
const SECRET_MIN_CHARS = 12;

/** Turns what one gateway prints into the log's form, and remembers the end of it. */
export class OutputWrapper {
  readonly tail: string[] = [];
  readonly #base: Record<string, unknown>;
  readonly #secrets: string[];
  readonly #write: (fields: Record<string, unknown>) => void;

  constructor(
    base: { instanceId: string; shard: string; epoch: number },
    env: Record<string, string>,
    write: (fields: Record<string, unknown>) => void,
  ) {
    this.#base = base;
    this.#write = write;
    this.#secrets = Object.entries(env)
      .filter(([name, value]) => SECRET_NAME.test(name) && value.length >= SECRET_MIN_CHARS)
      .map(([, value]) => value);
  }

  line(stream: "stdout" | "stderr", text: string): void {
    let clean = text;
    for (const secret of this.#secrets) clean = clean.replaceAll(secret, "[redacted]");
    const { level, msg } = readJsonLine(clean) ?? {
      level: stream === "stderr" ? "warn" : "info",
      msg: clean,
    };
    this.tail.push(msg.slice(0, TAIL_CHARS));
    if (this.tail.length > TAIL_LINES) this.tail.shift();
    this.#write({ level, msg, ...this.#base, stream });
  }
}

/** A line that is a log entry itself: its level and text. */
function readJsonLine(line: string): { level: string; msg: string } | null {
  if (!line.startsWith("{")) return null;
  try {
    const entry = JSON.parse(line) as Record<string, unknown>;
    const msg = entry.message ?? entry.msg;
    const level = typeof entry.level === "string" ? entry.level.toLowerCase() : "info";
    if (typeof msg !== "string") return null;
    const from = typeof entry.subsystem === "string" ? `[${entry.subsystem}] ` : "";
    return { level: LEVELS.has(level) ? level : "info", msg: from + msg };
  } catch {
    return null;
  }
}
