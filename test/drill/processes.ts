import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { History } from "./history.ts";
import type { Peer } from "./peer.ts";

/** One process as /proc shows it. Source: proc_pid_stat(5). */
export interface ProcessInfo {
  pid: number;
  parent: number;
  /** Clock ticks since boot; with the pid it names a process for good. */
  start: string;
  /** `T`: stopped by a signal. */
  state: string;
  /** CPU used so far by itself, clock ticks. */
  cpuTicks: number;
  residentPages: number;
}

/** Null when there is no such process, or only its corpse. */
export function readProcess(pid: number): ProcessInfo | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return null;
  }
  // The command name may hold spaces and brackets: fields count from behind the last bracket.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state = "", parent = "0"] = fields;
  if (state === "Z" || state === "X") return null;
  return {
    pid,
    parent: Number(parent),
    start: fields[19] ?? "",
    state,
    cpuTicks: Number(fields[11]) + Number(fields[12]),
    residentPages: Number(fields[21]),
  };
}

export function allPids(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** The process and everything below it, parents first. */
export function withDescendants(root: number): ProcessInfo[] {
  const all = allPids().flatMap((pid) => readProcess(pid) ?? []);
  const children = Map.groupBy(all, (info) => info.parent);
  const out = all.filter((info) => info.pid === root);
  for (const info of out) out.push(...(children.get(info.pid) ?? []));
  return out;
}

/** Value of a variable in the environment a process was started with; null when it is not ours to see. */
export function environmentOf(pid: number, name: string): string | null {
  try {
    const entries = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
    return entries.find((entry) => entry.startsWith(`${name}=`))?.slice(name.length + 1) ?? null;
  } catch {
    return null;
  }
}

/** Where processes are that this machine sees, but that run on other hosts: containers of its own. */
export interface ProcessPlaces {
  /** Name of the host that a process runs on; null: this machine itself. */
  hostOf(pid: number): string | null;
  /** True while nothing on a host can run: it is frozen. */
  frozen(host: string): boolean;
}

const HERE: ProcessPlaces = { hostOf: () => null, frozen: () => false };

interface Member {
  pid: number;
  start: string;
  shard: string;
  host: string | null;
  group: string;
}

interface Group {
  shard: string;
  root: number;
  members: Map<number, Member>;
  running: boolean;
}

/** A new pid is looked at again for this long: between fork and exec it has its parent's environment. */
const YOUNG_MS = 2_000;
const LOOK_EVERY_MS = 100;
/** A `looked` entry is written this often, or at once when a look came late. */
const ACCOUNT_EVERY_MS = 1_000;

/**
 * Looks at /proc ten times a second for processes whose OPENCLAW_STATE_DIR lies in the fleet's data
 * directory, and writes down each start and end of a shard's gateway. It trusts nothing the fleet says.
 */
export class ProcessWatch {
  readonly #history: History;
  readonly #shardOf: (stateDir: string, pid: number) => string | null;
  readonly #places: ProcessPlaces;
  readonly #groups = new Map<string, Group>();
  readonly #members = new Map<number, Member>();
  /** Pids that are nobody's, with the time until which they are looked at again. */
  readonly #strangers = new Map<number, number>();
  #timer: NodeJS.Timeout | undefined;
  #lookedAt: number;
  #accountedAt: number;
  #worstGap = 0;

  constructor(
    history: History,
    shardOf: (stateDir: string, pid: number) => string | null,
    places: ProcessPlaces = HERE,
  ) {
    this.#history = history;
    this.#shardOf = shardOf;
    this.#places = places;
    this.#lookedAt = history.now();
    this.#accountedAt = history.now();
  }

  /** Vouches for what happens from now on: before, there was nothing to look at. */
  start(): void {
    this.#lookedAt = this.#history.now();
    this.look();
    this.#timer = setInterval(() => this.look(), LOOK_EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** @param pids in any order: /proc is listed by name, where 10000 comes before 9999 */
  look(pids: readonly number[] = allPids()): void {
    const now = this.#history.now();
    this.#account(now);
    const present = new Set(pids);
    for (const pid of present) this.#meet(pid, now);
    for (const pid of this.#strangers.keys()) if (!present.has(pid)) this.#strangers.delete(pid);
    for (const [id, group] of this.#groups) this.#follow(id, group);
  }

  /** Pid of the newest gateway of a shard that is there now; null when none is. */
  gatewayOf(shard: string): number | null {
    const mine = [...this.#groups.values()].filter((group) => group.shard === shard);
    return mine.at(-1)?.root ?? null;
  }

  /** All pids of a shard's groups that are there now. */
  pidsOf(shard: string): number[] {
    return [...this.#members.values()].filter((m) => m.shard === shard).map((m) => m.pid);
  }

  /** Root pid of the group that holds the other end of a connection to a port of ours. */
  callerOf(peer: Peer): number | null {
    for (const members of Map.groupBy(this.#members.values(), ({ host }) => host).values()) {
      // Each host has a table of its own, which any of its processes shows.
      const inode = members[0] && inodeOf(members[0].pid, peer);
      const holder = inode && members.find(({ pid }) => holdsSocket(pid, inode));
      if (holder) return this.#groups.get(holder.group)?.root ?? null;
    }
    return null;
  }

  #account(now: number): void {
    this.#worstGap = Math.max(this.#worstGap, now - this.#lookedAt);
    this.#lookedAt = now;
    if (now - this.#accountedAt < ACCOUNT_EVERY_MS) return;
    this.#history.add({ type: "looked", what: "processes", gapMs: Math.round(this.#worstGap) });
    this.#accountedAt = now;
    this.#worstGap = 0;
  }

  #meet(pid: number, now: number): void {
    if (this.#members.has(pid)) return;
    const until = this.#strangers.get(pid);
    if (until !== undefined && now > until) return;
    if (until === undefined) this.#strangers.set(pid, now + YOUNG_MS);
    const stateDir = environmentOf(pid, "OPENCLAW_STATE_DIR");
    const shard = stateDir === null ? null : this.#shardOf(stateDir, pid);
    const info = shard === null ? null : readProcess(pid);
    if (shard === null || info === null) return;
    this.#strangers.delete(pid);
    // A child belongs to its parent's group, whichever is met first.
    this.#meet(info.parent, now);
    const parent = this.#members.get(info.parent);
    const host = this.#places.hostOf(pid);
    const id = parent?.group ?? `${shard}/${pid}.${info.start}`;
    let group = this.#groups.get(id);
    if (!group) {
      group = { shard, root: pid, members: new Map(), running: true };
      this.#groups.set(id, group);
      this.#history.add({ type: "process-up", shard, group: id, pid, node: host });
    }
    const member = { pid, start: info.start, shard, host, group: id };
    group.members.set(pid, member);
    this.#members.set(pid, member);
  }

  #frozen(host: string | null): boolean {
    return host !== null && this.#places.frozen(host);
  }

  #follow(id: string, group: Group): void {
    let running = false;
    for (const member of group.members.values()) {
      const info = readProcess(member.pid);
      if (info === null || info.start !== member.start) {
        group.members.delete(member.pid);
        this.#members.delete(member.pid);
      } else if (info.state !== "T" && !this.#frozen(member.host)) running = true;
    }
    if (group.members.size === 0) {
      this.#groups.delete(id);
      this.#history.add({ type: "process-down", shard: group.shard, group: id });
    } else if (running !== group.running) {
      group.running = running;
      this.#history.add({ type: "process-state", shard: group.shard, group: id, running });
    }
  }
}

/** How the kernel's tables end an IPv4 address with its port: bytes of the address in reverse, all in hex. */
function ownEnd(address: string, port: number): string {
  const hex = (value: number, digits: number) =>
    value.toString(16).toUpperCase().padStart(digits, "0");
  const bytes = address
    .replace(/^::ffff:/, "")
    .split(".")
    .map(Number)
    .reverse();
  return `${bytes.map((byte) => hex(byte, 2)).join("")}:${hex(port, 4)}`;
}

/** Inode of the socket with this end that is connected, among all that the process's host has; null: none. */
function inodeOf(pid: number, { address, port }: Peer): string | null {
  const wanted = ownEnd(address, port);
  for (const table of [`/proc/${pid}/net/tcp`, `/proc/${pid}/net/tcp6`]) {
    let text: string;
    try {
      text = readFileSync(table, "latin1");
    } catch {
      continue;
    }
    const LISTEN = "0A";
    for (const line of text.split("\n").slice(1)) {
      const columns = line.trim().split(/\s+/);
      if (columns[1]?.endsWith(wanted) && columns[3] !== LISTEN) return columns[9] ?? null;
    }
  }
  return null;
}

function holdsSocket(pid: number, inode: string): boolean {
  let fds: string[];
  try {
    fds = readdirSync(`/proc/${pid}/fd`);
  } catch {
    return false;
  }
  return fds.some((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`) === `socket:[${inode}]`;
    } catch {
      return false;
    }
  });
}
