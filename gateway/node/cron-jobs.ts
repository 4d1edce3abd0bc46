import type { FleetConfig } from "../config.ts";
import type { ShardId } from "../contract.ts";

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
