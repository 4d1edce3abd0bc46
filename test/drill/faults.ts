import { DRAIN } from "../../gateway/contract.ts";
import { waitFor } from "./conditions.ts";
import type { DrillFleet } from "./fleet.ts";
import { busyNode, GATEWAY_FAULTS, servingShard, signal } from "./gateway-faults.ts";
import { type ProcessInfo, readProcess, withDescendants } from "./processes.ts";
import { pickBy } from "./schedule.ts";
import { FaultImpossible, type Faults, type FaultTools, NOTHING_TO_HEAL } from "./world.ts";

/** What a fault of a fleet of processes needs to do its work. */
export interface LocalContext extends FaultTools {
  world: DrillFleet;
}

/** As long as a drain may take by its own rules: under steady turns of a minute a free moment is rare. */
const DRAIN_MS = DRAIN.giveUpMs + DRAIN.termReleaseMs + 30_000;
/** A recycle is a drain and a boot. */
const RECYCLE_MS = DRAIN_MS;

/** The keeper, all below it, and what of the node's gateways was started loose of it. */
function nodeProcesses(context: LocalContext, node: string): ProcessInfo[] {
  const keeper = context.world.keeperPid(node);
  const below = keeper === null ? [] : withDescendants(keeper);
  const owned = context.world.leases()?.filter((lease) => lease.owner === node) ?? [];
  const loose = owned
    .flatMap((lease) => context.watch.pidsOf(lease.shard))
    .filter((pid) => !below.some((info) => info.pid === pid));
  const found = [...below, ...loose.flatMap((pid) => readProcess(pid) ?? [])];
  if (found.length === 0) throw new FaultImpossible(`node ${node} has no process here`);
  return found;
}

function supervisor(context: LocalContext, node: string): ProcessInfo {
  const pid = context.world.supervisorPid(node);
  const info = pid === null ? null : readProcess(pid);
  if (!info) throw new FaultImpossible(`node ${node} has no supervisor here`);
  return info;
}

/** Stopped first, so that none of them sees another one die and acts on it: a power loss is at once. */
function powerOff(context: LocalContext, nodes: readonly string[]): string {
  const victims: ProcessInfo[] = [];
  for (const node of nodes) victims.push(...nodeProcesses(context, node));
  context.mark?.();
  signal(victims, "SIGSTOP");
  const hit = signal(victims, "SIGKILL");
  return `SIGKILL to ${hit} processes`;
}

/** What can be done to processes of this machine. */
export const LOCAL_FAULTS: Faults<LocalContext> = {
  ...GATEWAY_FAULTS,
  "kill-node": async (context, planned, status) => {
    const { id, shards } = busyNode(status, planned);
    const detail = powerOff(context, [id]);
    const heal = async () => {
      await context.world.startNode(id);
      return "node started again";
    };
    return { target: id, shards, detail, heal };
  },

  "kill-supervisor": async (context, planned, status) => {
    const { id, shards } = busyNode(status, planned);
    const info = supervisor(context, id);
    signal([info], "SIGKILL");
    return { target: id, shards, detail: `SIGKILL to process ${info.pid}`, heal: NOTHING_TO_HEAL };
  },

  "stop-supervisor": async (context, planned, status) => {
    const { id, shards } = busyNode(status, planned);
    const info = supervisor(context, id);
    signal([info], "SIGSTOP");
    const heal = async () => (signal([info], "SIGCONT") > 0 ? "continued" : "it had been replaced");
    return { target: id, shards, detail: `SIGSTOP to process ${info.pid}`, heal };
  },

  "pause-node": async (context, planned, status) => {
    const { id, shards } = busyNode(status, planned);
    const victims = nodeProcesses(context, id);
    signal(victims, "SIGSTOP");
    const heal = async () => {
      const left = signal(victims, "SIGCONT");
      return `${left} of ${victims.length} processes continued`;
    };
    return { target: id, shards, detail: `SIGSTOP to ${victims.length} processes`, heal };
  },

  "fill-memory": async (context, planned, status) => {
    const { id } = servingShard(status, planned);
    const before = context.watch.gatewayOf(id);
    const restore = await context.world.setRecycleMiB(id, 64);
    const heal = async () => {
      try {
        await waitFor(`${id} to be restarted`, RECYCLE_MS, context.signal, () => {
          const now = context.watch.gatewayOf(id);
          return now !== null && now !== before;
        });
      } finally {
        await restore();
      }
      return "restarted, limit as before";
    };
    return { target: id, shards: [id], detail: "limit lowered to 64 MiB", heal };
  },

  "delete-leases": async (context, _planned, status) => {
    const removed = await context.world.deleteLeases();
    const shards = status.shards.map((shard) => shard.id);
    return {
      target: "store",
      shards,
      detail: `removed ${removed.join(", ")}`,
      heal: NOTHING_TO_HEAL,
    };
  },

  "drain-node": async (context, planned, status) => {
    const { id, shards } = busyNode(status, planned);
    await context.world.admin("/api/v1/fleet/drain", { node: id });
    const heal = async () => {
      try {
        await waitFor(`node ${id} to be empty`, DRAIN_MS, context.signal, async () => {
          const now = await context.world.status();
          return now.shards.every((shard) => shard.owner !== id);
        });
      } finally {
        await context.world.admin("/api/v1/fleet/resume", { node: id });
      }
      return "emptied and resumed";
    };
    return { target: id, shards, detail: "maintenance on", heal };
  },

  "move-shard": async (context, planned, status) => {
    const { id, owner } = servingShard(status, planned);
    const others = status.nodes.filter((node) => node.state === "active" && node.id !== owner);
    const to = pickBy(others, planned.length).id;
    await context.world.admin("/api/v1/fleet/move", { shard: id, to });
    const heal = async () => {
      try {
        await waitFor(`${id} to be on ${to}`, DRAIN_MS, context.signal, async () => {
          const now = (await context.world.status()).shards.find((shard) => shard.id === id);
          return now?.owner === to && now.state === "serving";
        });
      } finally {
        await context.world.admin("/api/v1/fleet/move", { shard: id, to: "auto" });
      }
      return "moved, pin taken away";
    };
    return { target: id, shards: [id], detail: `from ${owner} to ${to}`, heal };
  },

  "kill-everything": async (context, _planned, status) => {
    const nodes = status.nodes.filter((node) => node.state !== "lost").map((node) => node.id);
    const detail = powerOff(context, nodes);
    const heal = async () => {
      await Promise.all(nodes.map((node) => context.world.startNode(node)));
      return "nodes started again";
    };
    return { target: "all nodes", shards: status.shards.map((s) => s.id), detail, heal };
  },
};
