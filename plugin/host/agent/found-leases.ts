import { chmodSync, chownSync, existsSync } from "node:fs";
import { join } from "node:path";
import type { HostPlan } from "../../../components/host/types.ts";
import type { NodeConfig } from "../../../gateway/config.ts";
import { createPristine } from "../../../gateway/leases/sqlite.ts";
import { LEASES_FILE } from "../../../gateway/node/place.ts";
import { accessOf, type Host } from "./host.ts";

const NODE_FILE = /\/nodes\/[^/]+\/node\.json$/;

/**
 * Ownership of a fleet whose only host replicates elsewhere begins with a store that is known to be new. The node
 * itself could only make one that may have forgotten: its shards would wait for replicas that never were. Where there
 * are leases or shards already, nothing is done. Says what was made.
 */
export async function foundLeases(
  { files: planned }: HostPlan,
  { accounts, files, system }: Host,
): Promise<string[]> {
  const node = Object.entries(planned).find(([path]) => NODE_FILE.test(path))?.[1];
  if (!node) return [];
  const config = JSON.parse(node.content) as Partial<NodeConfig>;
  const { dataDir, leases, replication } = config;
  if (dataDir === undefined || leases?.kind !== "sqlite" || !replication) return [];
  const path = join(dataDir, LEASES_FILE);
  const known = [path, join(dataDir, "shards")].some((one) => files.look(one).kind !== "none");
  if (known) return [];
  const { uid, gid } = await accessOf(accounts, path, { ...node, mode: "0600" });
  const file = join(system.root, path);
  createPristine(file);
  for (const made of [file, `${file}-wal`, `${file}-shm`].filter((one) => existsSync(one))) {
    chownSync(made, uid, gid);
    chmodSync(made, 0o600);
  }
  return [`leases of a new fleet made at ${path}`];
}
