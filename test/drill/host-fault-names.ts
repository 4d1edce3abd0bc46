import type { FaultFacts } from "./fault-names.ts";

const AT_ONCE = { least: 0, most: 0 };
/** Longer than a lease lasts, with those that then take the shards under way. */
const BEYOND_LEASE = { least: 15_000, most: 30_000 };
const common = { leastNodes: 3, mustMs: null };

/** Faults that only a fleet of hosts has. */
export const HOST_FAULTS = {
  "power-off": {
    ...common,
    losesHost: "gone",
    kind: "crash",
    title: "a host without power",
    holdMs: BEYOND_LEASE,
    mustMs: 25_000,
  },
  "power-off-all": {
    ...common,
    losesHost: "gone",
    kind: "crash",
    title: "all hosts without power at once",
    holdMs: { least: 1_000, most: 5_000 },
  },
  reboot: { ...common, kind: "crash", title: "a host rebooted", holdMs: AT_ONCE },
  "lost-before-manifest": {
    ...common,
    losesHost: "gone",
    kind: "crash",
    title: "a host lost before its new epoch had a manifest",
    holdMs: AT_ONCE,
  },
  "drop-network": {
    ...common,
    losesHost: "cut",
    kind: "pause",
    title: "a host's network dropped",
    holdMs: BEYOND_LEASE,
  },
  "cut-from-hosts": {
    ...common,
    losesHost: "cut",
    kind: "pause",
    title: "a host cut off from the other hosts alone",
    holdMs: BEYOND_LEASE,
  },
  "cut-one-way": {
    ...common,
    losesHost: "cut",
    kind: "pause",
    title: "a partition in one direction",
    holdMs: BEYOND_LEASE,
  },
  "slow-network": {
    ...common,
    kind: "pause",
    title: "a slow network",
    holdMs: { least: 20_000, most: 30_000 },
  },
  "pause-host": {
    ...common,
    losesHost: "gone",
    kind: "pause",
    title: "a host paused beyond the lease",
    holdMs: BEYOND_LEASE,
  },
  "late-upload": {
    ...common,
    losesHost: "gone",
    kind: "crash",
    title: "a late upload after a seal, and its reader lost",
    holdMs: AT_ONCE,
  },
  "etcd-member": { ...common, kind: "store", title: "an etcd member killed", holdMs: AT_ONCE },
  "etcd-leader": { ...common, kind: "store", title: "etcd's leader killed", holdMs: AT_ONCE },
  "etcd-two": {
    ...common,
    kind: "pause",
    title: "two etcd members killed",
    holdMs: BEYOND_LEASE,
  },
  "redis-master": {
    ...common,
    kind: "store",
    title: "Redis's master killed",
    holdMs: { least: 15_000, most: 25_000 },
  },
  "redis-empty": { ...common, kind: "store", title: "Redis restarted empty", holdMs: AT_ONCE },
  "redis-all": {
    ...common,
    kind: "store",
    title: "all of Redis killed",
    holdMs: { least: 15_000, most: 25_000 },
  },
  "step-clock": {
    ...common,
    kind: "clock",
    title: "a host's clock stepped by a minute",
    holdMs: { least: 20_000, most: 30_000 },
  },
  "fill-disk": {
    ...common,
    kind: "full",
    title: "a host's disk filled",
    holdMs: { least: 20_000, most: 30_000 },
  },
} as const satisfies Record<string, FaultFacts>;
