import type { ShardId } from "../contract.ts";
import type { FleetView } from "./view.ts";

/**
 * Ends what waits for an owner that has a successor. A peer that sleeps, or whose host is gone without
 * a word, neither answers nor breaks its connections; but once a later epoch of the shard is known,
 * nothing that it might still say counts. Where the peer has promised to say something now and then, it
 * also ends what waits on a path that is dead while both ends live and no later epoch ever comes.
 */
export class OwnerWatch {
  /** Fires when the owner has a successor or was silent for too long, or with `signal`. */
  readonly signal: AbortSignal;
  readonly #abort = new AbortController();
  readonly #client: AbortSignal;
  readonly #off: () => void;
  readonly #graceMs: number;
  #timer: NodeJS.Timeout | null = null;
  readonly #silence: NodeJS.Timeout | null;
  #succeeded = false;
  #spoke = false;
  #held = false;

  /**
   * `graceMs`: how long an answer that is on its way may go on after the successor is known, counted
   * from its last byte. 0 ends it at once. `silentMs`: silence that ends it without any successor;
   * null for an owner that may say nothing for as long as it works.
   */
  constructor(
    view: Pick<FleetView, "route" | "onRoute">,
    owner: { shard: ShardId; epoch: number },
    signal: AbortSignal,
    graceMs: number,
    silentMs: number | null = null,
  ) {
    this.signal = this.#abort.signal;
    this.#client = signal;
    this.#graceMs = graceMs;
    this.#silence = silentMs === null ? null : setTimeout(() => this.#end(), silentMs);
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

  /** It ended because of the owner, not by the client's wish. */
  get lost(): boolean {
    return this.signal.aborted && !this.#client.aborted;
  }

  /** A part of the answer came. */
  heard(): void {
    this.#spoke = true;
    this.#silence?.refresh();
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
    if (this.#silence) clearTimeout(this.#silence);
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
    this.#abort.abort(new Error("the owner is lost"));
  }
}
