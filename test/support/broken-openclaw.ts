/** Entry file of a newer version that may end like this: it has changed a database and the settings of the state, and does not go on. */
export const BROKEN_OPENCLAW = `
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
const state = process.env.OPENCLAW_STATE_DIR;
for (const name of readdirSync(state, { recursive: true })) {
  if (!name.endsWith(".sqlite")) continue;
  const database = new DatabaseSync(join(state, name));
  const tables = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all();
  for (const { name } of tables) {
    try {
      database.exec(\`DROP TABLE "\${name}"\`);
    } catch {}
  }
  database.close();
}
console.error("no such table: everything");
process.exit(1);
`;
