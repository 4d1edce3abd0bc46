import type { ShardId } from "../contract.ts";
import type { FleetMetrics } from "../observe/metrics.ts";
import type { RunnerDeps, RunnerEvent } from "../shard/types.ts";

/** Counts the changes of state that a runner logs. */
export function countTransitions(
  metrics: Pick<FleetMetrics, "shardTransitions">,
): NonNullable<RunnerDeps["onTransition"]> {
  return (shard, from, _event, to) => {
    if (to !== null && to !== from) metrics.shardTransitions.inc({ shard, to });
  };
}

/** Counts what a runner tells that is no change of state. */
export function countEvent(
  metrics: Pick<FleetMetrics, "gatewayRestarts" | "turnsCut">,
  shard: ShardId,
  event: RunnerEvent,
): void {
  if (event.type === "restarted") metrics.gatewayRestarts.inc({ shard, reason: event.reason });
  if (event.type === "turns-cut") metrics.turnsCut.inc({ shard }, event.turns);
}
