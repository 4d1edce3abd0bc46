import type { FleetConfig } from "../config.ts";
import type { ShardId } from "../contract.ts";
import { accountOf } from "../openclaw/channels.ts";
import type { CronJobWish } from "../openclaw/cron.ts";

/** Cron jobs of the settings that run on this shard: those of the agents whose home it is. */
export function cronJobs(config: FleetConfig, shard: ShardId): CronJobWish[] {
  return config.agents
    .filter((agent) => agent.homeShard === shard)
    .flatMap((agent) =>
      agent.cron.map(({ deliver, ...job }) => {
        const account = deliver && accountOf(agent, deliver.channel);
        const to = deliver && { ...deliver, ...(account === undefined ? {} : { account }) };
        return { agent: agent.name, ...job, ...(to ? { deliver: to } : {}) };
      }),
    );
}
