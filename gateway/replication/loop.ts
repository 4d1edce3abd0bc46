import type { Clock } from "../clock.ts";
import type { Timers } from "../shard/timers.ts";
import { UNREPLICATED_AFTER_MS } from "./port.ts";
import type { Step } from "./step.ts";

/** What a loop drives; the {@link Replicator}. */
export interface Stepping {
  step(): Promise<Step>;
  lagMs(): number;
}

/** Pause between two looks at the databases, milliseconds. A look costs 25 µs a database. */
export const LOOK_EVERY_MS = 100;
/** Reading databases whole takes at most this share of the time: 1 s is followed by a pause of 9 s. */
const SHARE = 0.1;
const LONGEST_PAUSE_MS = 60_000;
/** Longest pause after a step that only sent what had changed: a lost host must not take more than about a second with it. */
const LONGEST_REST_MS = 250;
const RETRY_FROM_MS = 250;
const RETRY_TO_MS = 2_000;

/** What a pause depends on. */
export interface Stepped {
  outcome: Step["outcome"];
  tookMs: number;
  /** Failed steps in a row, this one included. */
  failures: number;
  /**
   * What this step and the one before it both spent on reading databases whole, ms: the smaller of the two. One
   * such step alone (the first of an epoch, one after a checkpoint) says nothing of the next.
   */
  wholeMs: number;
}

/**
 * How long to wait after a step. What a target or a network takes is no cost to anybody here, and waiting longer for a
 * slow one would only let more be lost with this host.
 */
export function pauseAfter({ outcome, tookMs, failures, wholeMs }: Stepped): number {
  if (outcome === "failed") return Math.min(RETRY_TO_MS, RETRY_FROM_MS * 2 ** (failures - 1));
  const nine = (1 - SHARE) / SHARE;
  const rest = Math.min(LONGEST_REST_MS, Math.max(LOOK_EVERY_MS, tookMs * nine));
  return Math.max(rest, Math.min(LONGEST_PAUSE_MS, wholeMs * nine));
}

export interface LoopOptions {
  replicator: Stepping;
  clock: Clock;
  timers: Timers;
  /** After every step. */
  onStep?: (step: Step) => void;
  /** A later owner has this shard; the loop has ended. */
  onFenced: (reason: string) => void;
}

/** Drives a replicator: one step at a time, as often as the cost of reading allows. */
export class ReplicationLoop {
  readonly #options: LoopOptions;
  #cancel: (() => void) | null = null;
  #running: Promise<void> | null = null;
  #failures = 0;
  #failingSince: number | null = null;
  /** What the last step spent on reading databases whole, ms. */
  #wholeMs = 0;
  #stopped = false;

  constructor(options: LoopOptions) {
    this.#options = options;
  }

  start(): void {
    if (!this.#stopped && !this.#running && !this.#cancel) this.#run();
  }

  /** True while nothing could be replicated for too long: shown in status, counted, alerted. */
  get unreplicated(): boolean {
    return this.#failures > 0 && this.#options.replicator.lagMs() >= UNREPLICATED_AFTER_MS;
  }

  /** Milliseconds since when no step succeeded; 0: the last one did. */
  get failingMs(): number {
    return this.#failingSince === null ? 0 : this.#options.clock.now() - this.#failingSince;
  }

  /** True when the last step failed. */
  get failing(): boolean {
    return this.#failures > 0;
  }

  /** Goes on after a {@link stop}, when the last word could not be said. */
  resume(): void {
    this.#stopped = false;
    this.start();
  }

  /** Ends after the step that is running. The replicator is then nobody's, for a last word or to be closed. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel?.();
    this.#cancel = null;
    await this.#running;
  }

  #run(): void {
    this.#running = this.#step().finally(() => {
      this.#running = null;
    });
  }

  async #step(): Promise<void> {
    const { replicator, clock, timers, onStep, onFenced } = this.#options;
    const began = clock.now();
    const step = await replicator.step();
    this.#failures = step.outcome === "failed" ? this.#failures + 1 : 0;
    this.#failingSince = step.outcome === "failed" ? (this.#failingSince ?? began) : null;
    onStep?.(step);
    if (step.outcome === "fenced") {
      this.#stopped = true;
      onFenced(step.reason ?? "a later owner has the shard");
    }
    if (this.#stopped) return;
    const wholeMs = Math.min(this.#wholeMs, step.wholeMs);
    this.#wholeMs = step.wholeMs;
    const { outcome } = step;
    const tookMs = clock.now() - began;
    const pause = pauseAfter({ outcome, tookMs, failures: this.#failures, wholeMs });
    this.#cancel = timers.after(pause, () => {
      this.#cancel = null;
      this.#run();
    });
  }
}
