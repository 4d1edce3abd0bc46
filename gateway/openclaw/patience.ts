import type { Clock } from "../clock.ts";
import { isContention } from "./history.ts";
import { TurnError, type TurnRequest } from "./port.ts";
import { CallTimeout, ConnectionLost, GatewayCallError } from "./socket.ts";

/** How one turn's waiting ends early: its time is over, or the caller has gone. */
export class Patience {
  readonly #clock: Clock;
  readonly #deadline: number;
  readonly #signal: AbortSignal | undefined;

  constructor(clock: Clock, request: Pick<TurnRequest, "budgetMs" | "signal">) {
    this.#clock = clock;
    this.#deadline = clock.now() + request.budgetMs;
    this.#signal = request.signal;
  }

  /** Milliseconds left, at least 0. */
  left(): number {
    return Math.max(0, this.#deadline - this.#clock.now());
  }

  /** The promise, or a TurnError once patience ends; `reached` goes into that error. */
  async hold<T>(promise: Promise<T>, reached: boolean): Promise<T> {
    const end = await this.race(promise, Number.POSITIVE_INFINITY);
    if (end.why === "value") return end.value;
    if (end.why === "cancelled") throw new TurnError("aborted", "the turn was cancelled", reached);
    throw new TurnError("timeout", "the turn's time is over; it may still run", reached);
  }

  /** What comes first: the promise, `quietMs`, the end of the turn's time, or the caller's leaving. */
  race<T>(
    promise: Promise<T>,
    quietMs: number,
  ): Promise<{ why: "value"; value: T } | { why: "quiet" | "deadline" | "cancelled" }> {
    const left = this.left();
    return new Promise((resolve, reject) => {
      const clean = () => {
        clearTimeout(timer);
        this.#signal?.removeEventListener("abort", cancelled);
      };
      const cancelled = () => {
        clean();
        resolve({ why: "cancelled" });
      };
      const timer = setTimeout(
        () => {
          clean();
          resolve({ why: quietMs < left ? "quiet" : "deadline" });
        },
        Math.min(left, quietMs),
      );
      promise.then(
        (value) => {
          clean();
          resolve({ why: "value", value });
        },
        (error) => {
          clean();
          reject(error);
        },
      );
      if (this.#signal?.aborted) cancelled();
      else this.#signal?.addEventListener("abort", cancelled);
    });
  }
}

/** OpenClaw's errors in the words of the port. */
export function asTurnError(error: unknown, reached: boolean): TurnError {
  if (error instanceof TurnError) return error;
  if (error instanceof ConnectionLost) return new TurnError("lost", error.message, reached);
  if (error instanceof CallTimeout) return new TurnError("timeout", error.message, reached);
  if (error instanceof GatewayCallError) {
    // UNAVAILABLE: admission is closed or its queue is full; the turn was not begun.
    if (error.body.code === "UNAVAILABLE") {
      return new TurnError("refused", error.body.message, false);
    }
    // Its storage was busy for too long; what it did of the request, the transcript tells.
    if (isContention(error.body.message)) {
      return new TurnError("refused", error.body.message, reached);
    }
    return new TurnError("failed", error.body.message, true);
  }
  return new TurnError("failed", error instanceof Error ? error.message : String(error), reached);
}
