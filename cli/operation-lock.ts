import { readdirSync, readFileSync, rmSync } from "node:fs";
import { homedir, hostname } from "node:os";
import { basename, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { processStart } from "../gateway/keeper/process.ts";
import { PROJECT_ROOT } from "../toolchain/paths.ts";
import { CommandFailed } from "./lib/errors.ts";
import { age, say } from "./lib/terminal.ts";

/** One of Pulumi's own locks on a stack in a file backend. */
export interface OperationLock {
  path: string;
  pid: number;
  user: string;
  host: string;
  /** Milliseconds since 1970. */
  since: number;
}

const LOOK_EVERY_MS = 500;
/** A person who waits is told that often why. */
const TELL_EVERY_MS = 10_000;

/**
 * The folder of a file backend; null for other backends. Pulumi takes what is not absolute as a path from where it runs,
 * which is the project, and `~` as the home.
 */
function backendFolder(backendUrl: string | null): string | null {
  if (!backendUrl?.startsWith("file://")) return null;
  if (backendUrl.startsWith("file:///")) return fileURLToPath(backendUrl);
  const [path = ""] = backendUrl.slice("file://".length).split("?");
  return path.startsWith("~") ? join(homedir(), path.slice(1)) : resolve(PROJECT_ROOT, path);
}

/** Where Pulumi's file backend keeps the locks of a stack; null for other backends. */
export function lockFolder(
  backendUrl: string | null,
  project: string,
  stack: string,
): string | null {
  const folder = backendFolder(backendUrl);
  return folder && join(folder, ".pulumi", "locks", "organization", project, stack);
}

/** The locks that are there; what cannot be read as one is none. */
export function readLocks(folder: string): OperationLock[] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return [];
  }
  return names
    .filter((name) => name.endsWith(".json"))
    .flatMap((name) => {
      const path = join(folder, name);
      try {
        const { pid, username, hostname: host, timestamp } = JSON.parse(readFileSync(path, "utf8"));
        const since = Date.parse(timestamp);
        if (typeof pid !== "number" || typeof host !== "string") return [];
        return [{ path, pid, user: String(username), host, since }];
      } catch {
        return [];
      }
    });
}

/** What a process was started as: its name and first word, since further ones may hold anything. */
export function commandOf(pid: number): string | null {
  try {
    const [program = "", verb = ""] = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    if (program === "") return null;
    return /^[a-z][a-z-]*$/.test(verb) ? `${basename(program)} ${verb}` : basename(program);
  } catch {
    return null;
  }
}

export type HolderState = "alive" | "dead" | "unknown";

/**
 * Whether the run that took a lock still goes on. Of another machine's nothing is known. A process that
 * is no Pulumi has got the number of one that ended.
 */
export function holderState(lock: OperationLock, self = hostname()): HolderState {
  if (lock.host !== self) return "unknown";
  try {
    process.kill(lock.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return "dead";
  }
  if (process.platform !== "linux") return "alive";
  // What a killed run leaves in a container whose first process takes no orphans stays in the list.
  if (processStart(lock.pid) === null) return "dead";
  const command = commandOf(lock.pid);
  return command === null || /pulumi/i.test(command) ? "alive" : "dead";
}

/** Who holds a stack, with what and since when, for people. */
export function describe(lock: OperationLock): string {
  const command = lock.host === hostname() ? commandOf(lock.pid) : null;
  const what = command ? ` (${command})` : "";
  return `process ${lock.pid}${what} of ${lock.user} on ${lock.host}, since ${age(Date.now() - lock.since)}`;
}

/** What a person is told who finds the stack held by others. */
export function lockedBy(
  verb: string,
  stack: string,
  locks: readonly OperationLock[],
): CommandFailed {
  const elsewhere = locks.some((lock) => holderState(lock) === "unknown");
  return new CommandFailed(
    `${verb} of ${stack} cannot begin: another run is changing the stack`,
    locks.map(describe).join("; "),
    elsewhere
      ? `wait for it (--wait 10m). If that machine or run is gone for good: ./fleet pulumi cancel --stack ${stack}`
      : "wait for it and run this again, or let this command wait: --wait 10m",
  );
}

/**
 * Returns when no other run holds the stack. Locks of runs that died on this machine are removed and
 * told of; living ones are waited for, for `waitMs` at most.
 * @throws CommandFailed that names the holder.
 */
export async function awaitFree(
  folder: string,
  verb: string,
  stack: string,
  waitMs: number,
): Promise<void> {
  await awaitNobody(verb, stack, { waitMs, everyMs: LOOK_EVERY_MS }, () => {
    const locks = readLocks(folder);
    const dead = locks.filter((lock) => holderState(lock) === "dead");
    for (const lock of dead) {
      // The backend keeps a file of attributes beside each of its files.
      for (const path of [lock.path, `${lock.path}.attrs`]) rmSync(path, { force: true });
      say(`fleet: the run that held ${stack} has died (${describe(lock)}); its lock was removed`);
    }
    return locks.filter((lock) => !dead.includes(lock));
  });
}

/**
 * Returns when `look` finds nobody who holds the stack; waits for `waitMs` at most.
 * @throws CommandFailed that names the holder.
 */
export async function awaitNobody(
  verb: string,
  stack: string,
  { waitMs, everyMs }: { waitMs: number; everyMs: number },
  look: () => readonly OperationLock[],
): Promise<void> {
  const until = performance.now() + waitMs;
  let tellAt = Number.NEGATIVE_INFINITY;
  for (;;) {
    const others = look();
    if (others.length === 0) return;
    const now = performance.now();
    if (now >= until) throw lockedBy(verb, stack, others);
    if (now >= tellAt) {
      say(`fleet: waiting for ${others.map(describe).join("; ")}`);
      tellAt = now + TELL_EVERY_MS;
    }
    await sleep(Math.min(everyMs, until - now));
  }
}
