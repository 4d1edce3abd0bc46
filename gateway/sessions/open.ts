import { join } from "node:path";
import type { StoreLog } from "../leases/sqlite-file.ts";
import { RedisSessionStore } from "./redis.ts";
import { parseRedisUrl, type RedisTarget } from "./redis-url.ts";
import { SqliteSessionStore } from "./sqlite.ts";
import type { SessionStore } from "./store.ts";

/** In the data directory, where no Redis is named. */
export const SESSIONS_FILE = "sessions.sqlite";

export interface SessionStoreChoice {
  /** Address of a Redis; without one, a file in the data directory serves the nodes of this machine. */
  redisUrl: string | undefined;
  /** What `{redis}` in the address stands for, asked at each new connection. @default nothing */
  redisAddresses?: () => readonly string[];
  /** Name of the fleet: its part of the Redis. */
  fleet: string;
  dataDir: string;
  log: StoreLog;
}

/** The session store of a node. Throws RedisUrlError when the address cannot be used. */
export function openSessionStore({
  redisUrl,
  redisAddresses = () => [],
  fleet,
  dataDir,
  log,
}: SessionStoreChoice): SessionStore {
  if (!redisUrl) return new SqliteSessionStore({ path: join(dataDir, SESSIONS_FILE), log });
  return new RedisSessionStore({ target: targetOf(redisUrl, redisAddresses), fleet, log });
}

/**
 * What an address names. Its `nodes` are those that `{redis}` stands for when they are asked for, and its authority's
 * certificate is what the file holds then: the client asks for both at each new connection. What cannot be read just
 * now (a file that is being exchanged) is what it was.
 */
export function targetOf(redisUrl: string, addresses: () => readonly string[]): RedisTarget {
  const read = () => parseRedisUrl(redisUrl.replace("{redis}", addresses().join(",")));
  const first = read();
  let last = first;
  const now = () => {
    try {
      last = read();
    } catch {
      // What was read last stays good.
    }
    return last;
  };
  return {
    ...first,
    get nodes() {
      return now().nodes;
    },
    tls: first.tls?.ca === undefined ? first.tls : following(first.tls, () => now().tls?.ca),
  };
}

/** The client copies these fields when it connects (ioredis 6.0.0), so a getter is asked each time. */
function following(
  tls: NonNullable<RedisTarget["tls"]>,
  ca: () => string | undefined,
): NonNullable<RedisTarget["tls"]> {
  return {
    ...tls,
    get ca() {
      return ca() as string;
    },
  };
}
