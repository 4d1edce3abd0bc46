import { setTimeout as sleep } from "node:timers/promises";
import { Interrupted } from "./handler.ts";

export interface WaitOptions {
  /** For the interruption's message: "waiting for …". */
  readonly what: string;
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
  /** Pause between two looks. @default 250 */
  readonly everyMs?: number;
}

/**
 * Looks until `look` returns something, or the deadline passes (null). Throws Interrupted when the
 * signal fires; what `look` throws ends the wait.
 */
export async function waitFor<T>(
  look: () => Promise<T | null>,
  { what, deadlineMs, signal, everyMs = 250 }: WaitOptions,
): Promise<T | null> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    if (signal.aborted) throw new Interrupted(what);
    try {
      const found = await look();
      if (found !== null) return found;
    } catch (error) {
      if (signal.aborted) throw new Interrupted(what);
      throw error;
    }
    if (performance.now() >= end) return null;
    await sleep(everyMs, undefined, { signal }).catch(() => {});
  }
}

/** Waits for work that goes on by itself; throws Interrupted when the signal fires first. */
export async function unlessInterrupted<T>(
  work: Promise<T>,
  what: string,
  signal: AbortSignal,
): Promise<T> {
  const stop = Promise.withResolvers<never>();
  const abort = () => stop.reject(new Interrupted(what));
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  try {
    return await Promise.race([work, stop.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
    // Nobody waits for it any more; its failure is seen by the next run.
    work.catch(() => {});
  }
}

/**
 * Lets one at a time through, in the order of asking. After a failure nobody else gets in: a change
 * that broke one node must not reach the next.
 */
export class OneByOne {
  #last: Promise<void> = Promise.resolve();
  #broken: string | null = null;

  /** @param untouched whether a failure left `name` as it was, so that others may go on. @default never */
  async run<T>(
    name: string,
    work: () => Promise<T>,
    untouched: () => boolean = () => false,
  ): Promise<T> {
    const before = this.#last;
    let done = () => {};
    this.#last = new Promise((resolve) => {
      done = resolve;
    });
    try {
      await before;
      if (this.#broken) throw new Error(`${name} was not touched, because ${this.#broken} failed`);
      return await work();
    } catch (error) {
      if (!untouched()) this.#broken ??= name;
      throw error;
    } finally {
      done();
    }
  }
}
