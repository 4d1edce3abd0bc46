import { closeSync, openSync, renameSync, rmSync, statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { fileIdentity } from "../leases/sqlite-publish.ts";

/**
 * A database in WAL mode is three files, paired by nothing but their names. When the main file is
 * deleted or replaced, SQLite would join the new one with the old `-wal` and `-shm`: it then shows
 * content of the old file, or "file is not a database". So each opening happens under a lock file that
 * remembers which inode the other two belong to; they are removed when it is another one.
 *
 * The lock is SQLite's own on a small database, so it ends with its process, whatever happens.
 */
export function openingWal(
  path: string,
  busyMs: number,
  open: () => DatabaseSync,
  /** Called before the lock is given back, when another file than the last one was opened. */
  replaced: (db: DatabaseSync) => void,
): DatabaseSync {
  const guard = lockGuard(`${path}-guard`, busyMs);
  try {
    const known = guard.prepare("SELECT identity FROM opened").get()?.identity as
      | string
      | undefined;
    // A file cut to nothing keeps its inode: others could not tell it from the one they have open.
    if (statSync(path, { throwIfNoEntry: false })?.size === 0) {
      renameSync(path, `${path}.emptied`);
    }
    const now = fileIdentity(path);
    if (now === null || (known !== undefined && known !== now)) {
      for (const suffix of ["-wal", "-shm"]) rmSync(path + suffix, { force: true });
    }
    const db = open();
    const opened = fileIdentity(path);
    if (known !== undefined && now === opened && known !== opened) {
      replaced(db);
    }
    guard.prepare("INSERT OR REPLACE INTO opened VALUES (1, ?)").run(opened);
    guard.exec("COMMIT");
    return db;
  } finally {
    guard.close();
  }
}

const CORRUPT = [11, 26];

/** The guard, locked. A damaged one is made anew: it remembers nothing that cannot be learnt again. */
function lockGuard(path: string, busyMs: number): DatabaseSync {
  for (let attempt = 0; ; attempt++) {
    try {
      closeSync(openSync(path, "wx", 0o600));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const guard = new DatabaseSync(path, { timeout: busyMs });
    try {
      guard.exec("PRAGMA journal_mode=PERSIST; PRAGMA synchronous=OFF; BEGIN EXCLUSIVE");
      guard.exec("CREATE TABLE IF NOT EXISTS opened (one INTEGER PRIMARY KEY, identity TEXT)");
      return guard;
    } catch (error) {
      guard.close();
      const code = (error as { errcode?: number }).errcode ?? 0;
      if (attempt > 0 || !CORRUPT.includes(code & 0xff)) throw error;
      for (const suffix of ["", "-journal"]) rmSync(path + suffix, { force: true });
    }
  }
}
