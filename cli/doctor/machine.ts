import { accessSync, constants, existsSync, readFileSync, statfsSync } from "node:fs";
import { cpus } from "node:os";
import { dirname, join } from "node:path";
import { findCgroupBase } from "../../gateway/keeper/cage-cgroup.ts";
import { availableMemory, portFault, portHolder } from "../../plugin/preflight.ts";
import { localDataDir } from "../../stacks/data-dir.ts";
import { planStack } from "../../stacks/plan.ts";
import type { Settings } from "../../stacks/settings.ts";
import { dataDir, PROJECT_ROOT } from "../../toolchain/paths.ts";
import { CHECKED } from "../../toolchain/pins.ts";
import { asCommandFailed, stackSettings } from "../lib/stack-settings.ts";
import type { Check } from "./check.ts";

const GIB = 1024;

interface Wanted {
  memoryMiB: number;
  diskMiB: number;
  cores: number;
  shards: number;
  nodes: number;
  host: string;
  port: number;
}

/** Has this machine what the stack's fleet needs? Of fleets elsewhere only the settings are judged here. */
export async function machineChecks(
  stack: string,
): Promise<{ target: Settings["target"] | null; checks: Check[] }> {
  const { wanted, target, check } = readPlan(stack);
  const checks: Check[] = [check];
  if (target !== null && target !== "local") return { target, checks: [...checks, clock()] };
  if (wanted) {
    const holder = portHolder(wanted.port);
    const running = holder !== null && isOurs(holder.pid);
    checks.push(await port(wanted, holder, running), memory(wanted, running));
    checks.push(disk(wanted, localDataDir(stack)), cores(wanted));
  }
  return { target, checks: [...checks, cgroups(), clock()] };
}

function readPlan(stack: string): {
  wanted: Wanted | null;
  target: Settings["target"] | null;
  check: Check;
} {
  const id = "settings";
  const file = `Pulumi.${stack}.yaml`;
  try {
    const settings = stackSettings(stack);
    const { nodes, shards, machine } = planStack(stack, settings).fleet;
    const counts = `stack ${stack}: ${nodes.length} nodes, ${shards.length} shards`;
    const written = existsSync(join(PROJECT_ROOT, file));
    return {
      wanted: {
        ...machine,
        shards: shards.length,
        nodes: nodes.length,
        host: settings.host,
        port: settings.port,
      },
      target: settings.target,
      check: { id, state: "ok", text: written ? counts : `${counts} (no ${file}: the defaults)` },
    };
  } catch (error) {
    const known = asCommandFailed(error);
    const text = known instanceof Error ? known.message : String(known);
    const fix = `edit ${file}`;
    return { wanted: null, target: null, check: { id, state: "fail", text, fix } };
  }
}

/** Does that process belong to a fleet of this project? */
function isOurs(pid: number): boolean {
  try {
    const command = readFileSync(`/proc/${pid}/cmdline`, "utf8");
    return /openclaw-fleet\/runtime\/|gateway\/node\/main\.ts/.test(command);
  } catch {
    return false;
  }
}

async function port(
  { host, port: number }: Wanted,
  holder: { pid: number; name: string } | null,
  running: boolean,
): Promise<Check> {
  const id = "port";
  if (running) {
    return { id, state: "ok", text: `${number} is held by a fleet (process ${holder?.pid})` };
  }
  const fault = await portFault(host, number);
  if (!fault) return { id, state: "ok", text: `${number} on ${host} is free` };
  const who = holder ? `in use by process ${holder.pid} (${holder.name})` : "not to be opened";
  return {
    id,
    state: "fail",
    text: `${number} on ${host} is ${who}`,
    fix: "stop that process, or set openclaw-fleet:port to a free port",
  };
}

function memory({ memoryMiB, shards }: Wanted, running: boolean): Check {
  const id = "memory";
  const { mib, limit } = availableMemory();
  const text = `${gib(mib)} available (${limit}), ${shards} shards need ${gib(memoryMiB)}`;
  if (running) return { id, state: "ok", text: `${text}; a fleet runs and has its part already` };
  if (mib >= memoryMiB) return { id, state: "ok", text };
  return { id, state: "fail", text, fix: "free memory, or lower openclaw-fleet:shards or :nodes" };
}

function disk({ diskMiB }: Wanted, folder: string): Check {
  const id = "disk";
  const { bavail, bsize } = statfsSync(nearest(folder));
  const free = (bavail * bsize) / 2 ** 20;
  const text = `${gib(free)} free at ${folder}, ${gib(diskMiB)} needed`;
  if (free >= diskMiB) return { id, state: "ok", text };
  return { id, state: "fail", text, fix: "free some, or set OPENCLAW_DATA_DIR to another disk" };
}

function cores({ cores: need, shards }: Wanted): Check {
  const id = "cores";
  const have = cpus().length;
  const text = `${have}, ${shards} shards want ${need}`;
  if (have >= need) return { id, state: "ok", text };
  return {
    id,
    state: "warn",
    text,
    why: "it runs, but starts take longer and fewer turns are answered a second",
    fix: "lower openclaw-fleet:shards, or use a larger machine",
  };
}

function cgroups(): Check {
  const id = "cages";
  if (findCgroupBase()) {
    return { id, state: "ok", text: "cgroups: a gateway and all it started end in one blow" };
  }
  return {
    id,
    state: "warn",
    text: "sessions: there is no cgroup v2 tree here that this user may fill",
    why: "a tool that hides from its session is found by its environment mark instead",
    fix: "nothing is needed; run as root, or under systemd with Delegate=yes, to have cgroups",
  };
}

/** A wall clock before the pins were written is wrong; it breaks TLS, and times in logs. */
function clock(): Check {
  const id = "clock";
  const now = new Date();
  const text = `${now.toISOString().slice(0, 19)}Z (ownership does not depend on it)`;
  if (now >= new Date(`${CHECKED}T00:00:00Z`)) return { id, state: "ok", text };
  return { id, state: "fail", text, fix: `set the clock: it is before ${CHECKED}` };
}

/** Can the state of the stacks be written? Looks only. */
export function dataCheck(): Check {
  const id = "data";
  const folder = dataDir();
  try {
    accessSync(nearest(folder), constants.W_OK);
    return { id, state: "ok", text: folder };
  } catch (error) {
    const text = `${folder}: ${error instanceof Error ? error.message : error}`;
    return { id, state: "fail", text, fix: "make it writable, or set XDG_DATA_HOME" };
  }
}

/** The folder itself, or the one above it that exists and in which it would be made. */
function nearest(folder: string): string {
  let at = folder;
  while (!existsSync(at) && at !== dirname(at)) at = dirname(at);
  return at;
}

function gib(mib: number): string {
  return `${(mib / GIB).toFixed(1)} GiB`;
}
