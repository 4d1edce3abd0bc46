import { existsSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

/** OpenClaw's database of a whole state, below its state directory (2026.9). */
const DATABASE = join("state", "openclaw.sqlite");
/** What its processes hold for a time; OpenClaw's own restore of a snapshot removes the same (2026.9.6). */
const TABLES = ["state_leases", "agent_database_leases"] as const;
const WAIT_MS = 1_000;

/**
 * Removes the leases of OpenClaw's processes from a state that nobody uses: all who held one are gone. OpenClaw
 * takes up those of its own host by their pids, but waits five minutes for those of another host, and does not
 * start meanwhile. A state that was never used, or is of a version that has no such tables, is left alone.
 *
 * @returns how many there were. @throws when the database cannot be written
 */
export function removeLeftLeases(stateDir: string): number {
  const path = join(stateDir, DATABASE);
  if (!existsSync(path)) return 0;
  const database = new DatabaseSync(path, { timeout: WAIT_MS });
  try {
    let removed = 0;
    for (const table of TABLES) {
      const found = database
        .prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?")
        .get(table);
      if (!found || !database.prepare(`SELECT 1 FROM ${table}`).get()) continue;
      removed += Number(database.prepare(`DELETE FROM ${table}`).run().changes);
    }
    return removed;
  } finally {
    database.close();
  }
}
