import { ConfigError } from "../errors.ts";
import type { HostFacts, HostPorts } from "../host/types.ts";

/** Runs Redis; not the package's own user, whose name differs between distributions. */
export const REDIS_USER = "openclaw-redis";

/** `single`: one server. `sentinel`: a master, replicas, and Sentinels that choose. `cluster`: three masters with replicas. */
export type RedisMode = "single" | "sentinel" | "cluster";

/** Masters of a cluster, and copies of each beside it: the table's (DESIGN, presets). */
export const CLUSTER = { masters: 3, replicas: 2 } as const;
/** Servers with Sentinels: a master and two replicas. */
const SENTINEL_SERVERS = 3;
/** Sentinels, of which {@link QUORUM} decide. */
const SENTINELS = 3;
export const QUORUM = 2;

/** One server on a host. */
export interface RedisServerPlace {
  readonly host: HostFacts;
  readonly port: number;
  /** Which of its host's servers it is, from 0. */
  readonly index: number;
  /** Which part of the data it holds; 0 but in a cluster. */
  readonly shard: number;
  /** True where it begins as a master; later whoever was chosen is. */
  readonly first: boolean;
}

export interface RedisLayout {
  readonly mode: RedisMode;
  readonly servers: readonly RedisServerPlace[];
  readonly sentinels: readonly HostFacts[];
}

/** Which hosts carry what. Witnesses only vote. Throws ConfigError when there are too few. */
export function redisLayout(
  hosts: readonly HostFacts[],
  ports: Pick<HostPorts, "redis">,
  mode: RedisMode,
): RedisLayout {
  const holding = hosts.filter(({ witness }) => !witness);
  const need = { single: 1, sentinel: 2, cluster: 3 }[mode];
  if (holding.length < need) {
    throw new ConfigError(
      "hosts",
      `are ${holding.length} that run shards, and Redis with mode ${mode} needs ${need}`,
      "Add hosts, choose a smaller preset, or name a Redis of your own in redis.url",
    );
  }
  if (mode === "cluster") return { mode, servers: clusterServers(holding, ports), sentinels: [] };
  const carriers = holding.slice(0, mode === "single" ? 1 : SENTINEL_SERVERS);
  const servers = carriers.map((host, n) => ({
    host,
    port: ports.redis,
    index: 0,
    shard: 0,
    first: n === 0,
  }));
  if (mode === "single") return { mode, servers, sentinels: [] };
  const others = hosts.filter((host) => !carriers.includes(host));
  const sentinels = [...carriers, ...others].slice(0, SENTINELS);
  if (sentinels.length < SENTINELS) {
    throw new ConfigError(
      "hosts",
      `are ${hosts.length}, and of two Sentinels none may decide when one is lost`,
      "Add a third host; one with witness: true is enough",
    );
  }
  return { mode, servers, sentinels };
}

/** Each copy on another host than its like; of those, on the one with the fewest. */
function clusterServers(
  hosts: readonly HostFacts[],
  ports: Pick<HostPorts, "redis">,
): RedisServerPlace[] {
  const copies = 1 + Math.min(CLUSTER.replicas, hosts.length - 1);
  const servers: RedisServerPlace[] = [];
  for (let copy = 0; copy < copies; copy++) {
    for (let shard = 0; shard < CLUSTER.masters; shard++) {
      const on = (host: HostFacts) => servers.filter((server) => server.host === host);
      const [host] = hosts
        .filter((each) => !on(each).some((server) => server.shard === shard))
        .sort((one, other) => on(one).length - on(other).length) as [HostFacts];
      const index = on(host).length;
      servers.push({ host, port: ports.redis + index, index, shard, first: copy === 0 });
    }
  }
  return servers;
}
