import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { DOCS_FILE, editorSchema, SCHEMA_FILE, settingsPage } from "./schema.ts";

/** Writes what is made from the settings' schema: `node stacks/generate.ts`. */
const root = join(import.meta.dirname, "..");
for (const [file, text] of [
  [SCHEMA_FILE, `${JSON.stringify(editorSchema(), null, 2)}\n`],
  [DOCS_FILE, settingsPage()],
] as const) {
  mkdirSync(dirname(join(root, file)), { recursive: true });
  writeFileSync(join(root, file), text);
}
