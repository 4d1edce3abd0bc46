import { type ChildProcess, spawn } from "node:child_process";
import type { Cage, CageCommand, Cages } from "./cage.ts";
import { memoryOf } from "./cage-common.ts";
import { CAGE_TAG } from "./cage-name.ts";
import { type ListedProcess, listProcesses } from "./process-list.ts";

/** Pause between two scans while killing. */
const SCAN_EVERY_MS = 20;

/**
 * A cage without cgroups: a session of its own, and a tag in the environment of everything inside.
 * Found are tagged processes, their descendants, members of their sessions, and whatever was found
 * once before. What escapes: a process that cleared its environment, made its own session and lost
 * its parent, all between two looks (each memory sample is a look).
 */
export class SessionCage implements Cage {
  readonly name: string;
  readonly #tag: string;
  readonly #list: (tag: string) => ListedProcess[];
  #child: ChildProcess | null = null;
  /** Start times of processes found before, by pid. */
  #known = new Map<number, string>();

  constructor(tag: string, list: (tag: string) => ListedProcess[] = listProcesses) {
    this.name = `session:${tag}`;
    this.#tag = tag;
    this.#list = list;
  }

  run(command: CageCommand): ChildProcess {
    const child = spawn(command.command, command.args, {
      cwd: command.cwd,
      env: { ...command.env, [CAGE_TAG]: this.#tag },
      stdio: command.stdio,
      detached: true,
    });
    this.#child = child;
    const over = () => {
      this.#child = null;
    };
    child.once("exit", over);
    child.once("error", () => {
      if (child.pid === undefined) over();
    });
    return child;
  }

  strike(): void {
    this.#child?.kill("SIGKILL");
    for (const pid of this.pids()) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // Ended meanwhile.
      }
    }
  }

  async kill(): Promise<void> {
    // One look can miss a child born while it went through the list; two in a row do not.
    for (let clean = 0; clean < 2; ) {
      this.strike();
      clean = this.empty() ? clean + 1 : 0;
      if (clean < 2) await new Promise((resolve) => setTimeout(resolve, SCAN_EVERY_MS));
    }
  }

  empty(): boolean {
    return this.#child === null && this.pids().length === 0;
  }

  pids(): number[] {
    const found = members(this.#list(this.#tag), this.#known);
    this.#known = new Map(found.map((one) => [one.pid, one.start]));
    return found.map((one) => one.pid);
  }

  memoryBytes(): Promise<number> {
    return memoryOf(this.pids());
  }
}

/** The tagged, the known, their descendants and the members of their sessions. Never this process. */
export function members(all: ListedProcess[], known: Map<number, string>): ListedProcess[] {
  const found = new Set<number>();
  const sessions = new Set<number>();
  const add = (one: ListedProcess) => {
    if (found.has(one.pid) || one.pid === process.pid || one.pid <= 1) return false;
    found.add(one.pid);
    // A found process lives in a session that something inside made, unless this process is in it.
    if (one.session > 1) sessions.add(one.session);
    return true;
  };
  const own = all.find((one) => one.pid === process.pid)?.session;
  for (const one of all) if (one.tagged || known.get(one.pid) === one.start) add(one);
  for (let grew = true; grew; ) {
    grew = false;
    if (own !== undefined) sessions.delete(own);
    for (const one of all) {
      if (found.has(one.ppid) || sessions.has(one.session)) grew = add(one) || grew;
    }
  }
  return all.filter((one) => found.has(one.pid));
}

export class SessionCages implements Cages {
  readonly kind = "session";
  readonly root = null;
  readonly #prefix: string;

  constructor(fleet: string, node: string) {
    this.#prefix = `${fleet}/${node}/`;
  }

  create(name: string): Cage {
    return new SessionCage(this.#prefix + name);
  }

  /** One cage that holds everything tagged for this node, whatever its cage was. */
  leftovers(): Cage[] {
    return [new SessionCage(this.#prefix)];
  }

  killAllScript(): { script: string; args: string[] } {
    // Environments are NUL-separated: -z makes each variable a line. Without /proc only what the
    // supervisor and the next keeper find is killed.
    const script = `for i in 1 2 3 4 5 6; do
  for f in $(grep -laszE "^${CAGE_TAG}=$1" /proc/[0-9]*/environ); do
    p=\${f#/proc/}; kill -9 "\${p%%/*}"
  done
done 2>/dev/null`;
    return { script, args: [this.#prefix] };
  }

  dispose(): void {}
}
