import { Worker } from "node:worker_threads";
import { siblingEntry } from "../entry.ts";

/**
 * SQLite's own check of databases that nobody else has open, on a thread: a large one takes seconds. Resolves with
 * what is wrong; nothing: all are whole.
 */
export async function databaseFaults(paths: readonly string[]): Promise<string[]> {
  if (paths.length === 0) return [];
  const worker = new Worker(
    siblingEntry(import.meta.url, "check-thread.ts", "replica-check-thread.js"),
    {
      workerData: paths,
      execArgv: [],
      name: "integrity",
    },
  );
  return await new Promise<string[]>((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
    worker.once("exit", () => reject(new Error("the integrity check ended without a result")));
  });
}
