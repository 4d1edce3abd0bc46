import type { NodeConfig } from "../gateway/config.ts";

/** How the processes of a node on this machine are started, seen and ended. */
export interface NodeLauncher {
  /** Starts the node as its node.json says; does nothing when it runs already. */
  start(config: NodeConfig): Promise<void>;
  /** Whether its keeper lives. */
  running(dataDir: string, id: string): boolean;
  /**
   * Asks the node to stop (its turns finish, its leases are released) and resolves when no process of
   * it is left. After `budgetMs` everything is killed. Fine when nothing runs.
   */
  stop(dataDir: string, id: string, budgetMs: number): Promise<void>;
  /** Last lines of its log, for an error. */
  logTail(dataDir: string, id: string): string[];
  /** Removes the node from the fleet's own records. */
  forget(dataDir: string, id: string): Promise<void>;
  /** Makes the lease store of a new fleet. */
  createLeases(path: string): void;
}
