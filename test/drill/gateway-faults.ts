import type { FleetStatus } from "../../gateway/contract.ts";
import { newestTurn, waitFor } from "./conditions.ts";
import { type ProcessInfo, readProcess } from "./processes.ts";
import { type Planned, pickBy } from "./schedule.ts";
import { FaultImpossible, type Faults, type FaultTools, NOTHING_TO_HEAL } from "./world.ts";

/** A hung gateway is found out after 20 s without a good answer; a busy machine may need longer for that, ms. */
const HUNG_MS = 120_000;
/** A turn long enough to be met in its middle. */
const MID_TURN_MS = 6_000;

/** Signals exactly these processes: a pid that was used again meanwhile is left alone. */
export function signal(processes: readonly ProcessInfo[], name: NodeJS.Signals): number {
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

export function servingShard(status: FleetStatus, planned: Planned) {
  const serving = status.shards.filter((shard) => shard.state === "serving");
  return pickBy(serving, planned.victim);
}

/** A node that owns something, if there is one: killing an idle one shows little. */
export function busyNode(status: FleetStatus, planned: Planned) {
  const active = status.nodes.filter((node) => node.state === "active");
  const busy = active.filter((node) => node.shards.length > 0);
  return pickBy(busy.length > 0 ? busy : active, planned.victim);
}

function gatewayProcesses(context: FaultTools, shard: string): ProcessInfo[] {
  const found = context.watch.pidsOf(shard).flatMap((pid) => readProcess(pid) ?? []);
  if (found.length === 0) throw new FaultImpossible(`${shard} has no process here`);
  return found;
}

const killGateway = (context: FaultTools, shard: string): string => {
  const root = context.watch.gatewayOf(shard);
  const info = root === null ? null : readProcess(root);
  if (!info) throw new FaultImpossible(`${shard} has no gateway here`);
  context.mark?.();
  signal([info], "SIGKILL");
  return `SIGKILL to process ${info.pid}`;
};

/** What can be done to a gateway wherever this machine sees its processes. */
export const GATEWAY_FAULTS: Faults<FaultTools> = {
  "kill-gateway": async (context, planned, status) => {
    const { id } = servingShard(status, planned);
    return { target: id, shards: [id], detail: killGateway(context, id), heal: NOTHING_TO_HEAL };
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
    return { target: id, shards: [id], detail: killGateway(context, id), heal: NOTHING_TO_HEAL };
  },

  "hang-gateway": async (context, planned, status) => {
    const { id } = servingShard(status, planned);
    const victims = gatewayProcesses(context, id);
    context.mark?.();
    signal(victims, "SIGSTOP");
    const gone = () => victims.every(({ pid, start }) => readProcess(pid)?.start !== start);
    const heal = async () => {
      try {
        await waitFor(`the hung gateway of ${id} to be ended`, HUNG_MS, context.signal, gone);
        return "it had been ended";
      } finally {
        signal(victims, "SIGCONT");
      }
    };
    const detail = `SIGSTOP to ${victims.length} processes`;
    return { target: id, shards: [id], detail, heal };
  },
};
