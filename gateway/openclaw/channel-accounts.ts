import { isObject, type JsonObject } from "./json.ts";

/** One bot of a channel, by OpenClaw's names. */
export interface ChannelAccount {
  channel: string;
  account: string;
}

/** The bots in an answer to `channels.status`, each with what OpenClaw says of it. */
export function accountsIn(status: unknown): (ChannelAccount & { state: JsonObject })[] {
  const channels =
    isObject(status) && isObject(status.channelAccounts) ? status.channelAccounts : {};
  return Object.entries(channels).flatMap(([channel, accounts]) =>
    (Array.isArray(accounts) ? accounts : [])
      .filter(isObject)
      .map((state) => ({ channel, account: String(state.accountId), state })),
  );
}

/** When the newest message came in, ms since 1970 by the gateway's clock; null: none has since it started. */
export function newestInbound(status: unknown): number | null {
  const times = accountsIn(status).flatMap(({ state: { lastInboundAt } }) =>
    typeof lastInboundAt === "number" ? [lastInboundAt] : [],
  );
  return times.length === 0 ? null : Math.max(...times);
}
