import type { Clock } from "../clock.ts";
import { RUNNER } from "./timing.ts";

/** When a gateway that ended is started again, and when it is given up. */
export class RestartPolicy {
  readonly #clock: Clock;
  readonly #random: () => number;
  /** Unplanned restarts in a row without long service between them. */
  #streak = 0;
  #failedStarts = 0;
  #servingSince: number | null = null;

  constructor(clock: Clock, random: () => number) {
    this.#clock = clock;
    this.#random = random;
  }

  /** A new epoch begins. */
  reset(): void {
    this.#streak = 0;
    this.#failedStarts = 0;
    this.#servingSince = null;
  }

  serving(): void {
    this.#servingSince = this.#clock.now();
    this.#failedStarts = 0;
  }

  /**
   * Why it is given up after it ended by itself, which counts as a failed start while it was starting; null: try
   * again. `detail` is what it said last.
   */
  whyGiveUp(exitCode: number | null, detail: string, starting: boolean): string | null {
    if (exitCode === RUNNER.hopelessExit && !RUNNER.passingFault.test(detail)) return detail;
    return starting ? this.#startFailed(detail) : null;
  }

  #startFailed(detail: string): string | null {
    this.#failedStarts += 1;
    if (this.#failedStarts < RUNNER.failedStarts) return null;
    return `${this.#failedStarts} starts failed, the last one: ${detail}`;
  }

  /** Pause before the next start. A planned one comes at once and counts for nothing. */
  pauseMs(planned: boolean): number {
    const served = this.#servingSince === null ? 0 : this.#clock.now() - this.#servingSince;
    this.#servingSince = null;
    if (served >= RUNNER.backoffResetMs) this.#streak = 0;
    if (planned) return 0;
    const steps = RUNNER.backoffMs;
    const step = steps[Math.min(this.#streak, steps.length - 1)] as number;
    this.#streak += 1;
    return step * (1 - this.#random() / 2);
  }
}
