/** Where things are inside the container. */
export const INSIDE = {
  release: "/opt/openclaw-fleet/release",
  config: "/etc/openclaw-fleet",
  data: "/var/lib/openclaw-fleet",
  /** Where Compose puts secrets. */
  secrets: "/run/secrets",
} as const;

/** Base of the image: the C library that Node and OpenClaw's packages want, and little else. */
export const BASE_IMAGE = "debian:12-slim";

/** Neither a person's nor a distribution's: a process that broke out would own nothing. */
export const CONTAINER_UID = 10_001;

/** The one node of a container. */
export const NODE_ID = "a";

/**
 * Longest stop of a node: turns in progress end, then the shards are given back. With a reserve, since what
 * comes after it is a kill.
 */
export const STOP_SECONDS = 330;

/** A first boot of every gateway on a small machine; the health check counts no failure before. */
export const START_SECONDS = 180;

/** Processes and threads of a node with ten gateways and their tools; a bomb is stopped, work is not. */
export const PIDS = 4_096;

/** What programs of the container may put into /tmp, which is memory. MiB */
export const TMP_MIB = 256;
