import type { AgentConfig } from "../config.ts";
import { GatewayConfigError, isObject, type JsonObject, mergeDeep } from "./json.ts";

/** Channels whose configuration knows no accounts (schema of OpenClaw 2026.9.6): one bot a gateway. */
const SINGLE_ACCOUNT = new Set(["a2a", "msteams", "nostr", "reef", "synology-chat"]);

/** Fields that a channel knows beside its accounts only (schema of OpenClaw 2026.9.6). */
const CHANNEL_WIDE: Record<string, readonly string[]> = {
  clickclack: ["historyLimit"],
  feishu: ["stickerSets", "dynamicAgentCreation"],
  "qa-channel": ["historyLimit"],
  tlon: ["authorization", "defaultAuthorizedShips"],
  twitch: ["markdown", "historyLimit"],
  whatsapp: ["actions"],
  zalo: ["historyLimit"],
};

/** Keys of OpenClaw's `channels` that are no channels. They connect nothing, so every shard has them. */
const NO_CHANNEL = new Set(["defaults", "modelByChannel"]);

/**
 * Channels and bindings of the agents that are at home on a shard. Each agent's bot is an account
 * named like the agent, also while it is the only one: what OpenClaw stores by account (pairings,
 * offsets) then stays valid when a second agent gets the same channel. `raw` are the fleet's raw
 * channel settings; those of a channel that has no bot here are left out, since OpenClaw would
 * connect it on every shard.
 */
export function planChannels(
  home: AgentConfig[],
  raw: unknown,
): { channels: JsonObject; bindings: JsonObject[] } {
  const channels: JsonObject = {};
  const bindings: JsonObject[] = [];
  const holder: Record<string, string> = {};
  for (const agent of home) {
    for (const [channel, fields] of Object.entries(agent.channels)) {
      if (SINGLE_ACCOUNT.has(channel)) {
        if (holder[channel] !== undefined) throw twoBots(channel, holder[channel], agent.name);
        channels[channel] = fields;
        bindings.push(binding(agent.name, channel, "*"));
      } else if (isObject(fields.accounts)) {
        const taken = isObject(channels[channel]) ? channels[channel].accounts : undefined;
        for (const account of Object.keys(fields.accounts)) {
          if (isObject(taken) && account in taken) {
            throw new GatewayConfigError(
              `agents ${holder[channel]} and ${agent.name} both name an account ${account} of ${channel}`,
            );
          }
          bindings.push(binding(agent.name, channel, account));
        }
        channels[channel] = mergeDeep((channels[channel] ?? {}) as JsonObject, fields);
      } else {
        const wide = CHANNEL_WIDE[channel] ?? [];
        const own = Object.entries(fields).filter(([key]) => !wide.includes(key));
        const shared = Object.entries(fields).filter(([key]) => wide.includes(key));
        channels[channel] = mergeDeep((channels[channel] ?? {}) as JsonObject, {
          ...Object.fromEntries(shared),
          accounts: { [agent.name]: Object.fromEntries(own) },
        });
        bindings.push(binding(agent.name, channel, agent.name));
      }
      holder[channel] = agent.name;
    }
  }
  for (const [channel, config] of Object.entries(channels)) {
    if (!isObject(config) || !isObject(config.accounts) || "defaultAccount" in config) continue;
    const first = Object.keys(config.accounts)[0];
    if (first !== undefined) channels[channel] = { ...config, defaultAccount: first };
  }
  if (!isObject(raw)) return { channels, bindings };
  const wanted = Object.entries(raw).filter(([key]) => NO_CHANNEL.has(key) || key in channels);
  return { channels: mergeDeep(channels, Object.fromEntries(wanted)), bindings };
}

/** The account that an agent's own bot has on a channel; undefined: OpenClaw's default one. */
export function accountOf(agent: AgentConfig, channel: string): string | undefined {
  const fields = agent.channels[channel];
  const named = fields !== undefined && !SINGLE_ACCOUNT.has(channel) && !isObject(fields.accounts);
  return named ? agent.name : undefined;
}

function binding(agentId: string, channel: string, accountId: string): JsonObject {
  return { agentId, match: { channel, accountId } };
}

function twoBots(channel: string, first: string, second: string): GatewayConfigError {
  return new GatewayConfigError(
    `agents ${first} and ${second} share a shard and both have the channel ${channel}, of which one ` +
      "gateway can run one; give one of them `placement: dedicated`",
  );
}
