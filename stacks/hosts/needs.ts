import { etcdMembers } from "../../components/etcd/plan.ts";
import type { HostFacts, HostPlan } from "../../components/host/types.ts";
import { HOST_PORTS } from "../../components/host/types.ts";
import { WATCH_PORTS } from "../../components/prometheus/catalog.ts";
import { redisLayout } from "../../components/redis/layout.ts";
import { REPLICAS_UNIT } from "../../components/replica-target/plan.ts";
import type { HostNeeds } from "../../plugin/host/preflight.ts";
import type { HostArch } from "../../toolchain/host-release.ts";
import type { FleetPlan } from "../presets.ts";
import type { HostsPlan } from "./plan.ts";

/** What only votes and serves sessions, MiB: etcd with 2 GiB of quota used lightly, and a system. */
const WITNESS_MEMORY_MIB = 512;
const WITNESS_DATA_MIB = 2_048;

/** What a host must be and have before anything is changed there. Pure. */
export function hostNeeds(
  fleet: string,
  self: HostFacts & { readonly arch: HostArch },
  made: HostPlan,
  { plan, sizing }: { readonly plan: HostsPlan; readonly sizing: FleetPlan },
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
    memoryMiB: self.witness ? WITNESS_MEMORY_MIB : sizing.node.memoryMiB,
    dataMiB: self.witness ? WITNESS_DATA_MIB : sizing.machine.diskMiB,
    ports,
    units: Object.keys(made.units).sort(),
  };
}
