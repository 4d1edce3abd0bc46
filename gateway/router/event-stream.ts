import type { ServerResponse } from "node:http";
import { FRONT } from "../contract.ts";
import { onceDrained, STALL_MS } from "./slow-client.ts";

/** What `/api/v1/chat` answers. */
export interface ChatAnswer {
  reply: string;
  agent: string;
  session: string;
  shard: string;
  usage: { input: number; output: number; total: number } | null;
}

/**
 * Server-sent events: `delta` {"text"}…, `resumed` {} (what came before is void, the whole answer
 * follows), `done` {"usage",…}, `error` {"error":…}. The head is sent with the first event, so that
 * what fails before it gets its own status.
 *
 * A client that reads slowly gets fewer and longer deltas: while its connection takes nothing, text is
 * joined here and not written, so that it is kept once. One that takes nothing for `stallMs` is cut.
 */
export class EventStream {
  readonly #res: ServerResponse;
  readonly #stallMs: number;
  /** All text of the answer so far, written or waiting. */
  #text = "";
  /** The end of `#text` that waits for the client to take what was written. */
  #waiting = "";
  #slow = false;
  #timer: NodeJS.Timeout | null = null;

  constructor(res: ServerResponse, stallMs: number = STALL_MS) {
    this.#res = res;
    this.#stallMs = stallMs;
  }

  get begun(): boolean {
    return this.#res.headersSent;
  }

  delta(text: string): void {
    this.#text += text;
    if (this.#slow) this.#waiting += text;
    else this.#event("delta", { text });
  }

  resumed(): void {
    this.#text = "";
    this.#waiting = "";
    this.#event("resumed", {});
  }

  finish(answer: ChatAnswer): void {
    if (!answer.reply.startsWith(this.#text)) this.resumed();
    const written = this.#text.length - this.#waiting.length;
    const rest = answer.reply.slice(written);
    if (rest !== "") this.#event("delta", { text: rest });
    const { usage, agent, session, shard } = answer;
    this.#event("done", { usage, agent, session, shard });
    this.#res.end();
  }

  error(body: unknown): void {
    this.#event("error", body);
    this.#res.end();
  }

  close(): void {
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
  }

  #event(name: string, data: unknown): void {
    if (this.#res.destroyed || this.#res.writableEnded) return;
    if (!this.#res.headersSent) {
      this.#res.writeHead(200, {
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-store",
        "x-accel-buffering": "no",
      });
      this.#timer = setInterval(() => {
        if (!this.#slow) this.#write(": alive\n\n");
      }, FRONT.pingMs);
    }
    this.#write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  #write(text: string): void {
    if (this.#res.destroyed || this.#res.writableEnded) return;
    if (this.#res.write(text) || this.#slow) return;
    this.#slow = true;
    onceDrained(this.#res, () => this.#drained(), this.#stallMs);
  }

  #drained(): void {
    this.#slow = false;
    const text = this.#waiting;
    this.#waiting = "";
    if (text !== "") this.#event("delta", { text });
  }
}
