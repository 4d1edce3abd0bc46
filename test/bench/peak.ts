import { readdirSync, readFileSync } from "node:fs";

/** Highest resident memory so far of the processes whose command line matches, bytes; Linux only. */
export function peakOf(command: RegExp): number {
  let most = 0;
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const line = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
      if (!command.test(line)) continue;
      const kib = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
      most = Math.max(most, Number(kib ?? 0) * 1024);
    } catch {
      // It ended while we looked.
    }
  }
  return most;
}
