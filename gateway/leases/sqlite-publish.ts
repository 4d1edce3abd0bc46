import { randomUUID } from "node:crypto";
import { closeSync, linkSync, openSync, renameSync, rmSync, statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";

/** What an empty file becomes. */
export interface DatabaseFormat {
  /** Recognises our own files among other programs'. */
  applicationId: number;
  schemaVersion: number;
  /** Fills an empty database, whose inode is `identity`; runs in a transaction. */
  create(db: DatabaseSync, identity: string): void;
}

/** `dev:inode` of a file, null when there is none. Never opens it: closing any descriptor of a
 *  database drops all POSIX locks that SQLite holds on it in this process. */
export function fileIdentity(path: string): string | null {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat ? `${stat.dev}:${stat.ino}` : null;
}

/**
 * Puts a finished database at `path` in one step, on an inode of its own: "new" fails with EEXIST when
 * something is there, "instead" replaces it. Nobody ever sees it half made, and whoever has an earlier
 * file open sees by the inode that it is another one. (SQLite's cache alone does not: it compares a
 * count of changes, which can be the same in both.)
 */
export function publishDatabase(
  path: string,
  how: "new" | "instead",
  make: (building: string) => void,
): void {
  const building = `${path}.new-${randomUUID()}`;
  closeSync(openSync(building, "wx", 0o600));
  try {
    make(building);
    const db = new DatabaseSync(building);
    try {
      // While this lock is held nobody can work on the file, so a journal at its new name is what a
      // deleted file left, and SQLite would roll that back into this one.
      db.exec("BEGIN EXCLUSIVE");
      if (how === "new") linkSync(building, path);
      else renameSync(building, path);
      rmSync(`${path}-journal`, { force: true });
      db.exec("ROLLBACK");
    } finally {
      db.close();
    }
  } finally {
    for (const suffix of ["", "-journal"]) rmSync(building + suffix, { force: true });
  }
}

/** Makes an empty file into a complete database of `options`. */
export function buildDatabase(file: string, options: DatabaseFormat): void {
  const db = new DatabaseSync(file);
  try {
    db.exec("BEGIN EXCLUSIVE");
    options.create(db, fileIdentity(file) ?? "");
    db.exec(
      `PRAGMA application_id=${options.applicationId};
       PRAGMA user_version=${options.schemaVersion}; COMMIT`,
    );
  } finally {
    db.close();
  }
}
