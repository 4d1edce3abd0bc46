import { randomBytes } from "node:crypto";
import { RedisSessionStore } from "../../../gateway/sessions/redis.ts";
import { parseRedisUrl } from "../../../gateway/sessions/redis-url.ts";
import type { SessionWorld } from "../../contracts/session-store.ts";
import { eventually } from "../../support/eventually.ts";
import { type Asked, ask } from "../../support/redis/groups.ts";

/** Brings every expiry nearer: what a server's own clock does in that time. */
const ADVANCE = `
for _, key in ipairs(redis.call('KEYS', '*')) do
  local left = redis.call('PTTL', key)
  if left == -1 then error('no time to live: ' .. key) end
  if left <= tonumber(ARGV[1]) then redis.call('DEL', key)
  else redis.call('PEXPIRE', key, left - tonumber(ARGV[1])) end
end`;

export class KeptWarnings {
  readonly lines: string[] = [];
  warn(message: string): void {
    this.lines.push(message);
  }
}

/** Longer than in a fleet: on a busy machine a slow answer is no fault here. */
const OPERATION_MS = 5_000;

export interface RedisWorld extends SessionWorld {
  open(): RedisSessionStore;
  log: KeptWarnings;
}

/**
 * A fleet of its own on servers that many worlds share. Every server's own clock runs on, so the
 * suite's moments lie half a minute apart.
 */
export function redisWorld(
  url: string,
  masters: () => Promise<Asked[]>,
  fleet = `f${randomBytes(6).toString("hex")}`,
): RedisWorld {
  const log = new KeptWarnings();
  const stores: RedisSessionStore[] = [];
  const target = parseRedisUrl(url);
  return {
    unitMs: 30_000,
    log,
    open() {
      const store = new RedisSessionStore({ target, fleet, log, operationMs: OPERATION_MS });
      stores.push(store);
      return store;
    },
    clock: {
      async advance(ms) {
        for (const master of await masters()) await ask(master, "EVAL", ADVANCE, "0", String(ms));
      },
    },
    async lose() {
      for (const master of await masters()) await ask(master, "FLUSHALL");
    },
    async close() {
      for (const store of stores) await store.close();
      for (const master of await masters()) await ask(master, "FLUSHALL");
    },
  };
}

/** Waits until a store answers again. */
export async function well(store: RedisSessionStore): Promise<void> {
  await eventually(async () => {
    await store.generation();
  }, 60_000);
}
