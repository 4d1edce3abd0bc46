/** A `usage` object is the end of an answer, or of its last event. */
const TAIL_CHARS = 4_096;

/** Reads the tokens out of an answer of the OpenAI-compatible API while it passes, without keeping it. */
export class UsageTail {
  #tail = "";

  push(chunk: Buffer): void {
    // A sign that was cut in two spoils one letter of a text, never a number.
    const text = chunk.toString("latin1", Math.max(0, chunk.length - TAIL_CHARS));
    this.#tail = (this.#tail + text).slice(-TAIL_CHARS);
  }

  /** Tokens of prompt and answer; 0 when it does not say (a stream without `include_usage`). */
  tokens(): number {
    const last = (name: string) => {
      const found = [...this.#tail.matchAll(new RegExp(`"${name}"\\s*:\\s*(\\d{1,12})`, "g"))];
      return Number(found.at(-1)?.[1] ?? 0);
    };
    // Chat completions, and responses.
    return (
      last("prompt_tokens") + last("completion_tokens") ||
      last("input_tokens") + last("output_tokens")
    );
  }
}
