import type { Clock } from "../clock.ts";
import type { ShardId } from "../contract.ts";
import type { Log } from "./deps.ts";

/** A gateway that could not be asked is asked again at most this often. */
const AGAIN_MS = 5_000;
/** A list is taken anew after this: far sooner than a stored entry ends that nobody uses. */
const VALID_MS = 12 * 3_600_000;

export interface Listed {
  agent: string;
  session: string;
}

export interface SessionListsDeps {
  clock: Clock;
  log: Log;
  serves: (shard: ShardId) => boolean;
  /** A shard's own session list, here or at a peer; throws when it cannot be had now. */
  listSessions: (shard: ShardId) => Promise<Listed[]>;
  /** Where a list goes; it counts as taken once this is done. */
  keep: (shard: ShardId, own: Listed[]) => Promise<void>;
}

/** Asks gateways which conversations they have, each once until told to forget. */
export class SessionLists {
  readonly #deps: SessionListsDeps;
  readonly #taken = new Map<ShardId, number>();
  readonly #tried = new Map<ShardId, number>();
  #era = 0;
  #asking: Promise<void> | null = null;

  constructor(deps: SessionListsDeps) {
    this.#deps = deps;
  }

  /** True when all conversations of the shard are known. */
  has(shard: ShardId): boolean {
    const at = this.#taken.get(shard);
    return at !== undefined && this.#deps.clock.now() - at < VALID_MS;
  }

  /** What was taken may be incomplete now; of one shard, or of all. */
  forget(shard?: ShardId): void {
    this.#era += 1;
    for (const times of [this.#taken, this.#tried]) {
      if (shard === undefined) times.clear();
      else times.delete(shard);
    }
  }

  /** Takes the lists that are missing, as far as they can be had. */
  async take(shards: readonly ShardId[]): Promise<void> {
    while (this.#asking) await this.#asking;
    const now = this.#deps.clock.now();
    const wanted = shards.filter(
      (shard) =>
        !this.has(shard) && now - (this.#tried.get(shard) ?? Number.NEGATIVE_INFINITY) >= AGAIN_MS,
    );
    if (wanted.length === 0) return;
    this.#asking = Promise.all(wanted.map((shard) => this.#takeOne(shard)))
      .then(() => undefined)
      .finally(() => {
        this.#asking = null;
      });
    await this.#asking;
  }

  async #takeOne(shard: ShardId): Promise<void> {
    const { clock, log, serves, listSessions, keep } = this.#deps;
    const era = this.#era;
    // Who has no owner was not asked: it is as soon as it has one.
    if (!serves(shard)) return;
    this.#tried.set(shard, clock.now());
    try {
      await keep(shard, await listSessions(shard));
      if (era === this.#era) this.#taken.set(shard, clock.now());
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      log.warn({ shard, error: why }, "a gateway's session list is not to be had");
    }
  }
}
