import { SqliteLeaseStore } from "./sqlite.ts";
import type { StoreLog } from "./sqlite-file.ts";
import type { LeaseStore } from "./store.ts";
import type { LeaseStoreOptions } from "./thread-protocol.ts";

/** Opens the lease store that the options name. Nothing is touched before its first operation. */
export function openLeaseStore(options: LeaseStoreOptions, log: StoreLog): LeaseStore {
  if (options.kind !== "sqlite") {
    throw new Error(`this release keeps leases in SQLite only, not in ${options.kind}`);
  }
  return new SqliteLeaseStore({ path: options.path, log });
}
