import { writeSync } from "node:fs";
import { type Logger, pino } from "pino";

export type { Logger } from "pino";

/** Fields that every line may carry beside `time`, `level`, `msg` and `instanceId`. */
export interface LogFields {
  shard?: string;
  agent?: string;
  epoch?: number;
  requestId?: string;
}

export interface LoggerOptions {
  /** The node's id. */
  instanceId: string;
  /** @default OPENCLAW_FLEET_LOG_LEVEL, else "info" */
  level?: string;
  /** Takes whole lines. @default standard output, written at once */
  write?: (line: string) => void;
}

/**
 * JSON lines as the fleet's contract has them; `logger.child({ shard, epoch } satisfies LogFields)`
 * adds the others. Fields named like a secret and bearer tokens in text are taken out.
 */
export function createLogger(options: LoggerOptions): Logger {
  const { instanceId, write = stdoutWriter() } = options;
  return pino(
    {
      level: options.level ?? process.env.OPENCLAW_FLEET_LOG_LEVEL ?? "info",
      base: { instanceId },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: {
        level: (label) => ({ level: label }),
        bindings: (bindings) => redact(bindings) as Record<string, unknown>,
        log: (fields) => redact(fields) as Record<string, unknown>,
      },
    },
    { write: (line) => write(redactText(line)) },
  );
}

/** Writes synchronously: the last line before a crash is there. A full disk costs lines, no more. */
function stdoutWriter(): (line: string) => void {
  return (line) => {
    try {
      writeSync(1, line);
    } catch {
      // Nobody is left to tell: the log itself is what failed.
    }
  };
}

const REDACTED = "[redacted]";
const SECRET_FIELD =
  /(token|secret|password|passphrase|authorization|cookie|api[_-]?key|private[_-]?key|credential)s?$/i;
const BEARER = /\b(Bearer\s+)[A-Za-z0-9._~+/=-]{8,}/gi;
const MAX_DEPTH = 6;

/** Text without bearer tokens. */
export function redactText(text: string): string {
  return text.replace(BEARER, `$1${REDACTED}`);
}

/** The value without strings in fields named like a secret; counts of tokens are no secrets. */
export function redact(value: unknown, depth = 0): unknown {
  if (typeof value !== "object" || value === null || depth > MAX_DEPTH) return value;
  if (Array.isArray(value)) return value.map((one) => redact(one, depth + 1));
  const prototype = Object.getPrototypeOf(value);
  // Errors and other objects have serializers of their own.
  if (prototype !== Object.prototype && prototype !== null) return value;
  const clean: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(value)) {
    clean[name] = SECRET_FIELD.test(name) ? hide(field) : redact(field, depth + 1);
  }
  return clean;
}

function hide(field: unknown): unknown {
  if (typeof field === "string") return field === "" ? "" : REDACTED;
  if (Array.isArray(field)) return field.map(hide);
  return typeof field === "object" && field !== null ? REDACTED : field;
}
