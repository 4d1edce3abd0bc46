import { readFileSync, statfsSync } from "node:fs";
import { createServer } from "node:net";
import { freemem } from "node:os";
import { basename, dirname } from "node:path";
import { portHolders } from "../gateway/supervisor/processes.ts";
import { fleetFile, readIfThere } from "./files.ts";

const MIB = 2 ** 20;

/** Memory that processes of this user can still have, MiB, and what limits it. */
export function availableMemory(root = ""): { mib: number; limit: string } {
  const meminfo = readIfThere(`${root}/proc/meminfo`);
  const kib = Number(/^MemAvailable:\s+(\d+) kB$/m.exec(meminfo ?? "")?.[1]);
  const machine = Number.isFinite(kib) ? kib / 1024 : freemem() / MIB;
  const group = cgroupHeadroom(root);
  return group !== null && group < machine
    ? { mib: Math.floor(group), limit: "the memory limit of this process's cgroup" }
    : { mib: Math.floor(machine), limit: "the machine's free memory" };
}

/** Smallest room left in this process's cgroup or one above it, MiB; null without a limit. */
function cgroupHeadroom(root: string): number | null {
  const lines = (readIfThere(`${root}/proc/self/cgroup`) ?? "").split("\n");
  const rooms: number[] = [];
  for (const line of lines) {
    const [, controllers, path = "/"] = line.split(":");
    const unified = controllers === "";
    if (!unified && !controllers?.split(",").includes("memory")) continue;
    const base = `${root}/sys/fs/cgroup${unified ? "" : "/memory"}`;
    const names = unified
      ? { limit: "memory.max", used: "memory.current", cache: "inactive_file" }
      : {
          limit: "memory.limit_in_bytes",
          used: "memory.usage_in_bytes",
          cache: "total_inactive_file",
        };
    for (let at = path; ; at = dirname(at)) {
      const limit = Number(readIfThere(`${base}${at}/${names.limit}`)?.trim() || Number.NaN);
      const used = Number(readIfThere(`${base}${at}/${names.used}`)?.trim() || Number.NaN);
      const stat = readIfThere(`${base}${at}/memory.stat`) ?? "";
      const cache = Number(new RegExp(`^${names.cache} (\\d+)$`, "m").exec(stat)?.[1] ?? 0);
      if (Number.isFinite(limit) && Number.isFinite(used)) rooms.push((limit - used + cache) / MIB);
      if (at === "/" || at === ".") break;
    }
  }
  return rooms.length > 0 ? Math.min(...rooms) : null;
}

/** Why the memory does not do; null when it does. */
export function memoryFault(needMiB: number, root = ""): string | null {
  const have = availableMemory(root);
  if (needMiB <= have.mib) return null;
  return (
    `the planned shards need ${Math.ceil(needMiB)} MiB of memory, and ${have.mib} MiB are available ` +
    `(${have.limit}). Nothing was started. Free memory, or lower openclaw-fleet:shards or :nodes`
  );
}

/** Why the disk does not do; null when it does. */
export function diskFault(dir: string, needMiB: number): string | null {
  let at = dir;
  for (;;) {
    try {
      const { bavail, bsize } = statfsSync(at);
      const have = Math.floor((bavail * bsize) / MIB);
      if (have >= needMiB) return null;
      return (
        `the fleet's state needs ${Math.ceil(needMiB)} MiB of disk below ${dir}, and ${have} MiB are free. ` +
        "Nothing was started. Free some, or set OPENCLAW_DATA_DIR to another disk"
      );
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT" || at === dirname(at)) throw error;
      at = dirname(at);
    }
  }
}

/** Why the port cannot be opened; null when it can. Names the process that has it, where allowed. */
export async function portFault(host: string, port: number): Promise<string | null> {
  const error = await new Promise<NodeJS.ErrnoException | null>((resolve) => {
    const probe = createServer();
    probe.once("error", resolve);
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve(null)));
  });
  if (!error) return null;
  if (error.code === "EADDRINUSE") {
    const holder = portHolder(port);
    const what = holder?.fleet ? `${holder.name}, of fleet ${holder.fleet}` : holder?.name;
    const who = holder ? `process ${holder.pid} (${what})` : "another user's process";
    return (
      `port ${port} on ${host} is in use by ${who}. Nothing was started. ` +
      "Stop it, or set openclaw-fleet:port to a free one"
    );
  }
  return `port ${port} on ${host} cannot be opened: ${error.message}. Set openclaw-fleet:port or :host`;
}

export interface PortHolder {
  pid: number;
  name: string;
  /** The fleet whose node it is; null for any other program. */
  fleet: string | null;
}

/** A process that listens on a TCP port here. Linux only, else null. */
export function portHolder(port: number): PortHolder | null {
  for (const pid of portHolders(port)) {
    try {
      return { pid, name: programName(pid), fleet: fleetOfProcess(pid) };
    } catch {
      // It ended while we looked.
    }
  }
  return null;
}

/** The program as it was started; only its own name, because arguments may hold anything. */
function programName(pid: number): string {
  const [program = ""] = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  return basename(program) || readFileSync(`/proc/${pid}/comm`, "utf8").trim();
}

/** A supervisor is started with its node's directory, two levels below the fleet's. */
function fleetOfProcess(pid: number): string | null {
  const args = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  const at = args.indexOf("--node-dir");
  const dir = at < 0 ? undefined : args[at + 1];
  if (dir === undefined) return null;
  try {
    const { fleet } = JSON.parse(readIfThere(fleetFile(dirname(dirname(dir)))) ?? "null") ?? {};
    return typeof fleet === "string" ? fleet : null;
  } catch {
    return null;
  }
}
