import { join } from "node:path";

/** The node's log: JSON lines of keeper, supervisor and gateways. Rotated to `.1` … `.3`. */
export function nodeLogFile(nodeDir: string): string {
  return join(nodeDir, "node.log");
}

/** Who keeps the node, see {@link KeeperRecord}. Written when it is up, removed when it ends. */
export function keeperFile(nodeDir: string): string {
  return join(nodeDir, "keeper.json");
}

/** Held by the keeper for its life, so that there is one per node. */
export function keeperLockFile(nodeDir: string): string {
  return join(nodeDir, "keeper.lock");
}
