import type { Clock } from "../clock.ts";
import type { AgentConfig } from "../config.ts";
import { HOLD, type ShardId } from "../contract.ts";
import { ClientGone, RouterError } from "./errors.ts";
import type { SessionMap } from "./session-map.ts";

/** Pause before it is asked again where a conversation lives, ms. */
const AGAIN_MS = 500;
const RETRY_AFTER_SECONDS = 5;

/**
 * Where a conversation lives. While that cannot be told, requests are held like those whose shard has no owner: it is on a
 * shard that this node's settings do not name yet; or, for requests that must not be placed by guess, the session store is
 * away, and a shard that may have it too (a host that is lost with Redis's master on it takes both away for a moment).
 */
export class Placing {
  readonly #map: Pick<SessionMap, "shardOf">;
  readonly #clock: Clock;
  readonly #againMs: number;
  #waiting = 0;

  constructor(map: Pick<SessionMap, "shardOf">, clock: Clock, againMs = AGAIN_MS) {
    this.#map = map;
    this.#clock = clock;
    this.#againMs = againMs;
  }

  /** Requests that wait now. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Never a guess. Throws as {@link Placing.place} does. */
  exactly(
    agent: AgentConfig,
    session: string,
    fresh: boolean,
    signal: AbortSignal,
  ): Promise<ShardId> {
    return this.place(agent, session, fresh, signal, true);
  }

  /**
   * @param exact never a guess, as SessionMap.shardOf has it. Throws RouterError: `no_owner` when it cannot be told in
   * time, `overloaded` when too many wait for it; or ClientGone.
   */
  async place(
    agent: AgentConfig,
    session: string,
    fresh: boolean,
    signal: AbortSignal,
    exact = false,
  ): Promise<ShardId> {
    const until = this.#clock.now() + HOLD.requestMs;
    let mine = 0;
    try {
      for (;;) {
        try {
          return await this.#map.shardOf(agent, session, fresh, exact);
        } catch (error) {
          const unknown = error instanceof RouterError && error.code === "no_owner";
          if (!unknown || this.#clock.now() >= until) throw error;
          if (mine === 0 && this.#waiting >= HOLD.maxRequests) throw full(error);
        }
        this.#waiting += 1 - mine;
        mine = 1;
        await new Promise((resolve) => setTimeout(resolve, this.#againMs));
        if (signal.aborted) throw new ClientGone("the client left");
      }
    } finally {
      this.#waiting -= mine;
    }
  }
}

const full = (error: RouterError): RouterError =>
  new RouterError(
    "overloaded",
    `${error.message}, and ${HOLD.maxRequests} requests wait for that already`,
    RETRY_AFTER_SECONDS,
  );
