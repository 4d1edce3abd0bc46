import { EtcdClient } from "../leases/etcd-client.ts";
import { Keys } from "../leases/etcd-rows.ts";
import { EtcdTransactions } from "../leases/etcd-transactions.ts";
import { encode } from "../leases/etcd-wire.ts";
import type { Lease } from "../leases/store.ts";
import type { MemberFile } from "./member-file.ts";

const TRY_MS = 10_000;

/**
 * Why a shard's lease must not be forgotten; null: nobody was ever served by an owner with a replica, and nobody has it
 * now. A position is published before the first answer, and stays in the lease for ever.
 */
export function forgetFault(
  shard: string,
  lease: Pick<Lease, "owner" | "position"> | undefined,
): string | null {
  if (!lease) return `${shard} has no lease: there is nothing to forget`;
  if (lease.owner !== null) {
    return `${shard} is ${lease.owner}'s now. Wait until its try has failed, then run this again`;
  }
  if (lease.position !== null) {
    return `${shard} was served (${lease.position}): its conversations are in a replica or on a disk. Bring a host back that has them`;
  }
  return null;
}

/**
 * Forgets that a shard ever had an owner, so that the next one begins it with nothing. Only for a shard whose owners
 * were all lost before the first answer. Throws with {@link forgetFault}.
 */
export async function forgetShard(
  { members, tls }: MemberFile,
  prefix: string,
  shard: string,
  say: (line: string) => void,
): Promise<void> {
  const endpoints = members.map(({ clientUrl }) => clientUrl);
  const client = new EtcdClient({ endpoints, tls, warn: say });
  const keys = new Keys(prefix);
  try {
    await new EtcdTransactions(client, keys, TRY_MS, say).change((state) => {
      const row = state.leases.get(shard);
      const fault = forgetFault(shard, row?.value);
      if (fault || !row) throw new Error(fault ?? "");
      const key = keys.lease(shard);
      return {
        looked: [[key, row.modRevision]],
        writes: [{ request_delete_range: { key: encode(key) } }],
        done: (after) => !after.leases.has(shard),
        answer: () => undefined,
      };
    }, "now");
    say(`${shard} is forgotten: its next owner begins with nothing`);
  } finally {
    client.close();
  }
}
