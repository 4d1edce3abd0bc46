import type { Clock } from "../clock.ts";
import { DRAIN } from "../contract.ts";
import type { GatewayPort } from "../openclaw/port.ts";
import type { Timers } from "./timers.ts";

const POLL_MS = 250;
/** A gateway that does not answer a question for this long counts as busy. */
const ASK_MS = 5_000;
/** Pauses before admission is closed again after it had to be opened; the last one repeats. */
const RETRY_MS = [1_000, 2_000, 4_000, 8_000, 15_000, 30_000];
/** OpenClaw's suspension lapses after 2 minutes. */
const RENEW_MS = 30_000;
/**
 * A bot's message is no turn yet for a moment, and OpenClaw answers it with an error if admission closes then (measured:
 * 0.4 s after it came in). After an opening those come first that had to wait, one and a half seconds later.
 */
const BOTS_QUIET_MS = 3_000;
/** Waiting for an idle moment gets less choosy: from this on, so many running turns do not matter. */
const PATIENCE: readonly { afterMs: number; active: number }[] = [
  { afterMs: 0, active: 0 },
  { afterMs: 20_000, active: 1 },
  { afterMs: 60_000, active: 2 },
  { afterMs: 180_000, active: 4 },
];

export interface DrainDeps {
  gateway: Pick<GatewayPort, "turns" | "lastInbound" | "suspend" | "suspended" | "resume">;
  clock: Clock;
  timers: Timers;
  giveUpMs: number;
  /** Before admission closes, and after it opened again. */
  onAdmission: (open: boolean) => void;
  /** Called once. `lostTurns` still ran when time was over. */
  onDrained: (lostTurns: number) => void;
}

/** Whether admission may be closed now. Closing while much runs would only make requests wait. */
export function mayClose(
  turns: { active: number; queued: number },
  waitedMs: number,
  leftMs: number,
): boolean {
  // The last chance: whatever runs then has until the end.
  if (leftMs <= DRAIN.closeMs) return true;
  const step = PATIENCE.findLast(({ afterMs }) => waitedMs >= afterMs);
  return turns.queued === 0 && turns.active <= (step?.active ?? 0);
}

/**
 * Empties one gateway: waits for a quiet moment, closes admission, waits until nothing runs. Not
 * empty within DRAIN.closeMs: opens again and tries later. Begins at once, ends with `onDrained`.
 */
export class Drain {
  readonly #deps: DrainDeps;
  readonly #startedAt: number;
  /** A bot's newest message, and when it was first seen here. */
  #inbound: { at: number; seenAt: number } | null = null;
  #over = false;

  constructor(deps: DrainDeps) {
    this.#deps = deps;
    this.#startedAt = deps.clock.now();
    void this.#run();
  }

  /** Ends it without `onDrained`. Admission stays as it is. */
  cancel(): void {
    this.#over = true;
  }

  get #leftMs(): number {
    return this.#startedAt + this.#deps.giveUpMs - this.#deps.clock.now();
  }

  async #run(): Promise<void> {
    for (let attempt = 0; !this.#over; attempt++) {
      await this.#quietMoment();
      if (this.#over) return;
      if (await this.#closeAndEmpty()) return this.#finish(0);
      if (this.#over) return;
      if (this.#leftMs <= 0) return this.#finish(await this.#running());
      await this.#open();
      const pauseMs = RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)] as number;
      await this.#pause(Math.max(0, Math.min(pauseMs, this.#leftMs - DRAIN.closeMs)));
    }
  }

  async #quietMoment(): Promise<void> {
    while (!this.#over) {
      const turns = await this.#ask(this.#deps.gateway.turns(), { active: 1, queued: 1 });
      const waitedMs = this.#deps.clock.now() - this.#startedAt;
      const last = this.#leftMs <= DRAIN.closeMs;
      if (mayClose(turns, waitedMs, this.#leftMs) && (last || (await this.#botsAreQuiet()))) return;
      await this.#pause(POLL_MS);
    }
  }

  /** By this clock, not by the gateway's: that may be stepped. */
  async #botsAreQuiet(): Promise<boolean> {
    const at = await this.#ask(this.#deps.gateway.lastInbound(), null);
    if (at === null) return true;
    const now = this.#deps.clock.now();
    if (this.#inbound?.at !== at) this.#inbound = { at, seenAt: now };
    return now - this.#inbound.seenAt >= BOTS_QUIET_MS;
  }

  /** True once it is closed and empty. False when its time for that is over. */
  async #closeAndEmpty(): Promise<boolean> {
    const { gateway, clock } = this.#deps;
    // Ours first: nothing is to reach a gateway that refuses.
    this.#deps.onAdmission(false);
    const last = this.#leftMs <= DRAIN.closeMs;
    const closedAt = clock.now();
    let renewedAt = Number.NEGATIVE_INFINITY;
    while (!this.#over) {
      if (clock.now() - renewedAt >= RENEW_MS) {
        if (
          await this.#ask(
            gateway.suspend().then(() => true),
            false,
          )
        )
          renewedAt = clock.now();
      }
      if (await this.#ask(gateway.suspended(), false)) return true;
      const outOfTime = last ? this.#leftMs <= 0 : clock.now() - closedAt >= DRAIN.closeMs;
      if (outOfTime) return false;
      await this.#pause(POLL_MS);
    }
    return false;
  }

  async #open(): Promise<void> {
    await this.#ask(this.#deps.gateway.resume(), undefined);
    if (!this.#over) this.#deps.onAdmission(true);
  }

  async #running(): Promise<number> {
    const turns = await this.#ask(this.#deps.gateway.turns(), { active: 1, queued: 0 });
    return turns.active + turns.queued;
  }

  #finish(lostTurns: number): void {
    if (this.#over) return;
    this.#over = true;
    this.#deps.onDrained(lostTurns);
  }

  /** The answer, or `otherwise` when it fails or takes too long. */
  #ask<T>(answer: Promise<T>, otherwise: T): Promise<T> {
    return new Promise((resolve) => {
      const cancel = this.#deps.timers.after(ASK_MS, () => resolve(otherwise));
      answer.then(
        (value) => {
          cancel();
          resolve(value);
        },
        () => {
          cancel();
          resolve(otherwise);
        },
      );
    });
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#deps.timers.after(ms, resolve));
  }
}
