import type { ChannelsReport } from "../contract.ts";
import { accountsIn } from "./channel-accounts.ts";
import type { JsonObject } from "./json.ts";

/** Longest reason that is published, characters: it goes with every renewal of the node. */
const MAX_WHY = 300;
/** A bot's token, as it stands in the addresses of Telegram. */
const TOKEN = /\d{3,}:[\w-]{20,}/g;

/** How many bots an answer to `channels.status` shows, and which of them reach nobody. */
export function channelsReport(status: unknown): ChannelsReport {
  const wanted = accountsIn(status).filter(({ account, state }) => isWanted(account, state));
  const down = wanted.flatMap(({ channel, account, state }) => {
    const why = faultOf(state);
    if (why === null) return [];
    const text = why.replace(TOKEN, "***").slice(0, MAX_WHY);
    return [{ bot: `${channel}/${account}`, why: text }];
  });
  return { bots: wanted.length, down };
}

/** OpenClaw shows `default` also of channels that nobody configured; ours are named like their agents. */
const isWanted = (account: string, { enabled, configured }: JsonObject) =>
  enabled !== false && (configured !== false || account !== "default");

/** Why nobody is reached by the bot; null: it works, or is only just connecting. */
function faultOf(state: JsonObject): string | null {
  const { configured, lifecycle, terminalDisconnect, running, connected } = state;
  const said =
    typeof state.lastError === "string" && state.lastError !== "" ? state.lastError : null;
  if (configured === false) return said ?? "its settings are not complete";
  // A refused token: OpenClaw does not try it again.
  if (lifecycle === "blocked" || terminalDisconnect === true) return said ?? "it is blocked";
  if (running === false) return said ?? "it does not run";
  const tried = typeof state.reconnectAttempts === "number" && state.reconnectAttempts > 0;
  if (connected === false && (said !== null || tried)) return said ?? "it does not get connected";
  return null;
}
