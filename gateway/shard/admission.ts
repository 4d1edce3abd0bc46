import type { Clock } from "../clock.ts";
import { Drain, type DrainDeps } from "./drain.ts";
import type { Timers } from "./timers.ts";
import type { RunnerDeps } from "./types.ts";

export interface AdmissionDeps {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: RunnerDeps["log"];
  /** A drain opened or closed it. */
  readonly onChange: () => void;
}

/** Whether new work is let in to the present gateway of a shard, and the drain that may be closing it. */
export class Admission {
  readonly #deps: AdmissionDeps;
  #open = false;
  #drain: { cancel(): void } | null = null;

  constructor(deps: AdmissionDeps) {
    this.#deps = deps;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /** No drain goes on. One may have left the gateway itself closed, also when it is long over. */
  open(gateway: DrainDeps["gateway"]): void {
    this.callOff();
    this.#open = true;
    gateway.resume().catch((error: Error) => {
      this.#deps.log("warn", `OpenClaw may refuse new work for 2 min: ${error.message}`);
    });
  }

  /** At once, and no drain goes on. */
  close(): void {
    this.callOff();
    this.#open = false;
  }

  /**
   * Empties a gateway; without one nobody is served, and that is told in a later turn of the loop.
   * @param onDrained called once with the turns that still ran when time was over, unless it is called off before
   */
  drain(
    gateway: DrainDeps["gateway"] | null,
    giveUpMs: number,
    onDrained: (lostTurns: number) => void,
  ): void {
    const { clock, timers, onChange } = this.#deps;
    if (!gateway) {
      this.#drain = { cancel: timers.after(0, () => onDrained(0)) };
      return;
    }
    const drain = new Drain({
      gateway,
      clock,
      timers,
      giveUpMs,
      onAdmission: (open) => {
        if (this.#drain !== drain) return;
        this.#open = open;
        onChange();
      },
      onDrained,
    });
    this.#drain = drain;
  }

  /** Ends a drain without a word; what it had closed stays closed. */
  callOff(): void {
    this.#drain?.cancel();
    this.#drain = null;
  }
}
