import type { NodeId } from "../contract.ts";
import type { StoreView } from "../leases/store.ts";
import type { Logger } from "../observe/log.ts";
import { portHolders, supervisorGone } from "../supervisor/processes.ts";

export interface PortHolderFacts {
  node: NodeId;
  bootId: string;
  view: StoreView | null;
  log: Logger;
  remember: (event: string, shard: null, detail: string) => void;
}

/**
 * Frees the public port from a supervisor of this fleet that holds it and does not answer. Nothing
 * else is ever touched: it must be another node's recorded process, alive, of this boot, on the port.
 */
export function killPortHolder(port: number, facts: PortHolderFacts): boolean {
  const { node, bootId, view, log, remember } = facts;
  const pids = portHolders(port);
  const record = Object.values(view?.nodes ?? {}).find(
    (each) =>
      each.id !== node &&
      each.bootId === bootId &&
      pids.includes(each.pid) &&
      !supervisorGone(each, bootId),
  );
  if (!record) return false;
  const { id, pid } = record;
  log.warn(`killing the supervisor of ${id} (${pid}): it holds the port and is silent`);
  remember("killed", null, `supervisor of ${id}: silent on the public port`);
  try {
    process.kill(pid, "SIGKILL");
    return true;
  } catch {
    return false;
  }
}
