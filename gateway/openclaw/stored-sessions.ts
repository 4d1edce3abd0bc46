import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

/** Where OpenClaw keeps the conversations of one agent, below its state directory. */
const AGENT_DATABASE = /^agents\/[^/]+\/agent\/openclaw-agent\.sqlite$/;
/** One row a conversation (OpenClaw 2026.9). */
const TABLE = "session_nodes";

/**
 * Conversations in the databases of a state that nobody uses, by their paths in it. Null: an agent's database has no
 * table that is known here, as in another version of OpenClaw.
 */
export function storedSessions(stateDir: string, databases: readonly string[]): number | null {
  let count = 0;
  for (const path of databases.filter((one) => AGENT_DATABASE.test(one))) {
    const database = new DatabaseSync(join(stateDir, path));
    try {
      const found = database
        .prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?")
        .get(TABLE);
      if (!found) return null;
      count += Number(database.prepare(`SELECT count(*) AS count FROM ${TABLE}`).get()?.count);
    } finally {
      database.close();
    }
  }
  return count;
}
