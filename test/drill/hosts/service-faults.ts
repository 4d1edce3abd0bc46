import { ETCD_UNIT } from "../../../components/etcd/plan.ts";
import { redisUnit } from "../../../components/redis/plan.ts";
import type { FleetStatus } from "../../../gateway/contract.ts";
import type { TestHost } from "../../hosts/support/host.ts";
import { pickBy } from "../schedule.ts";
import { type Applied, FaultImpossible, type Faults, NOTHING_TO_HEAL } from "../world.ts";
import type { HostContext } from "./faults.ts";

const REDIS_UNIT = redisUnit(0);
const REDIS_FOLDER = "/var/lib/openclaw-fleet-redis";

/** At once, as by a crash; systemd starts it again. */
const kill = (host: TestHost, unit: string) =>
  host.run(["systemctl", "kill", "--signal=SIGKILL", unit]);

/** At once, and it stays away. */
async function killForGood(host: TestHost, unit: string): Promise<void> {
  await kill(host, unit);
  await host.run(["systemctl", "stop", unit]);
}

const start = (host: TestHost, unit: string) => host.run(["systemctl", "start", unit]);

const allShards = (status: FleetStatus): string[] => status.shards.map(({ id }) => id);

/** Kills one unit on some hosts until it is healed. */
async function away(
  hosts: readonly TestHost[],
  unit: string,
  applied: Pick<Applied, "shards" | "target">,
): Promise<Applied> {
  await Promise.all(hosts.map((host) => killForGood(host, unit)));
  const heal = async () => {
    await Promise.all(hosts.map((host) => start(host, unit)));
    return "started again";
  };
  return { ...applied, detail: `SIGKILL to ${unit}`, heal };
}

/** The host that the Sentinels call master. They write it into their own settings. */
async function redisMaster(context: HostContext): Promise<TestHost> {
  const { hosts } = context.world.lab;
  for (const host of hosts) {
    const text = await host.readFile(`${REDIS_FOLDER}/sentinel/sentinel.conf`);
    const address = /^sentinel monitor fleet (\S+) /m.exec(text ?? "")?.[1];
    const master = hosts.find((one) => one.address === address);
    if (master) return master;
  }
  throw new FaultImpossible("no Sentinel names a master");
}

async function etcdLeader(context: HostContext): Promise<TestHost> {
  const leader = await context.world.etcd.leader();
  if (!leader) throw new FaultImpossible("etcd has no leader");
  return leader;
}

/** What can be done to the services that a fleet on hosts leans on. */
export const SERVICE_FAULTS: Faults<HostContext> = {
  "etcd-member": async (context, planned, status) => {
    const leader = await etcdLeader(context);
    const host = pickBy(
      context.world.lab.hosts.filter((one) => one !== leader),
      planned.victim,
    );
    context.mark?.();
    await kill(host, ETCD_UNIT);
    const detail = "SIGKILL to a member that follows";
    return { target: host.name, shards: allShards(status), detail, heal: NOTHING_TO_HEAL };
  },

  "etcd-leader": async (context, _planned, status) => {
    const leader = await etcdLeader(context);
    context.mark?.();
    await kill(leader, ETCD_UNIT);
    const detail = "SIGKILL to the leader";
    return { target: leader.name, shards: allShards(status), detail, heal: NOTHING_TO_HEAL };
  },

  "etcd-two": async (context, planned, status) => {
    const { hosts } = context.world.lab;
    const spared = pickBy(hosts, planned.victim);
    const hit = hosts.filter((host) => host !== spared);
    context.mark?.();
    const target = hit.map(({ name }) => name).join(", ");
    return await away(hit, ETCD_UNIT, { target, shards: allShards(status) });
  },

  "redis-master": async (context, _planned, status) => {
    const master = await redisMaster(context);
    context.mark?.();
    return await away([master], REDIS_UNIT, { target: master.name, shards: allShards(status) });
  },

  "redis-all": async (context, _planned, status) => {
    context.mark?.();
    const shards = allShards(status);
    return await away(context.world.lab.hosts, REDIS_UNIT, { target: "all servers", shards });
  },

  "redis-empty": async (context, _planned, status) => {
    const { hosts } = context.world.lab;
    context.mark?.();
    await Promise.all(hosts.map((host) => killForGood(host, REDIS_UNIT)));
    await Promise.all(
      hosts.map((host) => host.run(["rm", "-rf", `${REDIS_FOLDER}/1/appendonlydir`])),
    );
    await Promise.all(hosts.map((host) => start(host, REDIS_UNIT)));
    const detail = "SIGKILL to all servers, their files removed, started again";
    const shards = allShards(status);
    return { target: "all servers", shards, detail, heal: NOTHING_TO_HEAL };
  },
};
