import { adoptionFault, usersOf } from "../replication/adopt.ts";
import type { ReplicationAgent } from "../replication/agent.ts";
import { FleetCommandError, type StateControl } from "../router/view.ts";
import type { ShardHost } from "../supervisor/shard-host.ts";

/** What people may ask of the state of shards, on this node. */
export function stateControl(host: ShardHost, replica: ReplicationAgent | null): StateControl {
  const replicas = (): ReplicationAgent => {
    if (replica) return replica;
    throw new FleetCommandError(
      "conflict",
      "shards of this fleet are not replicated: their state is on this machine alone, and there are no backups",
    );
  };
  const orConflict = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      if (error instanceof FleetCommandError) throw error;
      throw new FleetCommandError("conflict", (error as Error).message);
    }
  };
  return {
    points: (shard) => orConflict(() => replicas().points(shard)),
    drill: (shard) => orConflict(() => replicas().drill(shard)),
    replace: async (shard, replacement) => {
      if (replacement.kind === "directory") {
        const { path } = replacement;
        const fault = await adoptionFault(path);
        if (fault) throw new FleetCommandError("bad_request", fault);
        const users = usersOf(path);
        if (users.length > 0) {
          const pids = users.join(", ");
          throw new FleetCommandError(
            "conflict",
            `an OpenClaw runs on ${path} (process ${pids}); stop it first, two gateways on one bot would both answer`,
          );
        }
      } else {
        const known = await orConflict(() => replicas().isPoint(shard, replacement));
        if (!known) {
          throw new FleetCommandError(
            "bad_request",
            `${shard} has no moment ${replacement.place}; GET /api/v1/fleet/backups lists them`,
          );
        }
      }
      const why = host.replace(shard, replacement);
      if (why) throw new FleetCommandError("conflict", why);
    },
  };
}
