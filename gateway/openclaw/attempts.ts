import { isContention } from "./history.ts";
import type { Patience } from "./patience.ts";
import { TurnError } from "./port.ts";

/** Answer of `agent.wait`; without `startedAt` an ended run ended before it began. */
export interface RunState {
  status?: string;
  startedAt?: number;
  /** `stop`: the run came to its own end. */
  stopReason?: string;
  error?: string;
}

/** Pause before a turn is sent again: the first, doubling up to the last, ms. */
const AGAIN_FIRST_MS = 250;
const AGAIN_LAST_MS = 4_000;
/** OpenClaw's words for a key whose place in a queue a crash ended. */
const QUEUE_LOST = /Pending input ownership ended/;

/** How one turn's attempts on one gateway ended so far. */
export class Attempts {
  readonly #burnt = new Set<string>();
  #ended: TurnError | null = null;

  /** Keys under which nothing was begun and which OpenClaw does not take again. */
  get burnt(): ReadonlySet<string> {
    return this.#burnt;
  }

  /** A run that had begun ended with this; the transcript may have its answer all the same. */
  get ended(): TurnError | null {
    return this.#ended;
  }

  end(error: TurnError): void {
    this.#ended = error;
  }

  /** OpenClaw's storage was busy for too long. `spoke`: the model was heard. */
  broken(key: string, run: RunState, spoke: boolean, message: string): void {
    // What had begun is not begun a second time: its tools may have done something.
    if (spoke || run.startedAt !== undefined) this.end(new TurnError("failed", message, true));
    else this.#burnt.add(key);
  }

  /** A `chat.send` was refused with this message. True: for what its run is, not for being busy. */
  refused(key: string, message: string, run: RunState): boolean {
    if (QUEUE_LOST.test(message)) this.#burnt.add(key);
    else if (run.status === "error" && isContention(run.error ?? "")) {
      this.broken(key, run, false, run.error ?? message);
    } else return false;
    return true;
  }

  /** Lets OpenClaw come to rest after the n-th attempt (from 0); longer after each. */
  async pause(patience: Patience, attempt: number): Promise<void> {
    const ms = Math.min(AGAIN_FIRST_MS * 2 ** attempt, AGAIN_LAST_MS);
    const end = await patience.race(new Promise<never>(() => {}), ms);
    if (end.why === "cancelled") throw new TurnError("aborted", "the turn was cancelled", true);
  }

  tooOften(): TurnError {
    return new TurnError("failed", "OpenClaw dropped the turn again and again", true);
  }
}
