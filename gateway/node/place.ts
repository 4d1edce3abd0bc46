import { join } from "node:path";
import type { NodeConfig } from "../config.ts";
import type { LeaseStoreOptions } from "../leases/thread-protocol.ts";
import type { StoresFile } from "../stores-file.ts";

/** The file in the data directory that decides who owns what, on one machine. */
export const LEASES_FILE = "leases.sqlite";

/** How often views are looked at on one machine, where a look costs a tenth of a millisecond. */
const LOCAL_VIEW_EVERY_MS = 250;

/** Where a node stands among the others. */
export interface Place {
  /**
   * All nodes of the fleet are on this machine and share its data directory: the kernel knows which
   * of them live, and they share one public port.
   */
  sameMachine: boolean;
  leases: LeaseStoreOptions;
  /** Pause between two looks at the store, ms; missing: as the lease thread does by itself. */
  viewEveryMs?: number;
}

/** @param stores of a node whose leases are in etcd. Throws when it names none of etcd's members */
export function placeOf(node: NodeConfig, stores: StoresFile | null): Place {
  if (node.leases === undefined || node.leases.kind === "sqlite") {
    return {
      sameMachine: true,
      leases: { kind: "sqlite", path: join(node.dataDir, LEASES_FILE) },
      viewEveryMs: LOCAL_VIEW_EVERY_MS,
    };
  }
  const endpoints = stores?.current.etcd;
  if (!stores || !endpoints) throw new Error("stores.json beside node.json names no etcd");
  return { sameMachine: false, leases: { ...node.leases, endpoints, follow: stores.path } };
}
