import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

const SESSION = "agent:main:main";

function open<T>(stateDir: string, work: (database: DatabaseSync) => T): T {
  const database = new DatabaseSync(join(stateDir, "agents/main/agent/openclaw-agent.sqlite"));
  try {
    return work(database);
  } finally {
    database.close();
  }
}

/** True while a turn of the main session runs, as its gateway has written it down. */
export function isInTurn(stateDir: string): boolean {
  return open(stateDir, (database) => running(database) !== undefined);
}

function running(database: DatabaseSync) {
  return database
    .prepare("SELECT entry_json FROM session_nodes WHERE session_key = ? AND status = 'running'")
    .get(SESSION);
}

/**
 * Leaves the main session as three restarts leave it that each ended OpenClaw's recovery before its run had begun
 * (OpenClaw 2026.9.6): its next start closes it. Nothing may run on the state.
 */
export function spendRecovery(stateDir: string): void {
  open(stateDir, (database) => {
    const row = running(database);
    if (!row) throw new Error("no turn of the main session was interrupted");
    const entry = {
      ...JSON.parse(String(row.entry_json)),
      abortedLastRun: true,
      mainRestartRecovery: { cycleId: "spent", revision: 4, chargedAttempts: 3 },
    };
    database
      .prepare("UPDATE session_nodes SET entry_json = ? WHERE session_key = ?")
      .run(JSON.stringify(entry), SESSION);
    // A trigger calls a row that was changed unread; OpenClaw does the same behind its own writes.
    database.prepare("UPDATE session_nodes SET entry_valid = 1 WHERE session_key = ?").run(SESSION);
  });
}

/** What is in the main session's transcript now, as JSON. */
export function transcript(stateDir: string): string {
  return open(stateDir, (database) =>
    database
      .prepare(
        `SELECT event_json FROM transcript_events AS event
         JOIN session_nodes AS node ON node.current_session_id = event.session_id
         WHERE node.session_key = ? ORDER BY seq`,
      )
      .all(SESSION)
      .map(({ event_json }) => String(event_json))
      .join("\n"),
  );
}

/** Keys of the copies by which closed sessions are opened again. */
export function copies(stateDir: string): string[] {
  return open(stateDir, (database) =>
    database
      .prepare("SELECT session_key FROM session_nodes WHERE session_key LIKE '%:openclaw-fleet:%'")
      .all()
      .map(({ session_key }) => String(session_key)),
  );
}
