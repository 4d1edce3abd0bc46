import type { TestHost } from "../../hosts/support/host.ts";
import { waitFor } from "../conditions.ts";
import type { LeaseSight } from "../world.ts";
import type { HostContext } from "./faults.ts";

/** Where a host keeps the replicas of other hosts' shards. */
const REPLICAS = "/var/lib/openclaw-fleet-replicas/files";

/** Waits until somebody holds the shard under a later epoch. */
export async function newOwner(
  context: HostContext,
  shard: string,
  after: number,
  withinMs: number,
): Promise<{ owner: string; epoch: number }> {
  let found: LeaseSight | undefined;
  await waitFor(`another owner of ${shard}`, withinMs, context.signal, async () => {
    found = (await context.world.leases())?.find((lease) => lease.shard === shard);
    return found !== undefined && found.owner !== null && found.epoch > after;
  });
  return { owner: found?.owner ?? "", epoch: found?.epoch ?? 0 };
}

/** Folder names begin with the epoch in twelve digits (docs/replication.md). */
const digits = (epoch: number): string => String(epoch).padStart(12, "0");

/** True when the host holds a manifest of that epoch. */
export async function seesManifest(host: TestHost, shard: string, epoch: number): Promise<boolean> {
  const pattern = `${REPLICAS}/${shard}/epochs/${digits(epoch)}-*/*.manifest`;
  const { stdout } = await host.run(`ls ${pattern} 2>/dev/null || :`);
  return stdout.trim() !== "";
}

/**
 * Puts one more manifest behind the last one of an epoch that is over, as an upload that came late would:
 * of an earlier moment, whole, and with the next number.
 */
const PLANT = `set -eu
for folder in "$1"/epochs/"$2"-*; do
  test -d "$folder" || continue
  ls "$folder"/sealed-* > /dev/null 2>&1 || continue
  last=$(ls "$folder" | grep '\\.manifest$' | sort | tail -n 1)
  first=$(ls "$folder" | grep '\\.manifest$' | sort | head -n 1)
  test -n "$last" || continue
  number=$(printf '%s' "\${last%.manifest}" | sed 's/^0*//')
  late=$(printf '%010d.manifest' $((\${number:-0} + 1)))
  cp -p "$folder/$first" "$folder/$late"
  echo "$late"
done
`;

/** @returns what was put where, for people. @throws when no place has a sealed folder of that epoch */
export async function plantLateManifest(
  hosts: readonly TestHost[],
  shard: string,
  epoch: number,
): Promise<string> {
  const planted: string[] = [];
  for (const host of hosts) {
    const argv = ["sh", "-c", PLANT, "sh", `${REPLICAS}/${shard}`, digits(epoch)];
    const { stdout } = await host.run(argv);
    if (stdout.trim() !== "") planted.push(`${host.name} (${stdout.trim()})`);
  }
  if (planted.length === 0) throw new Error(`epoch ${epoch} of ${shard} is sealed nowhere`);
  return `a late manifest of epoch ${epoch} came to ${planted.join(", ")}`;
}
