import type { NodeConfig } from "../config.ts";

type Environment = Readonly<Record<string, string | undefined>>;

const LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"];

/**
 * What a node is, by its file and by the variables that it was started with. The cron of its gateways is
 * another one of those (gateway/openclaw/launch.ts). Throws an Error with every fault.
 */
export function withEnvironment(node: NodeConfig, env: Environment): NodeConfig {
  const { OPENCLAW_INSTANCE_ID: id, OPENCLAW_FLEET_LOG_LEVEL: level } = env;
  const faults: string[] = [];
  // Directories, certificates and leases have the node's name already: another one would be half a node.
  if (id && id !== node.id) {
    faults.push(
      `OPENCLAW_INSTANCE_ID is ${id}, but this is node ${node.id}: set it to that, or leave it out. ` +
        "Nodes are named where the fleet is described",
    );
  }
  if (level !== undefined && !LEVELS.includes(level)) {
    faults.push(`OPENCLAW_FLEET_LOG_LEVEL is "${level}": set it to one of ${LEVELS.join(", ")}`);
  }
  if (faults.length > 0) throw new Error(faults.join("\n"));
  const redisUrl = env.OPENCLAW_REDIS_URL || node.redisUrl;
  return redisUrl === undefined ? node : { ...node, redisUrl };
}
