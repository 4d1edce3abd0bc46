import { rmSync } from "node:fs";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import type { Orphans } from "./orphans.ts";
import { processesNaming } from "./processes.ts";

/** Long enough for what a killed process had started meanwhile to be seen, ms. */
const LOOK_MS = 200;

// Its input ends with the process that it was made by.
const [orphans = "", done] = (await text(process.stdin)).split("\n");
if (done !== "done") clear(JSON.parse(orphans) as Orphans);

async function clear({ naming, paths }: Orphans): Promise<void> {
  // What supervises may start another one before its own turn comes.
  for (let quiet = 0; quiet < 2; await sleep(LOOK_MS)) {
    const left = processesNaming(naming);
    quiet = left.length === 0 ? quiet + 1 : 0;
    for (const pid of left) kill(pid);
  }
  for (const path of paths) rmSync(path, { recursive: true, force: true });
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // Ended meanwhile.
  }
}
