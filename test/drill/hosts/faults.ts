import { readFileSync } from "node:fs";
import type { FleetStatus } from "../../../gateway/contract.ts";
import { hasOwnClock, stepClock } from "../../hosts/support/clocks.ts";
import type { TestHost } from "../../hosts/support/host.ts";
import type { TestHosts } from "../../hosts/support/lab.ts";
import { waitFor } from "../conditions.ts";
import { busyNode, GATEWAY_FAULTS, signal } from "../gateway-faults.ts";
import { allPids, readProcess } from "../processes.ts";
import type { Planned } from "../schedule.ts";
import {
  type Applied,
  FaultImpossible,
  type Faults,
  type FaultTools,
  type World,
} from "../world.ts";
import type { EtcdView } from "./leases.ts";
import { SERVICE_FAULTS } from "./service-faults.ts";
import { newOwner, plantLateManifest, seesManifest } from "./takeover.ts";

/** A fleet on real hosts. */
export interface HostsWorld extends World {
  readonly lab: TestHosts;
  readonly etcd: EtcdView;
}

export interface HostContext extends FaultTools {
  world: HostsWorld;
}

/** A slow mobile line, kbit/s: a conversation passes, a first replica takes minutes. */
const SLOW_KBIT = 2_000;
const GONE_MS = 120_000;
const STEP_SECONDS = 60;

interface Victim {
  host: TestHost;
  shards: string[];
  others: TestHost[];
}

/** A host that owns something, if there is one, and the others. */
function victim(context: HostContext, planned: Planned, status: FleetStatus): Victim {
  const { id, shards } = busyNode(status, planned);
  const { hosts } = context.world.lab;
  const host = context.world.lab.host(id);
  return { host, shards: [...shards], others: hosts.filter((one) => one !== host) };
}

/** The node's program on a host, below its keeper. */
function supervisorOn(host: TestHost) {
  for (const pid of allPids()) {
    const argv = argvOf(pid);
    if (!argv[1]?.endsWith("/runtime/node.js") || !host.has(pid)) continue;
    const info = readProcess(pid);
    if (info) return info;
  }
  throw new FaultImpossible(`host ${host.name} has no supervisor`);
}

function argvOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch {
    // It ended.
    return [];
  }
}

/** A fault of one host's network, ended by the host's own `heal`. */
function network(
  host: TestHost,
  shards: string[],
  detail: string,
): Pick<Applied, "target" | "shards" | "detail" | "heal"> {
  const heal = async () => {
    await host.heal();
    return "network as before";
  };
  return { target: host.name, shards, detail, heal };
}

/** What can be done to hosts, and to what runs on them. */
export const HOST_WORLD_FAULTS: Faults<HostContext> = {
  ...GATEWAY_FAULTS,
  ...SERVICE_FAULTS,

  "stop-supervisor": async (context, planned, status) => {
    const { host, shards } = victim(context, planned, status);
    const info = supervisorOn(host);
    context.mark?.();
    signal([info], "SIGSTOP");
    const heal = async () => (signal([info], "SIGCONT") > 0 ? "continued" : "it had been replaced");
    return { target: host.name, shards, detail: `SIGSTOP to process ${info.pid}`, heal };
  },

  "power-off": async (context, planned, status) => {
    const { host, shards } = victim(context, planned, status);
    context.mark?.();
    await host.powerOff();
    const heal = async () => {
      await host.start();
      return "switched on again";
    };
    return { target: host.name, shards, detail: "no power", heal };
  },

  "power-off-all": async (context, _planned, status) => {
    const { hosts } = context.world.lab;
    context.mark?.();
    await Promise.all(hosts.map((host) => host.powerOff()));
    const heal = async () => {
      await Promise.all(hosts.map((host) => host.start()));
      return "switched on again";
    };
    const shards = status.shards.map(({ id }) => id);
    return { target: "all hosts", shards, detail: "no power", heal };
  },

  reboot: async (context, planned, status) => {
    const { host, shards } = victim(context, planned, status);
    context.mark?.();
    // A reboot waits for turns of up to a minute; the load goes on meanwhile.
    const booted = host.reboot();
    booted.catch(() => {});
    const heal = async () => {
      await booted;
      return "booted";
    };
    return { target: host.name, shards, detail: "systemctl reboot", heal };
  },

  "lost-before-manifest": async (context, planned, status) => {
    const { host, shards } = victim(context, planned, status);
    const [shard] = shards;
    if (shard === undefined) throw new FaultImpossible("no host owns a shard");
    const before = await leaseOf(context, shard);
    context.mark?.();
    await host.powerOff();
    const { owner, epoch } = await newOwner(context, shard, before.epoch, GONE_MS);
    const second = context.world.lab.host(owner);
    await second.powerOff();
    const [left] = context.world.lab.hosts.filter((one) => one.running);
    const seen = left !== undefined && (await seesManifest(left, shard, epoch));
    const heal = async () => {
      await Promise.all([host.start(), second.start()]);
      return "both switched on again";
    };
    if (seen) {
      await heal();
      throw new FaultImpossible(`epoch ${epoch} of ${shard} had a manifest already`);
    }
    const detail = `no power on ${host.name}, and on ${owner} as soon as it had ${shard} under epoch ${epoch}`;
    const all = status.shards.map(({ id }) => id);
    return { target: `${host.name}, then ${owner}`, shards: all, detail, heal };
  },

  "late-upload": async (context, planned, status) => {
    const { host, shards } = victim(context, planned, status);
    const [shard] = shards;
    if (shard === undefined) throw new FaultImpossible("no host owns a shard");
    const before = await leaseOf(context, shard);
    context.mark?.();
    await host.freeze();
    let second: TestHost | null = null;
    const heal = async () => {
      try {
        const { owner } = await newOwner(context, shard, before.epoch, GONE_MS);
        await waitFor(`${owner} to serve ${shard}`, context.wholeMs, context.signal, async () => {
          const now = (await context.world.status()).shards.find(({ id }) => id === shard);
          return now?.owner === owner && now.state === "serving";
        });
        const at = context.world.lab.hosts.filter((one) => one.running && !one.frozen);
        const planted = await plantLateManifest(at, shard, before.epoch);
        await host.thaw();
        // Whoever takes it now reads what lies at the targets.
        second = context.world.lab.host(owner);
        applied.target = `${host.name}, then ${owner}`;
        await second.powerOff();
        await newOwner(context, shard, before.epoch + 1, GONE_MS);
        return `${planted}; ${owner}, the owner since, lost its power`;
      } finally {
        if (host.frozen) await host.thaw();
        if (second && !second.running) await second.start();
      }
    };
    const detail = "frozen in the middle of its work";
    const applied: Applied = { target: host.name, shards, detail, heal };
    return applied;
  },

  "drop-network": async (context, planned, status) => {
    const { host, shards } = victim(context, planned, status);
    context.mark?.();
    await host.cutNetwork();
    return network(host, shards, "all packets dropped");
  },

  "cut-from-hosts": async (context, planned, status) => {
    const { host, shards, others } = victim(context, planned, status);
    context.mark?.();
    await host.cutFrom(others);
    return network(host, shards, "packets from and to the other hosts dropped");
  },

  "cut-one-way": async (context, planned, status) => {
    const { host, shards, others } = victim(context, planned, status);
    const direction = planned.length < 0.5 ? "in" : "out";
    context.mark?.();
    await host.cutOneWay(direction, others);
    const words = direction === "in" ? "from" : "to";
    return network(host, shards, `packets ${words} the other hosts dropped`);
  },

  "slow-network": async (context, planned, status) => {
    const { host, shards } = victim(context, planned, status);
    context.mark?.();
    await host.slowNetwork(SLOW_KBIT);
    return network(host, shards, `${SLOW_KBIT / 1_000} Mbit/s in each direction`);
  },

  "pause-host": async (context, planned, status) => {
    const { host, shards } = victim(context, planned, status);
    context.mark?.();
    await host.freeze();
    const heal = async () => {
      await host.thaw();
      return "goes on";
    };
    return { target: host.name, shards, detail: "frozen", heal };
  },

  "step-clock": async (context, planned, status) => {
    const { host, shards } = victim(context, planned, status);
    const pids = [supervisorOn(host).pid, ...shards.map((id) => context.watch.gatewayOf(id))];
    const other = pids.find((pid) => pid === null || !hasOwnClock(pid));
    if (other !== undefined) throw new FaultImpossible(`process ${other} has this machine's clock`);
    context.mark?.();
    await stepClock(host, STEP_SECONDS);
    const heal = async () => {
      await stepClock(host, 0);
      return `${STEP_SECONDS} s back`;
    };
    return { target: host.name, shards, detail: `${STEP_SECONDS} s forward`, heal };
  },

  "fill-disk": async (context, planned, status) => {
    const { host, shards } = victim(context, planned, status);
    const before = shards.map((id) => context.watch.gatewayOf(id));
    context.mark?.();
    await host.fillDisk();
    const heal = async () => {
      await host.freeDisk();
      // Those that met the full disk are not whole again by themselves.
      await waitFor("new gateways", context.wholeMs, context.signal, () =>
        shards.every((id, i) => ![null, before[i]].includes(context.watch.gatewayOf(id))),
      );
      return "room again, and new gateways";
    };
    return { target: host.name, shards, detail: "no byte left for the shards' state", heal };
  },
};

async function leaseOf(context: HostContext, shard: string) {
  const lease = (await context.world.leases())?.find((one) => one.shard === shard);
  if (!lease) throw new FaultImpossible(`the lease of ${shard} cannot be read`);
  return lease;
}
