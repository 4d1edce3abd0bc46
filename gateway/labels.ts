/**
 * Labels of a fleet's objects in Kubernetes. What makes them, what watches them and the policies that
 * judge them agree on these. Plain data, imports nothing.
 */
export const LABEL = {
  /** On pods and their owners: the one shard whose state they own. */
  shard: "openclaw-fleet/shard",
  /** On pods and their owners: what they do, e.g. `router`, `gateway`. */
  role: "openclaw-fleet/role",
} as const;

/** Value of {@link LABEL.role} of what takes requests and finds their shard. */
export const ROUTER_ROLE = "router";
