import { IDEMPOTENCY } from "../contract.ts";
import { RATE_WINDOW_MS } from "../limits/rates.ts";

/**
 * What must be decided and written in one step. Times are Redis's own (keys that expire): no script
 * reads a clock. KEYS are the record of a claim and the key of who works on it, in one slot.
 */

/** ARGV: body hash, run id, ttl ms. Answers outcome, run id, answer. */
const claim = `
local seen = redis.call('HMGET', KEYS[1], 'body', 'run', 'answer')
if seen[1] then
  if seen[1] ~= ARGV[1] then return {'mismatch'} end
  if seen[3] then return {'done', seen[2], seen[3]} end
  if redis.call('EXISTS', KEYS[2]) == 1 then return {'running', seen[2]} end
end
local run = seen[2] or ARGV[2]
redis.call('HSET', KEYS[1], 'body', ARGV[1], 'run', run)
redis.call('PEXPIRE', KEYS[1], ARGV[3] + ${IDEMPOTENCY.keepMs})
redis.call('SET', KEYS[2], run, 'PX', ARGV[3])
return {'claimed', run}`;

/** Answers 0 unless ARGV[1] is the run id of a claim that is not done. */
const ONLY_ITS_HOLDER = `
local seen = redis.call('HMGET', KEYS[1], 'run', 'answer')
if seen[1] ~= ARGV[1] or seen[2] then return 0 end`;

/** ARGV: run id, ttl ms. */
const refresh = `${ONLY_ITS_HOLDER}
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[2] + ${IDEMPOTENCY.keepMs})
return 1`;

/** ARGV: run id, keep ms, answer. */
const finish = `${ONLY_ITS_HOLDER}
redis.call('HSET', KEYS[1], 'answer', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('DEL', KEYS[2])
return 1`;

/** ARGV: run id. */
const abandon = `${ONLY_ITS_HOLDER}
redis.call('DEL', KEYS[1], KEYS[2])
return 1`;

/** Deletes those of KEYS that hold ARGV[1]; answers how many. */
const dropEqual = `
local dropped = 0
for _, key in ipairs(KEYS) do
  if redis.call('GET', key) == ARGV[1] then dropped = dropped + redis.call('DEL', key) end
end
return dropped`;

/** A bucket is a key that lives as long as the bucket drains. ARGV: cost ms, force (1 or 0). Answers the wait, ms. */
const charge = `
local left = math.max(0, redis.call('PTTL', KEYS[1]))
local after = left + tonumber(ARGV[1])
if ARGV[2] == '0' and after > ${RATE_WINDOW_MS} then return math.ceil(after - ${RATE_WINDOW_MS}) end
if after == left then return 0 end
if after < 1 then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], '', 'PX', math.ceil(after)) end
return 0`;

/** In the form that the client library takes. */
export const SCRIPTS = {
  ocfClaim: { lua: claim, numberOfKeys: 2 },
  ocfRefresh: { lua: refresh, numberOfKeys: 2 },
  ocfFinish: { lua: finish, numberOfKeys: 2 },
  ocfAbandon: { lua: abandon, numberOfKeys: 2 },
  ocfDropEqual: { lua: dropEqual },
  ocfCharge: { lua: charge, numberOfKeys: 1 },
};

/** The methods that a client has by {@link SCRIPTS}. */
export interface Scripts {
  ocfClaim(
    record: string,
    working: string,
    bodyHash: string,
    runId: string,
    ttlMs: number,
  ): Promise<["claimed" | "running" | "mismatch", string] | ["done", string, string]>;
  ocfRefresh(record: string, working: string, runId: string, ttlMs: number): Promise<number>;
  ocfFinish(
    record: string,
    working: string,
    runId: string,
    keepMs: number,
    answer: string,
  ): Promise<number>;
  ocfAbandon(record: string, working: string, runId: string): Promise<number>;
  ocfCharge(bucket: string, costMs: number, force: 0 | 1): Promise<number>;
  ocfDropEqual(count: number, ...keysAndValue: string[]): Promise<number>;
}
