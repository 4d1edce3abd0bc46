import { EtcdLeaseStore } from "./etcd.ts";
import { SqliteLeaseStore } from "./sqlite.ts";
import type { StoreLog } from "./sqlite-file.ts";
import type { LeaseStore } from "./store.ts";
import type { LeaseStoreOptions } from "./thread-protocol.ts";

/** Opens the lease store that the options name. Nothing is touched before its first operation. */
export function openLeaseStore(options: LeaseStoreOptions, log: StoreLog): LeaseStore {
  return options.kind === "etcd"
    ? new EtcdLeaseStore({ ...options, log })
    : new SqliteLeaseStore({ path: options.path, log });
}
