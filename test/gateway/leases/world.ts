import { copyFileSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { createPristine, SqliteLeaseStore } from "../../../gateway/leases/sqlite.ts";
import { memoryDisk } from "../../contracts/lease-fixtures.ts";
import type { LeaseWorld } from "../../contracts/lease-store.ts";

export interface SqliteLeaseWorld extends LeaseWorld {
  directory: string;
  path: string;
  messages: string[];
}

/** A lease database of its own in a fresh directory, with every fault a file can have. */
export async function sqliteLeaseWorld(): Promise<SqliteLeaseWorld> {
  const directory = mkdtempSync(join(memoryDisk(), "leases-"));
  const path = join(directory, "leases.sqlite");
  const saved = join(directory, "saved");
  createPristine(path);
  const stores: SqliteLeaseStore[] = [];
  const messages: string[] = [];
  const log = { warn: (m: string) => messages.push(m), error: (m: string) => messages.push(m) };
  let now = 1_000_000;
  let blocker: DatabaseSync | null = null;
  const clock = {
    now: () => now,
    advance: (ms: number) => {
      now += ms;
    },
  };
  return {
    directory,
    path,
    messages,
    clock,
    open() {
      const store = new SqliteLeaseStore({ path, clock, log, busyMs: 200 });
      stores.push(store);
      return store;
    },
    async lose() {
      rmSync(path, { force: true });
    },
    async save() {
      // Through SQLite: opening the file by other means would drop its locks in this process.
      const db = new DatabaseSync(path);
      rmSync(saved, { force: true });
      db.exec(`VACUUM INTO '${saved}'`);
      db.close();
    },
    async swapOld() {
      copyFileSync(saved, `${path}.next`);
      renameSync(`${path}.next`, path);
    },
    async restoreInPlace() {
      copyFileSync(saved, path);
    },
    async block(on) {
      if (!on) {
        blocker?.close();
        blocker = null;
        return;
      }
      blocker = new DatabaseSync(path);
      blocker.exec("BEGIN EXCLUSIVE");
    },
    async close() {
      blocker?.close();
      for (const store of stores) await store.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
