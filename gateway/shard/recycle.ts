import type { ShardId } from "../contract.ts";
import type { Timers } from "./timers.ts";
import { RUNNER } from "./timing.ts";
import type { RecycleTurn } from "./types.ts";

export interface RecycleDeps {
  shard: ShardId;
  timers: Timers;
  random: () => number;
  recycleTurn: RecycleTurn;
  /** It is this gateway's turn: drain and restart it now. The turn is kept until `over`; false: it cannot be now. */
  onRecycle: (bytes: number) => boolean;
}

/** Counts memory samples of one gateway, and has it recycled once they stay above the limit and its turn has come. */
export class RecycleWatch {
  readonly #deps: RecycleDeps;
  #above = 0;
  #bytes = 0;
  #asking: AbortController | null = null;
  /** Gives the turn back. */
  #done: () => void = () => {};

  constructor(deps: RecycleDeps) {
    this.#deps = deps;
  }

  sample(bytes: number, limitMiB: number): void {
    this.#bytes = bytes;
    this.#above = bytes > limitMiB * 2 ** 20 ? this.#above + 1 : 0;
    if (this.#above >= RUNNER.memorySamples && this.#asking === null) void this.#ask();
  }

  /** A new process, or none: what was counted or asked for no longer holds. */
  reset(): void {
    this.#above = 0;
    this.#asking?.abort();
    this.#asking = null;
  }

  /** It is served again, or will not be here: the turn, if it had one, is somebody else's. */
  over(): void {
    const done = this.#done;
    this.#done = () => {};
    this.reset();
    done();
  }

  async #ask(): Promise<void> {
    const asking = new AbortController();
    this.#asking = asking;
    const jitterMs = this.#deps.random() * RUNNER.recycleJitterMs;
    await new Promise<void>((resolve) => this.#deps.timers.after(jitterMs, resolve));
    if (asking.signal.aborted) return;
    let done: () => void;
    try {
      done = await this.#deps.recycleTurn(this.#deps.shard, asking.signal);
    } catch {
      // No turn to be had now; the next samples ask again.
      if (this.#asking === asking) this.#asking = null;
      return;
    }
    if (asking.signal.aborted || this.#above < RUNNER.memorySamples) {
      // Gone, restarted, or back below the limit while it waited.
      if (this.#asking === asking) this.#asking = null;
      done();
      return;
    }
    this.#done = done;
    if (!this.#deps.onRecycle(this.#bytes)) this.over();
  }
}
