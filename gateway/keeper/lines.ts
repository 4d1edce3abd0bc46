/** Longest line that is kept whole; the rest of a longer one is cut. */
const MAX_LINE_BYTES = 16 * 1024;

/** Cuts a byte stream into lines without ever holding more than one of limited length. */
export class LineSplitter {
  readonly #onLine: (line: string) => void;
  readonly #maxBytes: number;
  #parts: Buffer[] = [];
  #length = 0;

  constructor(onLine: (line: string) => void, maxBytes = MAX_LINE_BYTES) {
    this.#onLine = onLine;
    this.#maxBytes = maxBytes;
  }

  push(chunk: Buffer): void {
    let from = 0;
    for (;;) {
      const end = chunk.indexOf(10, from);
      this.#keep(chunk.subarray(from, end < 0 ? chunk.length : end));
      if (end < 0) return;
      this.flush();
      from = end + 1;
    }
  }

  /** Ends the line under way, if there is one. */
  flush(): void {
    if (this.#length > 0) {
      const text = Buffer.concat(this.#parts).toString("utf8").trimEnd();
      if (text !== "") this.#onLine(text);
    }
    this.#parts = [];
    this.#length = 0;
  }

  #keep(part: Buffer): void {
    const room = this.#maxBytes - this.#length;
    if (part.length === 0 || room <= 0) return;
    this.#parts.push(Buffer.from(part.subarray(0, room)));
    this.#length += Math.min(part.length, room);
  }
}
