/** Far longer than an event that says nothing but usage, bytes. */
const MAX_EVENT = 4_096;
const END = "\n\n";

/**
 * Takes the event that says how many tokens were used, and nothing else, out of a stream of chat completions whose
 * client did not ask for it. Whole events are passed on as they come; a long one in pieces.
 */
export class HiddenUsage {
  #held: Buffer = Buffer.alloc(0);
  /** In the midst of an event of which a piece was passed on. */
  #midst = false;

  /** What of it, and of what was held before, the client gets now. */
  push(chunk: Buffer): Buffer {
    let data = this.#held.length > 0 ? Buffer.concat([this.#held, chunk]) : chunk;
    const shown: Buffer[] = [];
    for (let end = data.indexOf(END); end >= 0; end = data.indexOf(END)) {
      const event = data.subarray(0, end + END.length);
      if (this.#midst || !saysUsageAlone(event)) shown.push(event);
      this.#midst = false;
      data = data.subarray(end + END.length);
    }
    if (this.#midst || data.length > MAX_EVENT) {
      // Its end may be cut in two.
      const keep = data.at(-1) === END.charCodeAt(0) ? 1 : 0;
      shown.push(data.subarray(0, data.length - keep));
      this.#midst = true;
      data = data.subarray(data.length - keep);
    }
    this.#held = data;
    return shown.length === 1 ? (shown[0] as Buffer) : Buffer.concat(shown);
  }

  /** What is held when the stream has ended. */
  rest(): Buffer {
    return this.#held;
  }
}

function saysUsageAlone(event: Buffer): boolean {
  if (event.length > MAX_EVENT || !event.includes('"usage"')) return false;
  try {
    const { choices, usage } = JSON.parse(event.toString().replace(/^data:/, ""));
    if (!Array.isArray(choices) || choices.length > 0) return false;
    return typeof usage === "object" && usage !== null;
  } catch {
    return false;
  }
}
