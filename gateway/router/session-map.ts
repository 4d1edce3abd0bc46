import { createHash } from "node:crypto";
import type { Clock } from "../clock.ts";
import type { AgentConfig } from "../config.ts";
import type { ShardId } from "../contract.ts";
import type { SessionStore } from "../sessions/store.ts";
import type { Log } from "./deps.ts";
import { RouterError } from "./errors.ts";
import { type Listed, SessionLists } from "./session-lists.ts";
import type { FleetView } from "./view.ts";

/** Sessions kept in memory; about 300 bytes each. */
const MAX_CACHED = 50_000;
/** A session counts as active this long after its last request. */
const ACTIVE_MS = 15 * 60_000;
/** How old knowledge of the store's generation may be. */
const GENERATION_MS = 1_000;
/**
 * A shard that these settings do not name has left the fleet once nobody had its lease for this long, ms. Where settings
 * come to one host after the other, another router may know it already; its lease is taken some seconds after that.
 * Shorter than requests are held (HOLD.requestMs), so that they see the end of it.
 */
const LEFT_MS = 30_000;

interface Entry {
  shard: ShardId;
  usedAt: number;
  agent: string;
  /** The generation in which the store said so; null: placed without the store. */
  generation: string | null;
}

export interface SessionMapDeps {
  view: FleetView;
  sessions: SessionStore;
  clock: Clock;
  log: Log;
  /** A shard's own session list, here or at a peer; throws when it cannot be had now. */
  listSessions: (shard: ShardId) => Promise<Listed[]>;
}

/** Rendezvous hashing: each shard's weight for a session is independent of the other shards. */
export function rankShards(session: string, agent: string, shards: readonly ShardId[]): ShardId[] {
  const weight = (shard: string) =>
    createHash("sha256").update(`${agent}\0${session}\0${shard}`).digest("hex");
  return shards
    .map((shard) => ({ shard, weight: weight(shard) }))
    .sort((a, b) => (a.weight < b.weight ? 1 : a.weight > b.weight ? -1 : 0))
    .map(({ shard }) => shard);
}

/** The store failed while a session was given to this shard: it may have been stored. */
class Unsettled extends Error {
  readonly shard: ShardId;
  constructor(shard: ShardId, cause: unknown) {
    super(message(cause));
    this.shard = shard;
  }
}

/**
 * Which shard a session lives on. The store decides (set-if-absent); memory only remembers what the
 * store said, in the store's generation. After a loss of the store, and while it is away, gateways are
 * asked for their own lists before an unknown session of an agent with several shards is placed
 * (decisions 064, 168).
 */
export class SessionMap {
  readonly #deps: SessionMapDeps;
  readonly #cache = new Map<string, Entry>();
  #generation: string | null = null;
  #generationAt = Number.NEGATIVE_INFINITY;
  #settling: { generation: string; done: Promise<void> } | null = null;
  #away = false;
  /** Lists that are in the store, in this generation. */
  readonly #stored: SessionLists;
  /** Lists that were taken because the store is away: session to shard. */
  readonly #inMemory: SessionLists;
  readonly #known = new Map<string, ShardId>();
  /** Shards that served no more when last heard of. */
  readonly #gone = new Set<ShardId>();
  /** Shards that these settings do not name and nobody has: since when, and when that was seen last. */
  readonly #unnamed = new Map<ShardId, { since: number; seenAt: number }>();

  constructor(deps: SessionMapDeps) {
    this.#deps = deps;
    const { clock, log, listSessions } = deps;
    const common = { clock, log, listSessions, serves: (shard: ShardId) => this.#serves(shard) };
    this.#stored = new SessionLists({
      ...common,
      keep: async (shard, own) => {
        await deps.sessions.rebuild(own.map((entry) => ({ ...entry, shard })));
      },
    });
    this.#inMemory = new SessionLists({
      ...common,
      keep: async (shard, own) => {
        for (const { agent, session } of own) this.#known.set(cacheKey(agent, session), shard);
      },
    });
    deps.view.onRoute((shard) => this.#rerouted(shard));
  }

  /** A gateway that is back may have another state, with conversations that nobody knew: an adopted one has. */
  #rerouted(shard: ShardId): void {
    if (!this.#serves(shard)) this.#gone.add(shard);
    else if (this.#gone.delete(shard)) {
      this.#stored.forget(shard);
      this.#inMemory.forget(shard);
    }
  }

  /**
   * The shard of a session; assigns one at first use. `fresh` sessions (an id made just now) can be
   * known to nobody, so they need no look at what gateways know. `exact`: throws `no_owner` rather than
   * guess, when the store is away and a shard that might have the session cannot be asked. Also throws
   * `no_owner` while the session is on a shard that these settings do not name and no route leads to.
   */
  async shardOf(
    agent: AgentConfig,
    session: string,
    fresh: boolean,
    exact = false,
  ): Promise<ShardId> {
    const key = cacheKey(agent.name, session);
    const entry = this.#cache.get(key);
    const cached = entry && agent.shards.includes(entry.shard) ? entry : null;
    const lasts = () => (entry ? this.#lasting(agent, session, entry.shard) : null);
    if (cached && cached.generation !== null && cached.generation === this.#generation) {
      this.#remember(key, agent.name, cached.shard, cached.generation);
      this.#lookAside();
      return cached.shard;
    }
    try {
      const shard = await this.#fromStore(agent, session, fresh);
      this.#remember(key, agent.name, shard, this.#generation);
      return shard;
    } catch (error) {
      if (error instanceof RouterError) throw error;
      this.#failed(error);
      const shard =
        lasts() ??
        (error instanceof Unsettled
          ? error.shard
          : await this.#withoutStore(agent, session, fresh, exact));
      this.#remember(key, agent.name, shard, null);
      return shard;
    }
  }

  /** The shard of a session as far as it is remembered here; asks nobody, and assigns nothing. */
  remembered(agent: AgentConfig, session: string): ShardId | null {
    return this.#cache.get(cacheKey(agent.name, session))?.shard ?? null;
  }

  /** A shard for what belongs to no session (model list, embeddings): any that serves. */
  anyShard(agent: AgentConfig, seed: string): ShardId {
    const ranked = rankShards(seed, agent.name, agent.shards);
    return (ranked.find((shard) => this.#serves(shard)) ?? ranked[0]) as ShardId;
  }

  /** Sessions used in the last 15 minutes, per agent. */
  active(): Record<string, number> {
    const since = this.#deps.clock.now() - ACTIVE_MS;
    const counts: Record<string, number> = {};
    for (const entry of this.#cache.values()) {
      if (entry.usedAt >= since) counts[entry.agent] = (counts[entry.agent] ?? 0) + 1;
    }
    return counts;
  }

  async #fromStore(agent: AgentConfig, session: string, fresh: boolean): Promise<ShardId> {
    const { sessions } = this.#deps;
    await this.#checkGeneration();
    const stored = await sessions.lookup(agent.name, session);
    if (stored !== null) {
      const lives = this.#present(agent, session, stored);
      if (lives !== null) return lives;
      await sessions.dropShard(stored);
    }
    if (agent.shards.length > 1 && !fresh) {
      // What is missing may have been lost a moment ago.
      await this.#checkGeneration(0);
      await this.#stored.take(agent.shards);
      const learned = await sessions.lookup(agent.name, session);
      if (learned !== null && agent.shards.includes(learned)) return learned;
    }
    const choice = this.#choose(agent, session);
    let assigned: ShardId;
    try {
      assigned = await sessions.assign(agent.name, session, choice);
    } catch (error) {
      throw new Unsettled(choice, error);
    }
    // Somebody gave it that shard a moment ago, so the shard has not left.
    this.#unnamed.delete(assigned);
    return this.#present(agent, session, assigned) as ShardId;
  }

  /**
   * Where a session is that the store has on this shard; null: the shard left the fleet. One that these settings do not
   * name may be newer than they are: what is on it stays there. Throws `no_owner` while it cannot be reached.
   */
  #present(agent: AgentConfig, session: string, stored: ShardId): ShardId | null {
    if (agent.shards.includes(stored)) return stored;
    const { view } = this.#deps;
    if (view.config().shards.some((shard) => shard.id === stored)) {
      // The agent no longer lives on that shard; the conversation begins anew where it does.
      return rankShards(session, agent.name, agent.shards)[0] as ShardId;
    }
    if (this.#serves(stored)) return stored;
    if (this.#left(stored)) return null;
    throw new RouterError(
      "no_owner",
      `this conversation is on ${stored}, which this node's settings do not name and nobody serves now`,
      5,
    );
  }

  /** Where a session is that was on this shard when the store was last asked; null: it may be elsewhere by now. */
  #lasting(agent: AgentConfig, session: string, shard: ShardId): ShardId | null {
    const { shards } = this.#deps.view.config();
    const moved = !agent.shards.includes(shard) && shards.some(({ id }) => id === shard);
    return moved ? null : this.#present(agent, session, shard);
  }

  #left(shard: ShardId): boolean {
    if (this.#deps.view.leased(shard) !== false) {
      this.#unnamed.delete(shard);
      return false;
    }
    const now = this.#deps.clock.now();
    const seen = this.#unnamed.get(shard);
    // A look that is too old says nothing of the time since.
    const since = seen && now - seen.seenAt < LEFT_MS ? seen.since : now;
    this.#unnamed.set(shard, { since, seenAt: now });
    return now - since >= LEFT_MS;
  }

  /** Hashing decides; a shard that is down gets no new session while all that is known is known. */
  #choose(agent: AgentConfig, session: string): ShardId {
    const ranked = rankShards(session, agent.name, agent.shards);
    const first = ranked[0] as ShardId;
    if (this.#serves(first) || !this.#stored.has(first)) return first;
    return ranked.find((shard) => this.#serves(shard)) ?? first;
  }

  /** Hashing over all shards gives every router the same answer for what no gateway knows. */
  async #withoutStore(
    agent: AgentConfig,
    session: string,
    fresh: boolean,
    exact: boolean,
  ): Promise<ShardId> {
    const first = rankShards(session, agent.name, agent.shards)[0] as ShardId;
    if (agent.shards.length === 1 || fresh) return first;
    await this.#inMemory.take(agent.shards);
    const known = this.#known.get(cacheKey(agent.name, session));
    if (known !== undefined && agent.shards.includes(known)) return known;
    const unasked = agent.shards.filter((shard) => !this.#inMemory.has(shard));
    if (exact && unasked.length > 0) {
      throw new RouterError(
        "no_owner",
        `where this conversation lives cannot be told now: the session store is away, and ${unasked.join(", ")} cannot be asked`,
        5,
      );
    }
    return first;
  }

  /** Losses are found out also while nothing but remembered sessions is asked for. */
  #lookAside(): void {
    if (this.#deps.clock.now() - this.#generationAt < GENERATION_MS) return;
    void this.#checkGeneration().catch((error: unknown) => this.#failed(error));
  }

  async #checkGeneration(maxAgeMs = GENERATION_MS): Promise<void> {
    const now = this.#deps.clock.now();
    if (this.#generation !== null && now - this.#generationAt < maxAgeMs && !this.#away) return;
    // One look at a time is enough where nothing hangs on it.
    this.#generationAt = now;
    const generation = await this.#deps.sessions.generation();
    if (generation === this.#generation && !this.#away) return;
    if (this.#settling?.generation !== generation) {
      const done = this.#settle(generation).finally(() => {
        if (this.#settling?.done === done) this.#settling = null;
      });
      this.#settling = { generation, done };
    }
    await this.#settling.done;
  }

  /** The store is another one, or back. */
  async #settle(generation: string): Promise<void> {
    const { sessions, log } = this.#deps;
    const lost = generation !== this.#generation;
    if (lost && this.#generation !== null) {
      log.warn({}, "the session map was lost; rebuilding it from the gateways' own lists");
    }
    // What is remembered was true: it goes back into the store, where earlier entries win.
    const remembered = [...this.#cache]
      .filter(([, entry]) => lost || entry.generation === null)
      .map(([key, { agent, shard }]) => ({ agent, shard, session: key.slice(agent.length + 1) }));
    this.#stored.forget();
    if (remembered.length > 0) await sessions.rebuild(remembered);
    this.#generation = generation;
    if (this.#away) log.info({}, "the session store is back");
    this.#away = false;
    this.#known.clear();
    this.#inMemory.forget();
  }

  #failed(error: unknown): void {
    if (!this.#away) {
      this.#deps.log.warn({ error: message(error) }, "the session store is away");
    }
    this.#away = true;
  }

  #serves(shard: ShardId): boolean {
    const at = this.#deps.view.route(shard).at;
    return at === "here" || at === "peer";
  }

  #remember(key: string, agent: string, shard: ShardId, generation: string | null): void {
    this.#cache.delete(key);
    this.#cache.set(key, { shard, agent, generation, usedAt: this.#deps.clock.now() });
    if (this.#cache.size > MAX_CACHED) {
      for (const oldest of this.#cache.keys()) {
        this.#cache.delete(oldest);
        break;
      }
    }
  }
}

const cacheKey = (agent: string, session: string): string => `${agent}\0${session}`;

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
