import { writeFileSync } from "node:fs";
import type { NodeLauncher } from "../../plugin/launcher.ts";

/** A launcher that only remembers. */
export function fakeLauncher() {
  const calls: string[] = [];
  const alive = new Set<string>();
  const key = (dataDir: string, id: string) => `${dataDir} ${id}`;
  const launcher: NodeLauncher = {
    async start({ dataDir, id, release }) {
      calls.push(`start ${id} ${release.id}`);
      alive.add(key(dataDir, id));
    },
    running: (dataDir, id) => alive.has(key(dataDir, id)),
    async stop(dataDir, id) {
      calls.push(`stop ${id}`);
      alive.delete(key(dataDir, id));
    },
    logTail: (_, id) => [`log line of ${id}`],
    async forget(_, id) {
      calls.push(`forget ${id}`);
    },
    createLeases: (path) => {
      calls.push("leases");
      writeFileSync(path, "leases", { flag: "wx" });
    },
  };
  return {
    launcher,
    calls,
    alive,
    kill: (dataDir: string, id: string) => alive.delete(key(dataDir, id)),
  };
}
