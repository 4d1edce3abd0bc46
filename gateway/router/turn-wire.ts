import { TurnError, type TurnResult } from "../openclaw/port.ts";

/** One line of the answer of `POST /internal/turn`. Lines without a meaning keep the connection open. */
export type TurnLine =
  | { t: "reached" }
  | { t: "delta"; text: string }
  | { t: "done"; result: TurnResult }
  | { t: "error"; kind: TurnError["kind"]; message: string; reached: boolean }
  | { t: "alive" };

export function encodeLine(line: TurnLine): string {
  return `${JSON.stringify(line)}\n`;
}

/** Cuts a stream of bytes into lines; a character split over two chunks stays whole. */
export class LineReader {
  readonly #decoder = new TextDecoder();
  #rest = "";

  push(chunk: Uint8Array): TurnLine[] {
    this.#rest += this.#decoder.decode(chunk, { stream: true });
    const parts = this.#rest.split("\n");
    this.#rest = parts.pop() ?? "";
    return parts.filter((part) => part !== "").map((part) => JSON.parse(part) as TurnLine);
  }
}

export function errorLine(error: unknown, reached: boolean): TurnLine {
  if (error instanceof TurnError) {
    return {
      t: "error",
      kind: error.kind,
      message: error.message,
      reached: error.reached || reached,
    };
  }
  return { t: "error", kind: "lost", message: String(error), reached };
}
