import type { Timers } from "./timers.ts";

/** Gateways that may boot at the same time on a node: a boot takes about one core for 8 to 20 s. */
export class BootSlots {
  readonly size: number;
  #used = 0;
  readonly #waiting: (() => void)[] = [];

  /** @param cores of the node; half of them, at least one, boot at a time */
  constructor(cores: number) {
    this.size = Math.max(1, Math.floor(cores / 2));
  }

  /**
   * Calls `begin` when a slot is free, in order of asking. The returned function gives the slot back,
   * or leaves the queue; calling it again does nothing.
   */
  take(begin: () => void): () => void {
    let state: "waiting" | "holding" | "over" = "waiting";
    const enter = () => {
      state = "holding";
      this.#used += 1;
      begin();
    };
    const leave = () => {
      if (state === "holding") {
        this.#used -= 1;
        state = "over";
        this.#waiting.shift()?.();
      } else if (state === "waiting") {
        state = "over";
        const at = this.#waiting.indexOf(enter);
        if (at >= 0) this.#waiting.splice(at, 1);
      }
    };
    if (this.#used < this.size) enter();
    else this.#waiting.push(enter);
    return leave;
  }
}

/**
 * Calls `go` once, after a pause and when a slot is free; the argument gives the slot back. Returns
 * how to prevent it, or to give the slot back after it happened.
 */
export function bootAfter(
  pauseMs: number,
  deps: { timers: Timers; bootSlots: BootSlots },
  go: (giveBack: () => void) => void,
): () => void {
  let cancelled = false;
  let leave = () => {};
  const cancelPause = deps.timers.after(pauseMs, () => {
    // A slot may be had at once, before `leave` is known.
    leave = deps.bootSlots.take(() =>
      queueMicrotask(() => {
        if (!cancelled) go(leave);
      }),
    );
  });
  return () => {
    cancelled = true;
    cancelPause();
    leave();
  };
}
