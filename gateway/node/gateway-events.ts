import type { FleetConfig } from "../config.ts";
import type { ShardId } from "../contract.ts";
import type { FleetMetrics } from "../observe/metrics.ts";
import type { GatewayPort, UsageEvent } from "../openclaw/port.ts";

/** Cron jobs of the settings that run on this shard: those of the agents whose home it is. */
export function cronJobs(config: FleetConfig, shard: ShardId) {
  return config.agents
    .filter((agent) => agent.homeShard === shard)
    .flatMap((agent) => {
      // Without a channel an announcement has nowhere to go and counts as a failure of the job.
      const announce = Object.keys(agent.channels).length > 0;
      return agent.cron.map((job) => ({ agent: agent.name, announce, ...job }));
    });
}

const TOKEN_KINDS = ["input", "output", "cacheRead", "cacheWrite"] as const;

/** Counts what a gateway says of its turns. */
export function countUsage(metrics: FleetMetrics, gateway: GatewayPort): void {
  gateway.onUsage((usage: UsageEvent) => {
    const { agent } = usage;
    for (const kind of TOKEN_KINDS) {
      const tokens = usage[kind];
      if (tokens)
        metrics.tokens.inc(
          { agent, kind: kind.replace(/[A-Z]/, (c) => `_${c.toLowerCase()}`) },
          tokens,
        );
    }
    for (const { kind, count } of usage.toolCalls ?? [])
      metrics.toolCalls.inc({ agent, kind }, count);
  });
}
