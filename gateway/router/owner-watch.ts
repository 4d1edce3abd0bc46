import type { ShardId } from "../contract.ts";
import type { FleetView } from "./view.ts";

/**
 * Ends what waits for an owner that has a successor. A peer that sleeps, or whose host is gone without
 * a word, neither answers nor breaks its connections; but once a later epoch of the shard is known,
 * nothing that it might still say counts.
 */
export class OwnerWatch {
  /** Fires when the owner has a successor, or with `signal`. */
  readonly signal: AbortSignal;
  readonly #abort = new AbortController();
  readonly #client: AbortSignal;
  readonly #off: () => void;
  readonly #graceMs: number;
  #timer: NodeJS.Timeout | null = null;
  #succeeded = false;
  #spoke = false;
  #held = false;

  /**
   * `graceMs`: how long an answer that is on its way may go on after the successor is known, counted
   * from its last byte. 0 ends it at once.
   */
  constructor(
    view: Pick<FleetView, "route" | "onRoute">,
    owner: { shard: ShardId; epoch: number },
    signal: AbortSignal,
    graceMs: number,
  ) {
    this.signal = this.#abort.signal;
    this.#client = signal;
    this.#graceMs = graceMs;
    const look = () => {
      if (view.route(owner.shard).epoch > owner.epoch) this.#succeed();
    };
    this.#off = view.onRoute((shard) => {
      if (shard === owner.shard) look();
    });
    signal.addEventListener("abort", this.#gone, { once: true });
    if (signal.aborted) this.#gone();
    else look();
  }

  /** It ended because of the successor, not by the client's wish. */
  get lost(): boolean {
    return this.signal.aborted && !this.#client.aborted;
  }

  /** A part of the answer came. */
  heard(): void {
    this.#spoke = true;
  }

  /** The client is slow: that nothing comes is not the owner's silence. */
  hold(on: boolean): void {
    this.#held = on;
    if (!on) this.#spoke = true;
  }

  close(): void {
    this.#off();
    this.#client.removeEventListener("abort", this.#gone);
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
  }

  readonly #gone = () => this.#abort.abort(this.#client.reason);

  #succeed(): void {
    if (this.#succeeded) return;
    this.#succeeded = true;
    if (this.#graceMs === 0) this.#end();
    else this.#wait();
  }

  #wait(): void {
    this.#spoke = false;
    this.#timer = setTimeout(() => {
      if (this.#spoke || this.#held) this.#wait();
      else this.#end();
    }, this.#graceMs);
  }

  #end(): void {
    this.#abort.abort(new Error("the shard has another owner"));
  }
}
