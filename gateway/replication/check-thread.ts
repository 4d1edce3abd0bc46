import { rmSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { parentPort, workerData } from "node:worker_threads";

/** Checks databases that nobody else has open. Says what is wrong with them; nothing: all are whole. */
const faults: string[] = [];
for (const path of workerData as string[]) {
  try {
    const database = new DatabaseSync(path);
    try {
      for (const row of database.prepare("PRAGMA integrity_check(5)").all()) {
        if (row.integrity_check !== "ok") faults.push(`${path}: ${row.integrity_check}`);
      }
    } finally {
      database.close();
    }
    for (const suffix of ["-wal", "-shm"]) rmSync(path + suffix, { force: true });
  } catch (error) {
    faults.push(`${path}: ${(error as Error).message}`);
  }
}
parentPort?.postMessage(faults);
