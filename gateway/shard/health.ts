import type { Clock } from "../clock.ts";
import type { Timers } from "./timers.ts";
import { RUNNER } from "./timing.ts";
import type { ProbeResult } from "./types.ts";

/** One probe that ends in time. */
export function timedProbe(
  probe: () => Promise<ProbeResult>,
  timers: Timers,
  timeoutMs: number,
): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const cancel = timers.after(timeoutMs, () => resolve("down"));
    const end = (result: ProbeResult) => {
      cancel();
      resolve(result);
    };
    probe().then(end, () => end("down"));
  });
}

/**
 * Watches a gateway that serves; calls `onHung` once. A gateway that says `draining` is well: it lets
 * turns end before a restart of its own. Time in which this process did not run itself proves
 * nothing, hence the count of probes beside the clock.
 */
export class HealthWatch {
  readonly #deps: {
    probe: () => Promise<ProbeResult>;
    clock: Clock;
    timers: Timers;
    onHung: () => void;
  };
  #lastGood: number;
  #bad = 0;
  #over = false;
  #cancel: () => void = () => {};

  constructor(deps: {
    probe: () => Promise<ProbeResult>;
    clock: Clock;
    timers: Timers;
    onHung: () => void;
  }) {
    this.#deps = deps;
    this.#lastGood = deps.clock.now();
    this.#next();
  }

  close(): void {
    this.#over = true;
    this.#cancel();
  }

  #next(): void {
    this.#cancel = this.#deps.timers.after(RUNNER.probeEveryMs, () => void this.#look());
  }

  async #look(): Promise<void> {
    const { probe, clock, timers } = this.#deps;
    const result = await timedProbe(probe, timers, RUNNER.probeTimeoutMs);
    if (this.#over) return;
    if (result === "started" || result === "draining") {
      this.#lastGood = clock.now();
      this.#bad = 0;
    } else {
      this.#bad += 1;
      const silentMs = clock.now() - this.#lastGood;
      if (silentMs >= RUNNER.hungMs && this.#bad >= RUNNER.hungProbes) {
        this.close();
        this.#deps.onHung();
        return;
      }
    }
    this.#next();
  }
}
