import type { ShardId } from "../contract.ts";
import { TurnError, type TurnResult } from "../openclaw/port.ts";
import type { Route } from "./view.ts";

type HereRoute = Extract<Route, { at: "here" }>;

/** A turn as one router asks another to run it. */
export interface TurnOrder {
  runId: string;
  shard: ShardId;
  agent: string;
  session: string;
  message: string;
  /** An earlier owner or an earlier attempt may have begun it. */
  mayHaveRun: boolean;
  budgetMs: number;
}

export interface TurnListener {
  /** The turn may have had an effect from now on. */
  onReached(): void;
  onDelta(text: string): void;
}

interface Running {
  epoch: number;
  listeners: Set<TurnListener>;
  reached: boolean;
  abort: AbortController;
  result: Promise<TurnResult>;
}

/**
 * Runs turns on this node's gateways. A run id runs once at a time: whoever asks for one that runs
 * joins it. A listener that leaves ends nothing; only `abort` does.
 */
export class TurnRunner {
  readonly #running = new Map<string, Running>();

  /** Throws TurnError. */
  run(route: HereRoute, order: TurnOrder, listener: TurnListener): Promise<TurnResult> {
    const known = this.#running.get(order.runId);
    if (known && known.epoch === route.epoch) {
      known.listeners.add(listener);
      if (known.reached) listener.onReached();
      return known.result;
    }
    if (!route.live()) {
      return Promise.reject(new TurnError("refused", "the owner's deadline has passed", false));
    }
    const running: Running = {
      epoch: route.epoch,
      listeners: new Set([listener]),
      reached: false,
      abort: new AbortController(),
      result: Promise.resolve() as never,
    };
    running.result = this.#start(route, order, running).finally(() => {
      if (this.#running.get(order.runId) === running) this.#running.delete(order.runId);
    });
    this.#running.set(order.runId, running);
    return running.result;
  }

  /** Cancels a turn here; false when it does not run. */
  abort(runId: string): boolean {
    const running = this.#running.get(runId);
    running?.abort.abort();
    return running !== undefined;
  }

  get size(): number {
    return this.#running.size;
  }

  #start(route: HereRoute, order: TurnOrder, running: Running): Promise<TurnResult> {
    return route.gateway.runTurn({
      runId: order.runId,
      agent: order.agent,
      session: order.session,
      message: order.message,
      mayHaveRun: order.mayHaveRun,
      budgetMs: order.budgetMs,
      signal: running.abort.signal,
      onReached: () => {
        running.reached = true;
        for (const each of running.listeners) each.onReached();
      },
      onDelta: (text) => {
        for (const each of running.listeners) each.onDelta(text);
      },
    });
  }
}
