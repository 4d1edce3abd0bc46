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
/** Replication takes at most this share of the time: a step of 20 ms is followed by a pause of 180 ms. */
const SHARE = 0.1;
const LONGEST_PAUSE_MS = 60_000;
const RETRY_FROM_MS = 250;
const RETRY_TO_MS = 10_000;

/** How long to wait after a step. `failures`: failed steps in a row, this one included. */
export function pauseAfter(step: Step["outcome"], tookMs: number, failures: number): number {
  if (step === "failed") return Math.min(RETRY_TO_MS, RETRY_FROM_MS * 2 ** (failures - 1));
  const rest = (tookMs * (1 - SHARE)) / SHARE;
  return Math.min(LONGEST_PAUSE_MS, Math.max(LOOK_EVERY_MS, rest));
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

/** Drives a replicator: one step at a time, as often as its cost allows. */
export class ReplicationLoop {
  readonly #options: LoopOptions;
  #cancel: (() => void) | null = null;
  #running: Promise<void> | null = null;
  #failures = 0;
  #failingSince: number | null = null;
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
    const pause = pauseAfter(step.outcome, clock.now() - began, this.#failures);
    this.#cancel = timers.after(pause, () => {
      this.#cancel = null;
      this.#run();
    });
  }
}
