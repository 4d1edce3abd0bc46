import { join } from "node:path";
import type { Clock } from "../clock.ts";
import type { NodeId, ShardId } from "../contract.ts";
import type { Timers } from "../shard/timers.ts";
import { DirectoryTarget } from "./directory-target.ts";
import { Bandwidth, limited } from "./limited-target.ts";
import { PeerSites } from "./peer-sites.ts";
import { openS3Target } from "./s3-target.ts";
import type { ReplicationConfig } from "./settings.ts";
import { oneSite, type Sites } from "./sites.ts";
import type { ReplicaTarget } from "./target.ts";

/** The sites of a node's settings, and how to tell them where each shard's replica should be. */
export interface OpenSites extends Sites {
  /** Hosts of each shard's replica, best first. Of no effect where there is one target for all. */
  prefer(preferred: Record<ShardId, readonly NodeId[]>): void;
  /** Every site that may hold something of a shard, by name; null: the only one. */
  all(shard: ShardId): [NodeId | null, ReplicaTarget][];
  close(): Promise<void>;
}

/** Opens where a node replicates to. Nothing is contacted before it is used. */
export function openSites(
  { target, bytesPerSecond }: ReplicationConfig,
  facts: { fleet: string; node: NodeId; clock: Clock; timers: Timers },
): OpenSites {
  const bandwidth =
    bytesPerSecond === undefined ? null : new Bandwidth(bytesPerSecond, facts.clock, facts.timers);
  const within = (one: ReplicaTarget) => (bandwidth ? limited(one, bandwidth) : one);
  if (target.kind === "sftp") return new PeerSites(target, facts.node, within);
  const open =
    target.kind === "directory"
      ? (shard: ShardId) => new DirectoryTarget(join(target.path, shard))
      : openS3Target(target);
  const targets = new Map<ShardId, ReplicaTarget>();
  const of = (shard: ShardId): ReplicaTarget => {
    const known = targets.get(shard) ?? within(open(shard));
    targets.set(shard, known);
    return known;
  };
  return {
    ...oneSite(of),
    prefer: () => {},
    all: (shard) => [[null, of(shard)]],
    close: async () => {},
  };
}
