import type { ShardId } from "../contract.ts";
import type { RateStore } from "../limits/rates.ts";

/** A stored answer to a request that carried an `Idempotency-Key`. */
export interface StoredAnswer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

export type Claim =
  /**
   * The key is new, or its earlier claim was abandoned or lapsed; the caller now does the work, under
   * the run id given here: after a lapse the earlier one, since its work may have begun.
   */
  | { outcome: "claimed"; runId: string }
  /** Somebody works on it. `runId` lets the caller follow or fetch. */
  | { outcome: "running"; runId: string }
  | { outcome: "done"; runId: string; answer: StoredAnswer }
  /** The same key came with another body. */
  | { outcome: "mismatch" };

/**
 * Sessions, limits and stored answers. Losing all of it costs no conversation: the session map is
 * rebuilt from the gateways' own session lists, so a missing entry is never proof of a new session.
 * Never holds a decision about ownership. Contract suite: test/contracts/session-store.ts.
 */
export interface SessionStore {
  readonly kind: string;
  /** Buckets that all routers of the fleet share; missing: this store has none. */
  readonly rates?: RateStore;
  /** Maps a session to a shard if it has no shard yet; returns what is stored after the call. */
  assign(agent: string, session: string, shard: ShardId): Promise<ShardId>;
  lookup(agent: string, session: string): Promise<ShardId | null>;
  /** Adds what a gateway itself knows; existing entries win. Returns how many were new. */
  rebuild(entries: { agent: string; session: string; shard: ShardId }[]): Promise<number>;
  /** Drops entries of a shard that left the fleet. */
  dropShard(shard: ShardId): Promise<number>;
  /** Sessions per shard and per agent. */
  counts(): Promise<{ byShard: Record<ShardId, number>; byAgent: Record<string, number> }>;
  /** Changes when the content was lost (deleted, emptied): the map must be rebuilt. */
  generation(): Promise<string>;

  /** Claims a key for `ttlMs`; the claim lapses unless refreshed or finished. */
  claim(key: string, bodyHash: string, runId: string, ttlMs: number): Promise<Claim>;
  refresh(key: string, runId: string, ttlMs: number): Promise<boolean>;
  finish(key: string, runId: string, answer: StoredAnswer, keepMs: number): Promise<boolean>;
  /** Gives up a claim whose work was never begun. */
  abandon(key: string, runId: string): Promise<void>;

  ok(): Promise<boolean>;
  close(): Promise<void>;
}
