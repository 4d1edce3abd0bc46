import type { FleetStatus } from "./contract.ts";

/** What one look at a fleet comes to. */
export interface FleetReadiness {
  /**
   * Every shard serves, no node is lost, the lease store answers. `up` ends with it, `doctor` and
   * `status --check` judge by it, `GET /api/v1/health` says it.
   */
  ready: boolean;
  /** `ok`: ready, and every node may take shards. `down`: nothing serves. */
  level: "ok" | "degraded" | "down";
  serving: number;
  total: number;
  /** Why it is not ok, the gravest first; empty when it is. */
  causes: string[];
}

type Looked = Pick<FleetStatus, "store"> & {
  shards: readonly Pick<FleetStatus["shards"][number], "id" | "state">[];
  nodes: readonly Pick<FleetStatus["nodes"][number], "id" | "state">[];
};

/** A shard that drains takes requests until the moment it hands over. */
export function shardServes(shard: Pick<FleetStatus["shards"][number], "state">): boolean {
  return shard.state === "serving" || shard.state === "draining";
}

/** Why a newer OpenClaw does not come to every shard, and what to do; null: nothing is in its way. */
export function updateFault({
  fleet,
  update,
}: Pick<FleetStatus, "fleet" | "update">): string | null {
  if (!update?.refused) return null;
  const { to, waiting, refused } = update;
  return (
    `OpenClaw ${to} failed on shard ${refused.shard}, which went back to what it ran, with its state from before: ` +
    `${refused.why}\nIt stays as it was on ${waiting.join(", ")}. Mend what it says (settings that change, or ` +
    `./fleet move ${refused.shard} NODE --stack ${fleet}, try it again), or deploy another version`
  );
}

/** The turn by which a deployment, or an OpenClaw on trial, proves that it answers; in a session of its own. */
export const CHECK_TURN = { session: "fleet-check", message: "Please answer with OK." } as const;

/** The one judgement of a fleet: whoever says how it is asks here. */
export function readiness(status: Looked): FleetReadiness {
  const missing = status.shards.filter((shard) => !shardServes(shard));
  const lost = status.nodes.filter((node) => node.state === "lost");
  const resting = status.nodes.filter((node) => node.state === "maintenance");
  const faults = [
    ...lost.map(({ id }) => `node ${id} lost`),
    ...missing.map(({ id, state }) => `${id} ${state}`),
    ...(status.store.ok ? [] : ["lease store down"]),
  ];
  const causes = [...faults, ...resting.map(({ id }) => `node ${id} in maintenance`)];
  const total = status.shards.length;
  const serving = total - missing.length;
  const level = serving === 0 && total > 0 ? "down" : causes.length === 0 ? "ok" : "degraded";
  return { ready: faults.length === 0 && level !== "down", level, serving, total, causes };
}
