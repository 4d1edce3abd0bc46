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

/**
 * Leaves the main session as three restarts leave it that each ended OpenClaw's recovery before its run had begun
 * (OpenClaw 2026.9.6): its next start closes it. Nothing may run on the state.
 */
export function spendRecovery(stateDir: string): void {
  open(stateDir, (database) => {
    const row = database
      .prepare("SELECT entry_json FROM session_nodes WHERE session_key = ? AND status = 'running'")
      .get(SESSION);
    if (!row) throw new Error("no turn of the main session was interrupted");
    const entry = {
      ...JSON.parse(String(row.entry_json)),
      abortedLastRun: true,
      mainRestartRecovery: { cycleId: "spent", revision: 4, chargedAttempts: 3 },
    };
    database
      .prepare("UPDATE session_nodes SET entry_json = ? WHERE session_key = ?")
      .run(JSON.stringify(entry), SESSION);
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

/** Sessions that there are, whatever for. */
export function sessionKeys(stateDir: string): string[] {
  return open(stateDir, (database) =>
    database
      .prepare("SELECT session_key FROM session_nodes")
      .all()
      .map(({ session_key }) => String(session_key)),
  );
}
