import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CGROUP_ROOT } from "./cage-name.ts";

/** Beside the cages; no fleet's key is that short (cage-name.ts). */
const DAEMON = "daemon";
/** What cages use when this cgroup has it. */
const CONTROLLERS = ["memory", "pids"];

/**
 * Makes this process's own cgroup, which a service manager delegated to it (`Delegate=yes`), a place for
 * cages with limits: a cgroup that hands controllers down may hold no process itself, so this one moves
 * into a child of it. Children born from here on are born there. Returns the controllers handed down.
 *
 * Only for a cgroup that is nobody else's.
 */
export function settleInDelegation(mount: string, own: string): string[] {
  const unit = join(mount, own);
  const root = join(unit, CGROUP_ROOT);
  try {
    mkdirSync(join(root, DAEMON), { recursive: true });
    writeFileSync(join(root, DAEMON, "cgroup.procs"), String(process.pid));
  } catch {
    return []; // Not delegated: cages are made all the same where they can be, without limits.
  }
  const handed = handDown(unit);
  handDown(root);
  return handed;
}

/** Whether a process in this cgroup settled as {@link settleInDelegation} does. */
export function isSettled(own: string): boolean {
  return own.endsWith(`/${CGROUP_ROOT}/${DAEMON}`);
}

/** Lets the children of a cgroup use its controllers, as far as it has them; returns which. */
export function handDown(directory: string): string[] {
  const there = controllersOf(directory);
  return CONTROLLERS.filter((name) => {
    if (!there.includes(name)) return false;
    try {
      writeFileSync(join(directory, "cgroup.subtree_control"), `+${name}`);
      return true;
    } catch {
      return false; // A process is in it that is not ours to move.
    }
  });
}

function controllersOf(directory: string): string[] {
  try {
    return readFileSync(join(directory, "cgroup.controllers"), "utf8").trim().split(/\s+/);
  } catch {
    return [];
  }
}
