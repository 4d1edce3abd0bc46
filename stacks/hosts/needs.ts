import { etcdMembers } from "../../components/etcd/plan.ts";
import type { HostFacts, HostPlan } from "../../components/host/types.ts";
import { HOST_PORTS } from "../../components/host/types.ts";
import { WATCH_MEMORY_MIB, WATCH_PORTS } from "../../components/prometheus/catalog.ts";
import { redisLayout } from "../../components/redis/layout.ts";
import { redisMemoryMiB } from "../../components/redis/plan.ts";
import { REPLICAS_UNIT } from "../../components/replica-target/plan.ts";
import type { HostNeeds } from "../../plugin/host/preflight.ts";
import type { HostArch } from "../../toolchain/host-release.ts";
import type { FleetPlan } from "../presets.ts";
import type { HostsPlan } from "./plan.ts";

/** What only votes and serves sessions, MiB: etcd with 2 GiB of quota used lightly, and a system. */
const WITNESS_MEMORY_MIB = 512;
const WITNESS_DATA_MIB = 2_048;
/** A member of etcd with what a fleet keeps in it, MiB: 53 on hosts that just started, and as much again for its history. */
const ETCD_MEMORY_MIB = 128;

interface NeedsOf {
  readonly plan: HostsPlan;
  readonly sizing: FleetPlan;
  /** `redis.memoryMiB` of the settings; undefined: as its plan says. */
  readonly redisMemory?: number | undefined;
}

/** What a host must be and have before anything is changed there. Pure. */
export function hostNeeds(
  fleet: string,
  self: HostFacts & { readonly arch: HostArch },
  made: HostPlan,
  { plan, sizing, redisMemory }: NeedsOf,
): HostNeeds {
  const ports: Record<string, string> = {};
  const take = (port: number, what: string) => {
    ports[String(port)] = what;
  };
  if (!self.witness) {
    take(HOST_PORTS.local, "the router, for the host itself");
    take(HOST_PORTS.router, "the router, for fronts");
    take(HOST_PORTS.peer, "the router, for other routers");
    if (REPLICAS_UNIT in made.units) take(HOST_PORTS.sftp, "replicas of other hosts");
  }
  if (plan.several && etcdMembers(plan.hosts).includes(self.name)) {
    take(HOST_PORTS.etcdClient, "etcd, for nodes");
    take(HOST_PORTS.etcdPeer, "etcd, for its members");
  }
  if (plan.redis) {
    const { servers, sentinels } = redisLayout(plan.hosts, HOST_PORTS, plan.redis);
    for (const { host, port } of servers) if (host.name === self.name) take(port, "Redis");
    if (sentinels.some(({ name }) => name === self.name)) {
      take(HOST_PORTS.sentinel, "Redis Sentinel");
    }
  }
  if (plan.front?.fronts.some(({ name }) => name === self.name)) {
    take(plan.front.httpPort, "the front, redirecting to HTTPS");
    take(plan.front.httpsPort, "the front");
  }
  if (plan.watching) {
    take(WATCH_PORTS.machine, "the node exporter");
    if (plan.watching === self.name) {
      for (const [program, port] of Object.entries(WATCH_PORTS))
        take(port, `monitoring (${program})`);
    }
  }
  return {
    fleet,
    node: self.name,
    arch: self.arch,
    ...memoryOf(self, { plan, sizing, redisMemory }),
    dataMiB: self.witness ? WITNESS_DATA_MIB : sizing.machine.diskMiB,
    ports,
    units: Object.keys(made.units).sort(),
  };
}

/**
 * What the plan puts on a host at once, MiB: after the loss of another one, with Redis full. Never less than the
 * preset's, which is that of a whole host.
 */
function memoryOf(
  { name, witness }: HostFacts,
  { plan, sizing, redisMemory }: NeedsOf,
): Pick<HostNeeds, "memoryMiB" | "memoryOf"> {
  const parts: Record<string, number> = witness
    ? { "etcd and the system": WITNESS_MEMORY_MIB }
    : { "the node with its shards": sizing.loss.memoryMiBPerNode };
  const add = (what: string, mib: number) => {
    if (mib > 0) parts[what] = mib;
  };
  if (plan.redis) {
    const layout = redisLayout(plan.hosts, HOST_PORTS, plan.redis);
    add("Redis", redisMemoryMiB(layout, name, redisMemory));
  }
  if (!witness && plan.several && etcdMembers(plan.hosts).includes(name)) {
    add("etcd", ETCD_MEMORY_MIB);
  }
  const { machine, watcher } = WATCH_MEMORY_MIB;
  if (plan.watching) add("monitoring", machine + (plan.watching === name ? watcher : 0));
  const sum = Object.values(parts).reduce((all, mib) => all + mib, 0);
  const least = witness ? 0 : sizing.node.memoryMiB;
  return sum < least ? { memoryMiB: least, memoryOf: {} } : { memoryMiB: sum, memoryOf: parts };
}
