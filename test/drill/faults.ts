import { DRAIN, type FleetStatus } from "../../gateway/contract.ts";
import { newestTurn, waitFor } from "./conditions.ts";
import { FAULTS, type FaultName } from "./fault-names.ts";
import type { DrillFleet } from "./fleet.ts";
import type { History } from "./history.ts";
import { type ProcessInfo, type ProcessWatch, readProcess, withDescendants } from "./processes.ts";
import { type Planned, pickBy } from "./schedule.ts";

/** What a fault needs to do its work. */
export interface FaultContext {
  fleet: DrillFleet;
  history: History;
  watch: ProcessWatch;
  /** A session that lives on the shard. */
  sessionOf(shard: string): string;
  /** Sends one turn into a session; nothing is awaited, the history has its outcome. */
  send(session: string, turnMs: number): Promise<unknown>;
  /** Says that the fault happens now: called right before the first signal. */
  mark?(): void;
  signal: AbortSignal;
}

/** A fault that was done. */
export interface Applied {
  /** Whom it hit, for people. */
  target: string;
  /** Shards that it may take away for a while. */
  shards: string[];
  detail: string;
  heal(): Promise<string>;
}

/** A fault could not be done: the drill says so and fails. */
export class FaultImpossible extends Error {
  override readonly name = "FaultImpossible";
}

const NOTHING = async (): Promise<string> => "nothing to heal";
/** As long as a drain may take by its own rules: under steady turns of a minute a free moment is rare. */
const DRAIN_MS = DRAIN.giveUpMs + DRAIN.termReleaseMs + 30_000;
/** A recycle is a drain and a boot. */
const RECYCLE_MS = DRAIN_MS;
/** A turn long enough to be met in its middle. */
const MID_TURN_MS = 6_000;

type Apply = (context: FaultContext, planned: Planned, status: FleetStatus) => Promise<Applied>;

/** Signals exactly these processes: a pid that was used again meanwhile is left alone. */
function signal(processes: readonly ProcessInfo[], name: NodeJS.Signals): number {
  let hit = 0;
  for (const { pid, start } of processes) {
    if (readProcess(pid)?.start !== start) continue;
    try {
      process.kill(pid, name);
      hit++;
    } catch {
      // It ended between the look and the signal.
    }
  }
  return hit;
}

function servingShard(status: FleetStatus, planned: Planned) {
  const serving = status.shards.filter((shard) => shard.state === "serving");
  return pickBy(serving, planned.victim);
}

/** A node that owns something, if there is one: killing an idle one shows little. */
function busyNode(status: FleetStatus, planned: Planned) {
  const active = status.nodes.filter((node) => node.state === "active");
  const busy = active.filter((node) => node.shards.length > 0);
  return pickBy(busy.length > 0 ? busy : active, planned.victim);
}

function gatewayProcesses(context: FaultContext, shard: string): ProcessInfo[] {
  const found = context.watch.pidsOf(shard).flatMap((pid) => readProcess(pid) ?? []);
  if (found.length === 0) throw new FaultImpossible(`${shard} has no process here`);
  return found;
}

/** The keeper, all below it, and what of the node's gateways was started loose of it. */
function nodeProcesses(context: FaultContext, node: string): ProcessInfo[] {
  const keeper = context.fleet.keeperPid(node);
  const below = keeper === null ? [] : withDescendants(keeper);
  const owned = context.fleet.leases()?.filter((lease) => lease.owner === node) ?? [];
  const loose = owned
    .flatMap((lease) => context.watch.pidsOf(lease.shard))
    .filter((pid) => !below.some((info) => info.pid === pid));
  const found = [...below, ...loose.flatMap((pid) => readProcess(pid) ?? [])];
  if (found.length === 0) throw new FaultImpossible(`node ${node} has no process here`);
  return found;
}

function supervisor(context: FaultContext, node: string): ProcessInfo {
  const pid = context.fleet.supervisorPid(node);
  const info = pid === null ? null : readProcess(pid);
  if (!info) throw new FaultImpossible(`node ${node} has no supervisor here`);
  return info;
}

const killGateway = (context: FaultContext, shard: string): string => {
  const root = context.watch.gatewayOf(shard);
  const info = root === null ? null : readProcess(root);
  if (!info) throw new FaultImpossible(`${shard} has no gateway here`);
  context.mark?.();
  signal([info], "SIGKILL");
  return `SIGKILL to process ${info.pid}`;
};

/** Stopped first, so that none of them sees another one die and acts on it: a power loss is at once. */
function powerOff(context: FaultContext, nodes: readonly string[]): string {
  const victims: ProcessInfo[] = [];
  for (const node of nodes) victims.push(...nodeProcesses(context, node));
  context.mark?.();
  signal(victims, "SIGSTOP");
  const hit = signal(victims, "SIGKILL");
  return `SIGKILL to ${hit} processes`;
}

const APPLY: Record<FaultName, Apply> = {
  "kill-gateway": async (context, planned, status) => {
    const { id } = servingShard(status, planned);
    return { target: id, shards: [id], detail: killGateway(context, id), heal: NOTHING };
  },

  "kill-mid-turn": async (context, planned, status) => {
    const { id } = servingShard(status, planned);
    const session = context.sessionOf(id);
    const from = context.history.now();
    void context.send(session, MID_TURN_MS);
    await waitFor("the turn to reach the model", 60_000, context.signal, () => {
      const turn = newestTurn(context.history.events, session, from);
      return turn?.begun === true;
    });
    return { target: id, shards: [id], detail: killGateway(context, id), heal: NOTHING };
  },

  "hang-gateway": async (context, planned, status) => {
    const { id } = servingShard(status, planned);
    const victims = gatewayProcesses(context, id);
    signal(victims, "SIGSTOP");
    const heal = async () => {
      const left = signal(victims, "SIGCONT");
      return left > 0 ? `${left} of its processes were still there` : "it had been replaced";
    };
    const detail = `SIGSTOP to ${victims.length} processes`;
    return { target: id, shards: [id], detail, heal };
  },

  "kill-node": async (context, planned, status) => {
    const { id, shards } = busyNode(status, planned);
    const detail = powerOff(context, [id]);
    const heal = async () => {
      await context.fleet.startNode(id);
      return "node started again";
    };
    return { target: id, shards, detail, heal };
  },

  "kill-supervisor": async (context, planned, status) => {
    const { id, shards } = busyNode(status, planned);
    const info = supervisor(context, id);
    signal([info], "SIGKILL");
    return { target: id, shards, detail: `SIGKILL to process ${info.pid}`, heal: NOTHING };
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
    const restore = await context.fleet.setRecycleMiB(id, 64);
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
    const removed = await context.fleet.deleteLeases();
    const shards = status.shards.map((shard) => shard.id);
    return { target: "store", shards, detail: `removed ${removed.join(", ")}`, heal: NOTHING };
  },

  "drain-node": async (context, planned, status) => {
    const { id, shards } = busyNode(status, planned);
    await context.fleet.admin("/api/v1/fleet/drain", { node: id });
    const heal = async () => {
      try {
        await waitFor(`node ${id} to be empty`, DRAIN_MS, context.signal, async () => {
          const now = await context.fleet.status();
          return now.shards.every((shard) => shard.owner !== id);
        });
      } finally {
        await context.fleet.admin("/api/v1/fleet/resume", { node: id });
      }
      return "emptied and resumed";
    };
    return { target: id, shards, detail: "maintenance on", heal };
  },

  "move-shard": async (context, planned, status) => {
    const { id, owner } = servingShard(status, planned);
    const others = status.nodes.filter((node) => node.state === "active" && node.id !== owner);
    const to = pickBy(others, planned.length).id;
    await context.fleet.admin("/api/v1/fleet/move", { shard: id, to });
    const heal = async () => {
      try {
        await waitFor(`${id} to be on ${to}`, DRAIN_MS, context.signal, async () => {
          const now = (await context.fleet.status()).shards.find((shard) => shard.id === id);
          return now?.owner === to && now.state === "serving";
        });
      } finally {
        await context.fleet.admin("/api/v1/fleet/move", { shard: id, to: "auto" });
      }
      return "moved, pin taken away";
    };
    return { target: id, shards: [id], detail: `from ${owner} to ${to}`, heal };
  },

  "kill-everything": async (context, _planned, status) => {
    const nodes = status.nodes.filter((node) => node.state !== "lost").map((node) => node.id);
    const detail = powerOff(context, nodes);
    const heal = async () => {
      await Promise.all(nodes.map((node) => context.fleet.startNode(node)));
      return "nodes started again";
    };
    return { target: "all nodes", shards: status.shards.map((s) => s.id), detail, heal };
  },
};

export const applyFault: Apply = (context, planned, status) =>
  APPLY[planned.name](context, planned, status);

export function holdOf(planned: Planned): number {
  const { least, most } = FAULTS[planned.name].holdMs;
  return Math.round(least + planned.length * (most - least));
}
