import { fstatSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { siblingEntry } from "../entry.ts";
import { fill } from "./fill.ts";

/**
 * What a container runs: `node container.js --config DIR --secrets DIR --data DIR`. Puts the secrets into
 * the configuration, below the data directory, and becomes the node's keeper.
 */
const { values } = parseArgs({
  options: {
    config: { type: "string" },
    secrets: { type: "string" },
    data: { type: "string" },
  },
});
const { config, secrets, data } = values;
if (!config || !secrets || !data) {
  process.stderr.write("container: --config, --secrets and --data are needed\n");
  process.exit(2);
}

try {
  const node = fill(readFileSync(join(config, "node.json"), "utf8"), secrets);
  const { id, release } = JSON.parse(node) as { id: string; release: { runtime: string } };
  const nodeDir = join(data, "nodes", id);
  put(join(data, "fleet.json"), fill(readFileSync(join(config, "fleet.json"), "utf8"), secrets));
  put(join(nodeDir, "node.json"), node);
  logToStdout();
  process.argv.splice(2, process.argv.length, "--node-dir", nodeDir);
  process.argv.push("--supervisor", join(release.runtime, "node.js"));
  await import(siblingEntry(import.meta.url, "../keeper/main.ts", "keeper.js").href);
} catch (error) {
  process.stderr.write(`container: ${(error as Error).message}\n`);
  process.exit(1);
}

function put(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const written = `${file}.${process.pid}`;
  writeFileSync(written, text, { mode: 0o600 });
  renameSync(written, file);
}

/** The keeper logs to a stream that somebody else keeps small: here that is the engine of the container. */
function logToStdout(): void {
  const { dev, ino } = fstatSync(1);
  process.env.JOURNAL_STREAM = `${dev}:${ino}`;
}
