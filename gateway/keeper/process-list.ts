import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { CAGE_TAG } from "./cage-name.ts";
import { processStat } from "./process.ts";

export interface ListedProcess {
  pid: number;
  ppid: number;
  session: number;
  start: string;
  /** Its environment carries the tag; see {@link listProcesses}. */
  tagged: boolean;
}

/**
 * All processes but zombies. `tag` ending in a slash matches every tag that begins so, else the tag
 * itself. Environments of other users' processes cannot be read; those are never tagged.
 */
export function listProcesses(tag: string): ListedProcess[] {
  return process.platform === "linux" ? listFromProc(tag) : listFromPs(tag);
}

function listFromProc(tag: string): ListedProcess[] {
  const found: ListedProcess[] = [];
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const stat = processStat(pid);
    if (stat === null || stat.state === "Z" || stat.state === "X") continue;
    const { ppid, session, start } = stat;
    found.push({ pid, ppid, session, start, tagged: hasTag(environment(pid), tag, "\0") });
  }
  return found;
}

function environment(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, "latin1");
  } catch {
    return "";
  }
}

/** Written for macOS from its manual; not tried there. */
function listFromPs(tag: string): ListedProcess[] {
  const text = execFileSync("ps", ["axeww", "-o", "pid=,ppid=,pgid=,state=,lstart=,command="], {
    encoding: "utf8",
    maxBuffer: 64 * 2 ** 20,
  });
  const found: ListedProcess[] = [];
  for (const line of text.split("\n")) {
    const match = line.match(/^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s+((?:\S+\s+){4}\S+)\s+(.*)$/);
    if (!match || match[4]?.startsWith("Z")) continue;
    found.push({
      pid: Number(match[1]),
      ppid: Number(match[2]),
      // ps shows sessions as addresses there; the group a detached program leads is as good.
      session: Number(match[3]),
      start: (match[5] ?? "").replace(/\s+/g, " "),
      tagged: hasTag(match[6] ?? "", tag, " "),
    });
  }
  return found;
}

function hasTag(text: string, tag: string, separator: string): boolean {
  const wanted = `${separator}${CAGE_TAG}=${tag}${tag.endsWith("/") ? "" : separator}`;
  return (separator + text + separator).includes(wanted);
}
