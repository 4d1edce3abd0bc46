import type { ChildProcess, StdioOptions } from "node:child_process";
import { CgroupCage, CgroupCages, findCgroupBase, recordedCgroupCages } from "./cage-cgroup.ts";
import { parseCageName } from "./cage-name.ts";
import { SessionCage, SessionCages } from "./cage-session.ts";

export interface CageCommand {
  /** Absolute path of a program. */
  command: string;
  args: string[];
  cwd: string;
  env: Record<string, string>;
  stdio: StdioOptions;
  /** Enforced by the kernel where the cage can have limits. @default none */
  memoryMaxBytes?: number | undefined;
}

/** Holds a program with everything it starts, so that all of it can be ended. */
export interface Cage {
  /** Identifies the cage on this machine for any process, now and later: for `clearCage`. */
  readonly name: string;
  /** Starts the program inside. Once per cage. Failures come as the child's `error` event. */
  run(command: CageCommand): ChildProcess;
  /** One blow against everything inside, synchronous. Does not wait. */
  strike(): void;
  /** Kills until nothing is left, then removes what the cage itself left. Never gives up. */
  kill(): Promise<void>;
  /** True when nothing that can have an effect is inside; zombies do not count. */
  empty(): boolean;
  pids(): number[];
  /** Memory of everything inside: proportional set size where the kernel tells it, else resident. */
  memoryBytes(): Promise<number>;
}

/** Makes the cages of one node. */
export interface Cages {
  readonly kind: "cgroup" | "session";
  /** Where they are, to be recorded for {@link clearNodeCages}; null when they are found anywhere. */
  readonly root: string | null;
  /** `name` is unique on the node: letters, digits, dots and dashes. */
  create(name: string): Cage;
  /** What an earlier keeper of this node left. Only right while no other keeper of it lives. */
  leftovers(): Cage[];
  /** A shell script, and its arguments, that kills all cages of the node. */
  killAllScript(): { script: string; args: string[] };
  /** Removes what the node itself left when nothing runs any more. */
  dispose(): void;
}

export interface CagesOptions {
  /** {@link fleetKey} of the fleet's data directory. */
  fleet: string;
  node: string;
  /** @default "auto": cgroups where this process can make and fill them, else sessions */
  kind?: "auto" | "cgroup" | "session";
}

/** Finds out what the machine allows. Throws when `kind` is "cgroup" and it does not. */
export function openCages(options: CagesOptions): Cages {
  const { fleet, node, kind = "auto" } = options;
  if (kind !== "session") {
    const base = findCgroupBase();
    if (base) return new CgroupCages(base, fleet, node);
    if (kind === "cgroup") throw new Error("No cgroup v2 tree here that this process may fill");
  }
  return new SessionCages(fleet, node);
}

/** Kills what any earlier keeper of a node left; only right while none of it lives. */
export async function clearNodeCages(
  fleet: string,
  node: string,
  recordedRoot: string | null,
): Promise<void> {
  const places: (Cages | null)[] = [
    recordedRoot === null ? null : recordedCgroupCages(recordedRoot, fleet, node),
    openCages({ fleet, node }),
    openCages({ fleet, node, kind: "session" }),
  ];
  for (const cages of places) {
    if (cages === null) continue;
    await Promise.all(cages.leftovers().map((cage) => cage.kill()));
    cages.dispose();
  }
}

/** A cage that some other process made. Throws on a name that this project cannot have made. */
export function adoptCage(name: string): Cage {
  const parsed = parseCageName(name);
  return parsed.kind === "cgroup" ? new CgroupCage(parsed.path) : new SessionCage(parsed.tag);
}

/** Kills what is left in a cage that anybody on this machine made; resolves when it is empty. */
export async function clearCage(name: string): Promise<void> {
  await adoptCage(name).kill();
}
