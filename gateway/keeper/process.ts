import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { bootId } from "../clock.ts";

/** Names one process for good: a pid alone is reused, pid and start time on one boot are not. */
export interface ProcessId {
  pid: number;
  /** Clock ticks between boot and the process's start (Linux), a start date elsewhere. */
  pidStart: string;
  bootId: string;
}

/** What the kernel says of a process. */
export interface ProcessStat {
  pid: number;
  ppid: number;
  /** One letter; Z is a zombie, T is stopped. */
  state: string;
  pgid: number;
  session: number;
  start: string;
}

/** `/proc/<pid>/stat`, or null when there is no such process. */
export function processStat(pid: number): ProcessStat | null {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return null;
  }
  // The name stands in parentheses and may itself hold spaces and parentheses.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return {
    pid,
    state: fields[0] ?? "?",
    ppid: Number(fields[1]),
    pgid: Number(fields[2]),
    session: Number(fields[3]),
    start: fields[19] ?? "",
  };
}

/** Start time of a live process, null when it is gone or only a zombie. */
export function processStart(pid: number): string | null {
  if (process.platform !== "linux") return startFromPs(pid);
  const stat = processStat(pid);
  return stat === null || stat.state === "Z" || stat.state === "X" ? null : stat.start;
}

/** Written for macOS from its manual; not tried there. */
function startFromPs(pid: number): string | null {
  try {
    const options = ["-o", "state=,lstart=", "-p", String(pid)];
    const [state = "Z", ...start] = execFileSync("ps", options, { encoding: "utf8" })
      .trim()
      .split(/\s+/);
    return state.startsWith("Z") ? null : start.join(" ");
  } catch {
    return null;
  }
}

/** The name of this process, to be recorded for others. */
export function thisProcess(): ProcessId {
  return { pid: process.pid, pidStart: processStart(process.pid) ?? "unknown", bootId: bootId() };
}

/** Whether exactly that process still lives: same boot, same pid, same start time, not a zombie. */
export function isAlive(id: ProcessId): boolean {
  return id.pid > 1 && id.bootId === bootId() && processStart(id.pid) === id.pidStart;
}

/** Signals exactly that process; false when it is gone. */
export function signalProcess(id: ProcessId, signal: NodeJS.Signals): boolean {
  if (!isAlive(id)) return false;
  try {
    process.kill(id.pid, signal);
    return true;
  } catch {
    return false;
  }
}

/**
 * True when the process was sent a SIGKILL and has not ended yet. It still counts as alive (it may
 * have an effect), but nobody can rely on it. Source: proc_pid_status(5), SigPnd and ShdPnd.
 */
export function isDying(pid: number): boolean {
  const SIGKILL_BIT = 1n << 8n;
  try {
    const status = readFileSync(`/proc/${pid}/status`, "latin1");
    const pending = status.matchAll(/^(?:SigPnd|ShdPnd):\s*([0-9a-f]+)$/gm);
    return [...pending].some(([, mask]) => (BigInt(`0x${mask}`) & SIGKILL_BIT) !== 0n);
  } catch {
    return false;
  }
}
