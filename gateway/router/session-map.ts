import { createHash } from "node:crypto";
import type { Clock } from "../clock.ts";
import type { AgentConfig } from "../config.ts";
import type { ShardId } from "../contract.ts";
import type { SessionStore } from "../sessions/store.ts";
import type { Log } from "./deps.ts";
import type { FleetView } from "./view.ts";

/** Sessions kept in memory; about 300 bytes each. */
const MAX_CACHED = 50_000;
/** A session counts as active this long after its last request. */
const ACTIVE_MS = 15 * 60_000;
/** How old knowledge of the store's generation may be when an unknown session is placed. */
const GENERATION_MS = 1_000;
/** A gateway's own list is asked again for a shard that could not answer, at most this often. */
const RELIST_MS = 5_000;

interface Entry {
  shard: ShardId;
  usedAt: number;
  agent: string;
}

export interface SessionMapDeps {
  view: FleetView;
  sessions: SessionStore;
  clock: Clock;
  log: Log;
  /** A shard's own session list, here or at a peer; throws when it cannot be had now. */
  listSessions: (shard: ShardId) => Promise<{ agent: string; session: string }[]>;
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

/**
 * Which shard a session lives on. The store decides (set-if-absent); memory only remembers what the
 * store said, until the store's generation changes. After a loss of the store, gateways are asked for
 * their own lists before an unknown session of an agent with several shards is placed.
 */
export class SessionMap {
  readonly #deps: SessionMapDeps;
  readonly #cache = new Map<string, Entry>();
  #generation: string | null = null;
  #generationAt = Number.NEGATIVE_INFINITY;
  /** Shards whose own lists are in the store, in this generation. */
  #listed = new Set<ShardId>();
  #listTried = new Map<ShardId, number>();
  #rebuilding: Promise<void> | null = null;

  constructor(deps: SessionMapDeps) {
    this.#deps = deps;
  }

  /**
   * The shard of a session; assigns one at first use. `fresh` sessions (an id made just now) can be
   * known to nobody, so they need no look at what gateways know.
   */
  async shardOf(agent: AgentConfig, session: string, fresh: boolean): Promise<ShardId> {
    const key = `${agent.name}\0${session}`;
    const now = this.#deps.clock.now();
    const cached = this.#cache.get(key);
    if (cached && agent.shards.includes(cached.shard)) {
      cached.usedAt = now;
      this.#cache.delete(key);
      this.#cache.set(key, cached);
      return cached.shard;
    }
    let shard: ShardId;
    try {
      shard = await this.#fromStore(agent, session, fresh);
    } catch (error) {
      // Without the store, hashing over all shards gives every router the same answer for most.
      this.#deps.log.warn({ agent: agent.name, error: message(error) }, "session store is away");
      return rankShards(session, agent.name, agent.shards)[0] as ShardId;
    }
    this.#remember(key, agent.name, shard);
    return shard;
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
    const { sessions, view } = this.#deps;
    await this.#checkGeneration();
    const stored = await sessions.lookup(agent.name, session);
    if (stored !== null) {
      if (agent.shards.includes(stored)) return stored;
      if (!view.config().shards.some((shard) => shard.id === stored)) {
        await sessions.dropShard(stored);
      } else {
        // The agent no longer lives on that shard; the conversation begins anew where it does.
        return rankShards(session, agent.name, agent.shards)[0] as ShardId;
      }
    }
    if (agent.shards.length > 1 && !fresh) {
      await this.#learn(agent.shards);
      const learned = await sessions.lookup(agent.name, session);
      if (learned !== null && agent.shards.includes(learned)) return learned;
    }
    return sessions.assign(agent.name, session, this.#choose(agent, session));
  }

  /** Hashing decides; a shard that is down gets no new session while all that is known is known. */
  #choose(agent: AgentConfig, session: string): ShardId {
    const ranked = rankShards(session, agent.name, agent.shards);
    const first = ranked[0] as ShardId;
    if (this.#serves(first) || !this.#listed.has(first)) return first;
    return ranked.find((shard) => this.#serves(shard)) ?? first;
  }

  async #checkGeneration(): Promise<void> {
    const now = this.#deps.clock.now();
    if (this.#generation !== null && now - this.#generationAt < GENERATION_MS) return;
    const generation = await this.#deps.sessions.generation();
    this.#generationAt = now;
    if (generation === this.#generation) return;
    if (this.#generation !== null) {
      this.#deps.log.warn(
        {},
        "the session map was lost; rebuilding it from the gateways' own lists",
      );
    }
    this.#generation = generation;
    this.#listed = new Set();
    this.#listTried = new Map();
    // What is remembered was true: it goes back into the store when used again.
    const remembered = [...this.#cache].map(([key, entry]) => ({
      agent: entry.agent,
      session: key.slice(entry.agent.length + 1),
      shard: entry.shard,
    }));
    if (remembered.length > 0) await this.#deps.sessions.rebuild(remembered);
  }

  /** Brings the lists of these shards into the store, once per generation and shard. */
  async #learn(shards: readonly ShardId[]): Promise<void> {
    while (this.#rebuilding) await this.#rebuilding;
    const now = this.#deps.clock.now();
    const wanted = shards.filter(
      (shard) =>
        !this.#listed.has(shard) &&
        now - (this.#listTried.get(shard) ?? Number.NEGATIVE_INFINITY) >= RELIST_MS,
    );
    if (wanted.length === 0) return;
    const generation = this.#generation;
    this.#rebuilding = Promise.all(wanted.map((shard) => this.#learnOne(shard, generation)))
      .then(() => undefined)
      .finally(() => {
        this.#rebuilding = null;
      });
    await this.#rebuilding;
  }

  async #learnOne(shard: ShardId, generation: string | null): Promise<void> {
    this.#listTried.set(shard, this.#deps.clock.now());
    if (!this.#serves(shard)) return;
    try {
      const own = await this.#deps.listSessions(shard);
      await this.#deps.sessions.rebuild(own.map((entry) => ({ ...entry, shard })));
      if (generation === this.#generation) this.#listed.add(shard);
    } catch (error) {
      this.#deps.log.warn(
        { shard, error: message(error) },
        "a gateway's session list is not to be had",
      );
    }
  }

  #serves(shard: ShardId): boolean {
    const at = this.#deps.view.route(shard).at;
    return at === "here" || at === "peer";
  }

  #remember(key: string, agent: string, shard: ShardId): void {
    this.#cache.set(key, { shard, agent, usedAt: this.#deps.clock.now() });
    if (this.#cache.size > MAX_CACHED) {
      for (const oldest of this.#cache.keys()) {
        this.#cache.delete(oldest);
        break;
      }
    }
  }
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
