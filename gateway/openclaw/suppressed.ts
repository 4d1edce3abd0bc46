import { accountsIn, type ChannelAccount } from "./channel-accounts.ts";
import type { JsonObject } from "./json.ts";

/** What OpenClaw 2026.9.6 writes as `lastError` of an account that its breaker keeps down. */
const BREAKER = /restart-loop breaker|crash-loop breaker/;

/**
 * Which bots OpenClaw itself keeps down because its gateway was started too often without a clean
 * end, out of an answer to `channels.status`. `tripped`: an account says so, or `before` is true.
 *
 * While the breaker is tripped nothing that is wanted is started: neither what a change of settings
 * added (it shows no error at all) nor what such a change stopped. Without a sign of the breaker only
 * those count that nobody ever started or stopped; OpenClaw itself starts them in the same moment, or
 * never. A bot that is down for a reason of its own (disabled, without a token, about to be started
 * again, stopped by an administrator) is left alone.
 */
export function suppressedAccounts(
  status: unknown,
  before: boolean,
): { tripped: boolean; down: ChannelAccount[] } {
  const all = accountsIn(status);
  const tripped = before || all.some(({ state }) => saysBreaker(state));
  const down = all.filter(({ state }) => wanted(state) && (tripped || untouched(state)));
  return { tripped, down: down.map(({ channel, account }) => ({ channel, account })) };
}

const saysBreaker = ({ lastError }: JsonObject) =>
  typeof lastError === "string" && BREAKER.test(lastError);

const wanted = ({ running, enabled, configured, restartPending }: JsonObject) =>
  running !== true && enabled !== false && configured !== false && restartPending !== true;

const untouched = ({ lastStartAt, lastStopAt, lastError }: JsonObject) =>
  lastStartAt == null && lastStopAt == null && !lastError;
