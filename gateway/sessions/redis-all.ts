import type { ShardId } from "../contract.ts";
import type { RedisKeys } from "./redis-layout.ts";
import { EVERYWHERE, type RedisLink } from "./redis-link.ts";

/** Keys looked at in one step of a scan. */
const PAGE = 500;
/** Longest one step waits, ms. */
const STEP_MS = 2_000;

export interface Counts {
  byShard: Record<ShardId, number>;
  byAgent: Record<string, number>;
}

/** Keys of all sessions, in pieces of one bucket. What is there throughout is shown, some twice. */
async function* sessionKeys(
  link: RedisLink,
  keys: RedisKeys,
  stop: AbortSignal,
): AsyncGenerator<{ bucket: number; page: string[] }> {
  await link.run(EVERYWHERE, async () => undefined); // once the masters are known
  for (const master of link.masters()) {
    let cursor = "0";
    do {
      stop.throwIfAborted();
      const [next, found] = await link.run(
        EVERYWHERE,
        () => master.scan(cursor, "MATCH", keys.sessions, "COUNT", PAGE),
        STEP_MS,
      );
      cursor = next;
      const buckets = new Map<number, string[]>();
      for (const key of found) {
        const bucket = keys.parse(key)?.bucket ?? -1;
        if (bucket >= 0) buckets.set(bucket, [...(buckets.get(bucket) ?? []), key]);
      }
      for (const [bucket, page] of buckets) yield { bucket, page };
    } while (cursor !== "0");
  }
}

/** Looks at every session. Throws StoreUnavailable, and what `stop` was aborted with. */
export async function countSessions(
  link: RedisLink,
  keys: RedisKeys,
  stop: AbortSignal,
): Promise<Counts> {
  const counts: Counts = { byShard: {}, byAgent: {} };
  const seen = new Set<string>();
  for await (const { bucket, page } of sessionKeys(link, keys, stop)) {
    const fresh = page.filter((key) => !seen.has(key));
    if (fresh.length === 0) continue;
    const shards = await link.run(bucket, (redis) => redis.mget(fresh), STEP_MS);
    for (const [at, key] of fresh.entries()) {
      seen.add(key);
      const shard = shards[at];
      const agent = keys.parse(key)?.agent;
      if (!shard || agent === undefined) continue;
      counts.byShard[shard] = (counts.byShard[shard] ?? 0) + 1;
      counts.byAgent[agent] = (counts.byAgent[agent] ?? 0) + 1;
    }
  }
  return counts;
}

/** Deletes the sessions of a shard; answers how many. Throws as {@link countSessions}. */
export async function dropSessions(
  link: RedisLink,
  keys: RedisKeys,
  shard: ShardId,
  stop: AbortSignal,
): Promise<number> {
  let dropped = 0;
  for await (const { bucket, page } of sessionKeys(link, keys, stop)) {
    dropped += await link.run(
      bucket,
      (redis) => redis.ocfDropEqual(page.length, ...page, shard),
      STEP_MS,
    );
  }
  return dropped;
}
