/**
 * Controls that a message may carry for the demo model, in double square brackets anywhere in its
 * text: `[[delay=2000]]`, `[[tokens=200]]`, `[[fail=500]]`, `[[run=some-key]]`, `[[tool=name]]`.
 * They let a person (and every test) try slow, long, failing and tool-calling answers without a
 * model server that can be configured.
 */
export interface Directives {
  /** Milliseconds from request to the last byte; a stream spreads its chunks over them. */
  delayMs: number;
  /** Words in the answer; null: the echo as it is. */
  tokens: number | null;
  /** HTTP status to fail with; null: answer. */
  fail: number | null;
  /** A name by which a test recognises the call; null when the message has none. */
  run: string | null;
  /** Tool to call once before the answer; null: none. */
  tool: string | null;
}

export const NO_DIRECTIVES: Directives = {
  delayMs: 0,
  tokens: null,
  fail: null,
  run: null,
  tool: null,
};

/** Longest delay a message may ask for: an hour. */
const MAX_DELAY_MS = 3_600_000;
/** Longest answer a message may ask for. */
const MAX_TOKENS = 20_000;

const PATTERN = /\[\[(delay|tokens|fail|run|tool)=([A-Za-z0-9_.:-]{1,128})\]\]/g;

/** The directives of a text and the text without them. Values out of range are left in the text. */
export function parseDirectives(text: string): { directives: Directives; text: string } {
  const directives = { ...NO_DIRECTIVES };
  const rest = text.replace(PATTERN, (whole, name: string, value: string) => {
    if (name === "run") directives.run = value;
    else if (name === "tool") directives.tool = value;
    else {
      const number = Number(value);
      if (!Number.isSafeInteger(number) || number < 0) return whole;
      if (name === "delay") directives.delayMs = Math.min(number, MAX_DELAY_MS);
      else if (name === "tokens") directives.tokens = Math.min(number, MAX_TOKENS);
      else if (number >= 400 && number <= 599) directives.fail = number;
      else return whole;
    }
    return "";
  });
  return { directives, text: rest.replace(/[ \t]{2,}/g, " ").trim() };
}
