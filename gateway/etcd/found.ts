import { setTimeout as sleep } from "node:timers/promises";
import { EtcdLeaseStore } from "../leases/etcd.ts";
import { StoreUnavailable } from "../leases/store.ts";
import type { MemberFile } from "./member-file.ts";

/** The hosts are made by then, but their members may still look for each other. */
const LONGEST_MS = 180_000;
const TRY_MS = 5_000;
const PAUSE_MS = 1_000;

/**
 * Makes the lease store below `prefix`, as soon as there is a majority. For the deployment that makes the fleet:
 * nodes wait for it, because nothing else can tell a new store from one that was lost. `forgotten`: it was lost;
 * then no shard begins with nothing.
 * @throws StoreUnavailable when there was no majority for too long
 */
export async function found(
  { members, tls }: MemberFile,
  prefix: string,
  forgotten: boolean,
  say: (line: string) => void,
): Promise<void> {
  const endpoints = members.map(({ clientUrl }) => clientUrl);
  const log = { warn: say, error: say };
  const store = new EtcdLeaseStore({ endpoints, tls, prefix, log, timeoutMs: TRY_MS });
  const until = performance.now() + LONGEST_MS;
  try {
    for (;;) {
      try {
        say((await store.create(!forgotten)) ? "founded" : "it was founded before");
        return;
      } catch (error) {
        if (!(error instanceof StoreUnavailable) || performance.now() > until) throw error;
      }
      await sleep(PAUSE_MS);
    }
  } finally {
    await store.close();
  }
}
