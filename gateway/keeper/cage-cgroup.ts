import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { Cage, CageCommand, Cages } from "./cage.ts";
import { killUntilEmpty, memoryOf } from "./cage-common.ts";
import { CGROUP_ROOT } from "./cage-name.ts";
import { handDown, isSettled } from "./delegation.ts";

/** Puts itself into the cgroup before it becomes the program: no child can be born outside. */
const ENTER = 'echo $$ > "$1" || exit 125; shift; exec "$@"';

/** Where the v2 tree is mounted, and the directory below it that cages are made under. */
export interface CgroupBase {
  mount: string;
  /** Relative to the mount, without slashes at the ends; empty for the mount itself. */
  path: string;
  /** It is this keeper's alone, so controllers may be handed down to its cages. */
  delegated: boolean;
}

/** Where the v2 tree is mounted; null where there is none. */
export function cgroupMount(): string | null {
  let mounts: string;
  try {
    mounts = readFileSync("/proc/self/mounts", "utf8");
  } catch {
    return null;
  }
  for (const line of mounts.split("\n")) {
    const [, mount, type] = line.split(" ");
    if (type === "cgroup2" && mount) return mount;
  }
  return null;
}

/** This process's own v2 cgroup, relative to the mount. */
export function ownCgroup(): string | null {
  try {
    const line = readFileSync("/proc/self/cgroup", "utf8").match(/^0::\/(.*)$/m);
    return line ? (line[1] ?? null) : null;
  } catch {
    return null;
  }
}

/**
 * First this process's own cgroup (a service manager that stops the node then also stops its cages),
 * then the mount. Each is tried for real: made, filled, killed. Null where neither works, among them
 * kernels before 5.14, which have no `cgroup.kill`.
 */
export function findCgroupBase(): CgroupBase | null {
  const mount = cgroupMount();
  const own = ownCgroup();
  if (mount === null || own === null) return null;
  // A keeper started by something inside a cage must not become part of it.
  const outside = own.split(`${CGROUP_ROOT}/`)[0]?.replace(/\/+$/, "") ?? "";
  for (const path of new Set([outside, ""])) {
    const delegated = path === outside && isSettled(own);
    if (tryBase(join(mount, path))) return { mount, path, delegated };
  }
  return null;
}

function tryBase(directory: string): boolean {
  const probe = join(directory, CGROUP_ROOT, `probe-${process.pid}`);
  try {
    makeTree(probe);
    if (!existsSync(join(probe, "cgroup.kill"))) return false;
    const entered = spawnSync("/bin/sh", ["-c", ENTER, "sh", join(probe, "cgroup.procs"), "true"]);
    return entered.status === 0;
  } catch {
    return false;
  } finally {
    removeTree(probe);
  }
}

/** Removes a cgroup and those below it; false while something is inside. */
function removeTree(directory: string): boolean {
  try {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      if (entry.isDirectory()) removeTree(join(directory, entry.name));
    }
    rmdirSync(directory);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT";
  }
}

/** Makes it and what is above it, also while another node of the machine removes what was empty. */
function makeTree(directory: string): void {
  for (let tries = 1; ; tries++) {
    try {
      mkdirSync(directory, { recursive: true });
      return;
    } catch (error) {
      if (tries >= 20 || (error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
}

function pidsBelow(directory: string): number[] {
  try {
    const own = readFileSync(join(directory, "cgroup.procs"), "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map(Number);
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      if (entry.isDirectory()) own.push(...pidsBelow(join(directory, entry.name)));
    }
    return own;
  } catch {
    return [];
  }
}

export class CgroupCage implements Cage {
  readonly name: string;
  readonly #directory: string;
  /** The program, until its end was seen: it is ours before it is in the cgroup. */
  #child: ChildProcess | null = null;

  /** @param path relative to the mount */
  constructor(path: string, mount: string = cgroupMount() ?? "/sys/fs/cgroup") {
    this.name = `cgroup:${path}`;
    this.#directory = join(mount, path);
  }

  run(command: CageCommand): ChildProcess {
    makeTree(this.#directory);
    if (!this.empty()) throw new Error(`the cage ${this.name} is not empty`);
    if (command.memoryMaxBytes !== undefined) this.#limit(command.memoryMaxBytes);
    const procs = join(this.#directory, "cgroup.procs");
    const child = spawn("/bin/sh", ["-c", ENTER, "sh", procs, command.command, ...command.args], {
      cwd: command.cwd,
      env: command.env,
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

  /** Above it the kernel ends all of the cage, not one process of it. Without the controller: nothing. */
  #limit(bytes: number): void {
    const set = (file: string, value: string) => {
      const path = join(this.#directory, file);
      if (existsSync(path)) writeFileSync(path, value);
    };
    try {
      set("memory.oom.group", "1");
      set("memory.max", String(bytes));
    } catch {
      // Not ours to set after all; the node's own watch on memory remains.
    }
  }

  strike(): void {
    this.#child?.kill("SIGKILL");
    try {
      writeFileSync(join(this.#directory, "cgroup.kill"), "1");
    } catch {
      // Gone: then nothing is inside, which empty() confirms.
    }
  }

  async kill(): Promise<void> {
    await killUntilEmpty(this);
    // The kernel may hold the directory a moment longer than its last process.
    for (let tries = 0; tries < 20 && !removeTree(this.#directory); tries++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  empty(): boolean {
    if (this.#child !== null) return false;
    try {
      return /^populated 0$/m.test(readFileSync(join(this.#directory, "cgroup.events"), "utf8"));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // ENODEV: removed between opening and reading.
      return code === "ENOENT" || code === "ENODEV";
    }
  }

  pids(): number[] {
    return pidsBelow(this.#directory);
  }

  memoryBytes(): Promise<number> {
    return memoryOf(this.pids());
  }
}

/**
 * The cages below a recorded root (`Cages.root`), null when there are none any more or the root is not
 * this node's. A keeper's own cgroup changes with the way it was started.
 */
export function recordedCgroupCages(root: string, fleet: string, node: string): Cages | null {
  const mount = cgroupMount();
  const own = join(CGROUP_ROOT, fleet, node);
  const path = root.slice(0, -own.length).replace(/\/$/, "");
  if (mount === null || join(path, own) !== root || path.split("/").includes("..")) return null;
  return existsSync(join(mount, root))
    ? new CgroupCages({ mount, path, delegated: false }, fleet, node)
    : null;
}

export class CgroupCages implements Cages {
  readonly kind = "cgroup";
  readonly #mount: string;
  readonly #path: string;

  constructor(base: CgroupBase, fleet: string, node: string) {
    this.#mount = base.mount;
    this.#path = join(base.path, CGROUP_ROOT, fleet, node);
    makeTree(join(this.#mount, this.#path));
    if (!base.delegated) return;
    const own = join(this.#mount, this.#path);
    for (const above of ["..", "."]) handDown(join(own, above));
  }

  get root(): string {
    return this.#path;
  }

  create(name: string): Cage {
    return new CgroupCage(join(this.#path, name), this.#mount);
  }

  leftovers(): Cage[] {
    try {
      return readdirSync(join(this.#mount, this.#path), { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map((entry) => this.create(entry.name));
    } catch {
      return [];
    }
  }

  killAllScript(): { script: string; args: string[] } {
    return { script: 'echo 1 > "$1/cgroup.kill"', args: [join(this.#mount, this.#path)] };
  }

  dispose(): void {
    const node = join(this.#mount, this.#path);
    if (!removeTree(node)) return;
    // Also the fleet's and the root, unless another node or fleet is in them.
    for (const up of ["..", "../.."]) {
      try {
        rmdirSync(join(node, up));
      } catch {
        return;
      }
    }
  }
}
