import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { isAlive, processStart } from "../keeper/process.ts";
import type { NodeRecord } from "../leases/store.ts";

/** True when the kernel says that the node's supervisor is gone. Only for nodes on this very boot. */
export function supervisorGone(record: NodeRecord, bootId: string): boolean {
  return record.bootId === bootId && !isAlive(record);
}

/** Processes that listen on a TCP port here, as far as they are ours to see; several may share it. */
export function portHolders(port: number): number[] {
  const inodes = new Set<string>();
  const wanted = port.toString(16).toUpperCase().padStart(4, "0");
  for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    let text: string;
    try {
      text = readFileSync(table, "utf8");
    } catch {
      continue;
    }
    for (const line of text.split("\n").slice(1)) {
      const columns = line.trim().split(/\s+/);
      const LISTEN = "0A";
      if (columns[3] === LISTEN && columns[1]?.endsWith(`:${wanted}`)) inodes.add(columns[9] ?? "");
    }
  }
  if (inodes.size === 0) return [];
  const holders = new Set<number>();
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    let fds: string[];
    try {
      fds = readdirSync(`/proc/${entry}/fd`);
    } catch {
      continue;
    }
    for (const fd of fds) {
      try {
        const match = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${entry}/fd/${fd}`));
        if (match?.[1] && inodes.has(match[1])) holders.add(Number(entry));
      } catch {
        // The descriptor was closed meanwhile.
      }
    }
  }
  return [...holders];
}

/**
 * Processes whose environment names this state directory: an OpenClaw gateway and what it started.
 * Finds what no cage recorded, such as a gateway whose keeper died within milliseconds of starting it.
 */
export function processesOn(stateDir: string): number[] {
  if (process.platform !== "linux") return [];
  const wanted = `OPENCLAW_STATE_DIR=${stateDir}`;
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry) && Number(entry) !== process.pid)
    .filter((entry) => {
      try {
        return (
          readFileSync(`/proc/${entry}/environ`, "utf8").split("\0").includes(wanted) &&
          processStart(Number(entry)) !== null
        );
      } catch {
        return false;
      }
    })
    .map(Number);
}

/** Kills them until two looks in a row find none. */
export async function clearProcessesOn(stateDir: string): Promise<number> {
  const killed = new Set<number>();
  for (let quiet = 0; quiet < 2; ) {
    const found = processesOn(stateDir);
    quiet = found.length === 0 ? quiet + 1 : 0;
    for (const pid of found) {
      killed.add(pid);
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It ended by itself.
      }
    }
    if (found.length > 0) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return killed.size;
}
