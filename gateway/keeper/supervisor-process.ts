import type { ChildProcess } from "node:child_process";
import type { Readable } from "node:stream";
import type { Clock } from "../clock.ts";
import type { Cage, Cages } from "./cage.ts";
import { LineSplitter } from "./lines.ts";
import { processStart } from "./process.ts";
import type { Extend, KeeperCommand, KeeperEvent } from "./protocol.ts";

/** A supervisor that has not pinged for this long is killed, milliseconds. */
export const SUPERVISOR_SILENCE_MS = 10_000;
/**
 * Its first ping may take this long: it loads its code, which has taken more than 30 s on a machine with a load
 * above 35. Nothing waits to be fenced meanwhile: what an earlier one left is killed before it starts, and it
 * pings before it asks for a lease. Well below what a service manager waits for a start (components/node/unit.ts).
 */
export const SUPERVISOR_BOOT_MS = 90_000;
/** With every deadline passed, a silence of this length is enough. */
export const SUPERVISOR_DOUBT_MS = 3_000;

/** Name of its cage beside those of the shards, which end in an epoch. */
const CAGE_NAME = "supervisor";

export interface SupervisorDeps {
  instanceId: string;
  nodeDir: string;
  /** Entry file of the supervisor, run by this very Node. */
  entry: string;
  cages: Cages;
  clock: Clock;
  /** Where its output goes, without a detour. */
  logFd: number;
  log: (fields: Record<string, unknown>) => void;
  onCommand: (command: KeeperCommand) => void;
  onExtend: (extend: Extend) => void;
  /** Called once per start, when nothing of it is left. */
  onGone: (uptimeMs: number) => void;
}

/**
 * Why a supervisor must be killed, null while it is well. `lastPing`: its start before the first one.
 * `passedAt`: when the last of its deadlines passed, null while one holds. One that pings beyond that
 * moment has merely lost its store, and is kept: requests wait in it.
 */
export function judge(seen: {
  now: number;
  lastPing: number;
  pinged: boolean;
  passedAt: number | null;
}): string | null {
  const silentMs = seen.now - seen.lastPing;
  const limit = seen.pinged ? SUPERVISOR_SILENCE_MS : SUPERVISOR_BOOT_MS;
  if (silentMs >= limit) return `no ping for ${limit} ms`;
  const mute = seen.passedAt !== null && seen.lastPing <= seen.passedAt;
  if (mute && silentMs >= SUPERVISOR_DOUBT_MS) {
    return `every deadline passed and no ping for ${SUPERVISOR_DOUBT_MS} ms`;
  }
  return null;
}

/** The supervisor as a child: started in a cage, listened to, judged by its pings, killed. */
export class SupervisorProcess {
  readonly #deps: SupervisorDeps;
  readonly #cage: Cage;
  #child: ChildProcess | null = null;
  #startedAt = 0;
  #lastPing = 0;
  #pinged = false;
  #killed = false;

  constructor(deps: SupervisorDeps) {
    this.#deps = deps;
    this.#cage = deps.cages.create(CAGE_NAME);
  }

  get identity(): { pid: number; pidStart: string } | null {
    const pid = this.#child?.pid;
    return pid === undefined ? null : { pid, pidStart: processStart(pid) ?? "unknown" };
  }

  get alive(): boolean {
    return this.#child !== null;
  }

  start(): void {
    const { entry, nodeDir, logFd } = this.#deps;
    this.#startedAt = this.#deps.clock.now();
    this.#lastPing = this.#startedAt;
    this.#pinged = false;
    this.#killed = false;
    let child: ChildProcess;
    try {
      child = this.#cage.run({
        command: process.execPath,
        args: [...process.execArgv, entry, "--node-dir", nodeDir],
        cwd: nodeDir,
        env: process.env as Record<string, string>,
        stdio: ["ignore", logFd, "pipe", "ipc", "pipe"],
      });
    } catch (error) {
      this.#log("error", `the supervisor cannot be started: ${(error as Error).message}`);
      void this.#gone();
      return;
    }
    this.#child = child;
    this.#listen(child);
    this.#log("info", "supervisor started", { pid: child.pid });
  }

  send(event: KeeperEvent): void {
    if (this.#child?.connected) this.#child.send(event, () => {});
  }

  /** This process was itself stopped for a while: silence is measured anew. */
  pardon(): void {
    this.#lastPing = this.#deps.clock.now();
  }

  /** Why it must be killed, null while it is well; see {@link judge}. */
  verdict(passedAt: number | null): string | null {
    if (!this.#child) return null;
    const now = this.#deps.clock.now();
    return judge({ now, lastPing: this.#lastPing, pinged: this.#pinged, passedAt });
  }

  /** `onGone` follows. */
  kill(why: string): void {
    if (!this.#child || this.#killed) return;
    this.#killed = true;
    this.#log("warn", `killing the supervisor: ${why}`);
    this.#cage.strike();
  }

  /** Resolves when nothing of it is left; `onGone` is called as well if it ran. */
  async end(): Promise<void> {
    await this.#cage.kill();
  }

  #listen(child: ChildProcess): void {
    child.on("message", (message) => {
      // What a dead one had sent may still arrive: it is no order any more.
      if (this.#child !== child) return;
      const command = message as KeeperCommand;
      if (command.op === "ping") {
        this.#lastPing = this.#deps.clock.now();
        this.#pinged = true;
        this.send({ event: "pong", n: command.n });
      } else this.#deps.onCommand(command);
    });
    const errors = new LineSplitter((msg) => this.#log("error", msg, { stream: "stderr" }));
    child.stderr?.on("data", (chunk: Buffer) => errors.push(chunk));
    child.stderr?.on("error", () => {});
    const extend = child.stdio[4] as Readable;
    const lines = new LineSplitter((line) => {
      if (this.#child === child) this.#extend(line);
    });
    extend.on("data", (chunk: Buffer) => lines.push(chunk));
    extend.on("error", () => {});
    child.on("error", (error) => {
      this.#log("error", `the supervisor: ${error.message}`);
      if (child.pid === undefined) this.#ended(child);
    });
    child.on("exit", (code, signal) => {
      this.#log("warn", "supervisor ended", { code, signal });
      this.#ended(child);
    });
  }

  #extend(line: string): void {
    try {
      const { deadline, shards } = JSON.parse(line) as Extend;
      this.#deps.onExtend({ deadline, shards });
    } catch {
      this.#log("warn", "a line on the deadline pipe is not JSON and extends nothing");
    }
  }

  #ended(child: ChildProcess): void {
    if (this.#child !== child) return;
    this.#child = null;
    void this.#gone();
  }

  async #gone(): Promise<void> {
    await this.#cage.kill();
    this.#deps.onGone(this.#deps.clock.now() - this.#startedAt);
  }

  #log(level: string, msg: string, more: object = {}): void {
    this.#deps.log({ level, msg, instanceId: this.#deps.instanceId, ...more });
  }
}
