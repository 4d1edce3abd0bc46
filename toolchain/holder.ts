import { readFileSync } from "node:fs";
import { hostname } from "node:os";

/**
 * Who holds a lock or builds in a temporary folder: `host:pid:start`. The start time (ticks since
 * boot, empty where /proc is missing) tells a process from a later one with the same number. The
 * shell script `fleet` writes and reads the same form.
 */
export function holderOf(pid: number): string {
  return `${hostname()}:${pid}:${startOf(pid)}`;
}

/** False only when the holder is known to be gone; one of another host cannot be asked. */
export function holderLives(holder: string): boolean {
  const [host, pidText = "", start = ""] = holder.split(":");
  const pid = Number(pidText);
  if (!Number.isInteger(pid) || pid <= 0) return false;
  if (host !== hostname()) return true;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EPERM") return false;
  }
  return start === "" || start === startOf(pid);
}

/** Empty for a process that has ended too, though nobody has asked how (a zombie). */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field is the command in brackets and may hold blanks; start time is field 22.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? "" : (fields[19] ?? "");
  } catch {
    return "";
  }
}
