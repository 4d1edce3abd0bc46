import { CLUSTER_LAWS } from "./laws/cluster.ts";
import { DATA_LAWS } from "./laws/data.ts";
import { EDGE_LAWS } from "./laws/edge.ts";
import { HOSTS_LAWS } from "./laws/hosts.ts";
import type { Law } from "./laws/law.ts";
import { NETWORK_LAWS } from "./laws/network.ts";
import type { World } from "./world.ts";

export const LAWS: readonly Law[] = [
  ...NETWORK_LAWS,
  ...DATA_LAWS,
  ...EDGE_LAWS,
  ...HOSTS_LAWS,
  ...CLUSTER_LAWS,
];

/** Everything that is not as it should be, in words. */
export function audit(world: World): string[] {
  return LAWS.flatMap(({ says, broken }) => broken(world).map((what) => `${says}: ${what}`));
}
