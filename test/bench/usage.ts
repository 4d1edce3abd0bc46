import { execFileSync } from "node:child_process";
import { withDescendants } from "../drill/processes.ts";

/** Clock ticks per second of /proc; 100 on every Linux that Node runs on, but asked for. */
const TICKS = Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));
const PAGE = Number(execFileSync("getconf", ["PAGESIZE"], { encoding: "utf8" }));

/** CPU and memory of a process with everything below it. */
export interface Usage {
  cpuSeconds: number;
  residentBytes: number;
  processes: number;
}

/** Processes that ended meanwhile are not in it: use it where the set of them stands still. */
export function usageOf(root: number): Usage {
  const all = withDescendants(root);
  return {
    cpuSeconds: all.reduce((sum, info) => sum + info.cpuTicks, 0) / TICKS,
    residentBytes: all.reduce((sum, info) => sum + info.residentPages, 0) * PAGE,
    processes: all.length,
  };
}

export function sum(usages: readonly Usage[]): Usage {
  return {
    cpuSeconds: usages.reduce((total, usage) => total + usage.cpuSeconds, 0),
    residentBytes: usages.reduce((total, usage) => total + usage.residentBytes, 0),
    processes: usages.reduce((total, usage) => total + usage.processes, 0),
  };
}
