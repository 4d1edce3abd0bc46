import { readFile } from "node:fs/promises";
import type { Cage } from "./cage.ts";

/** Longest pause between two looks at a cage that is being killed. */
const LOOK_EVERY_MS = 50;

/** Strikes and looks until nothing is left. */
export async function killUntilEmpty(cage: Pick<Cage, "strike" | "empty">): Promise<void> {
  let pauseMs = 2;
  for (;;) {
    cage.strike();
    if (cage.empty()) return;
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    if (cage.empty()) return;
    pauseMs = Math.min(LOOK_EVERY_MS, pauseMs * 2);
  }
}

/** Proportional set size of all, or resident size where the kernel does not tell it. */
export async function memoryOf(pids: number[]): Promise<number> {
  let bytes = 0;
  for (const pid of pids) bytes += await memoryOfOne(pid);
  return bytes;
}

async function memoryOfOne(pid: number): Promise<number> {
  try {
    const rollup = await readFile(`/proc/${pid}/smaps_rollup`, "latin1");
    const pss = rollup.match(/^Pss:\s+(\d+) kB/m);
    if (pss) return Number(pss[1]) * 1024;
  } catch {
    // Not allowed, not Linux, or gone.
  }
  try {
    const status = await readFile(`/proc/${pid}/status`, "latin1");
    return Number(status.match(/^VmRSS:\s+(\d+) kB/m)?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
