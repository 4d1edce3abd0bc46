import { randomUUID } from "node:crypto";
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bootClock } from "../clock.ts";
import { DRAIN } from "../contract.ts";
import { adoptCage, type Cages, clearNodeCages, openCages } from "./cage.ts";
import { cgroupMount, ownCgroup } from "./cage-cgroup.ts";
import { fleetKey } from "./cage-name.ts";
import { Deadman } from "./deadman.ts";
import { settleInDelegation } from "./delegation.ts";
import { Gateways } from "./gateways.ts";
import { type Lock, readProcessFile, takeLock } from "./lock.ts";
import { NodeLog } from "./node-log.ts";
import { keeperFile, keeperLockFile, nodeLogFile } from "./paths.ts";
import { type ProcessId, thisProcess } from "./process.ts";
import type { KeeperCommand } from "./protocol.ts";
import { journalFd, openServiceManager, type ServiceManager } from "./service-manager.ts";
import { SupervisorProcess } from "./supervisor-process.ts";

/** A supervisor that said `quit` may take this long to exit. */
const QUIT_GRACE_MS = 5_000;
const TICK_MS = 100;
/** A gap between two ticks beyond this means that this process did not run. */
const GAP_MS = 1_000;
const MEMORY_EVERY_MS = 5_000;
const LOCK_LOOK_EVERY_MS = 5_000;
/** Pause before the supervisor is started again: from, to, and the uptime that resets it. */
const RESTART_FIRST_MS = 200;
const RESTART_LAST_MS = 10_000;
const RESTART_RESET_MS = 60_000;
/** How long a planned stop may take. */
const STOP_BUDGET_MS = DRAIN.termTurnsMs + DRAIN.termReleaseMs;

/** `keeper.json`. */
export interface KeeperRecord extends ProcessId {
  /** Random, per start of a keeper. */
  incarnation: string;
  supervisor: { pid: number; pidStart: string } | null;
  cages: Cages["kind"];
  /** Where its cages are; see `Cages.root`. */
  cageRoot: string | null;
}

export interface KeeperOptions {
  nodeDir: string;
  /** Entry file of the supervisor. */
  supervisor: string;
  /** @default "auto" */
  cages?: "auto" | "cgroup" | "session";
}

/**
 * A node's root process. It holds every gateway in a cage, ends it when its deadline passes, and
 * keeps the supervisor running. It never touches the store and decides nothing else.
 */
export class Keeper {
  readonly #options: KeeperOptions;
  readonly #instanceId: string;
  readonly #fleet: string;
  readonly #lock: Lock;
  readonly #log: NodeLog;
  readonly #cages: Cages;
  readonly #gateways: Gateways;
  readonly #supervisor: SupervisorProcess;
  readonly #service: ServiceManager;
  readonly #self = thisProcess();
  readonly #incarnation = randomUUID();
  #deadman: Deadman | null = null;
  #lastTick = bootClock.now();
  #restartMs = RESTART_FIRST_MS;
  #stopping = false;
  #finishing = false;

  /** Throws `LockHeld` when the node has a keeper, and when `node.json` cannot be read. */
  constructor(options: KeeperOptions) {
    this.#options = options;
    const { nodeDir } = options;
    const node = JSON.parse(readFileSync(join(nodeDir, "node.json"), "utf8")) as {
      id: string;
      dataDir: string;
    };
    this.#instanceId = node.id;
    this.#lock = takeLock(keeperLockFile(nodeDir), this.#self);
    this.#log = new NodeLog(journalFd(process.env) ?? nodeLogFile(nodeDir));
    this.#fleet = fleetKey(node.dataDir);
    const managed = process.env.NOTIFY_SOCKET !== undefined;
    this.#service = openServiceManager(bootClock, process.env);
    const [mount, own] = [cgroupMount(), ownCgroup()];
    const limits = managed && mount && own ? settleInDelegation(mount, own) : [];
    if (managed) this.#say("info", "started by a service manager", { limits });
    this.#cages = openCages({ fleet: this.#fleet, node: node.id, kind: options.cages });
    const common = {
      instanceId: node.id,
      cages: this.#cages,
      clock: bootClock,
      log: (fields: Record<string, unknown>) => this.#log.write(fields),
    };
    this.#gateways = new Gateways({ ...common, send: (event) => this.#supervisor.send(event) });
    this.#supervisor = new SupervisorProcess({
      ...common,
      nodeDir,
      entry: options.supervisor,
      logFd: this.#log.fd,
      onCommand: (command) => this.#carryOut(command),
      onExtend: (extend) => this.#gateways.extend(extend),
      onGone: (uptimeMs) => void this.#supervisorGone(uptimeMs),
    });
  }

  /** Kills what an earlier keeper of this node left, then starts the supervisor. */
  async run(): Promise<void> {
    process.on("SIGTERM", () => this.#stop("SIGTERM"));
    process.on("SIGINT", () => this.#stop("SIGINT"));
    process.on("SIGHUP", () => {}); // the terminal that started it went away
    process.on("uncaughtException", (error) => this.#die(error));
    process.on("unhandledRejection", (error) => this.#die(error));
    this.#say("info", "keeper started", { pid: process.pid, cages: this.#cages.kind });
    const before = readProcessFile(keeperFile(this.#options.nodeDir)) as KeeperRecord | null;
    await clearNodeCages(this.#fleet, this.#instanceId, before?.cageRoot ?? null);
    if (this.#finishing) return;
    this.#deadman = new Deadman(this.#cages);
    setInterval(() => this.#tick(), TICK_MS);
    setInterval(() => void this.#reportMemory(), MEMORY_EVERY_MS);
    setInterval(() => this.#watchLock(), LOCK_LOOK_EVERY_MS);
    this.#startSupervisor();
  }

  #startSupervisor(): void {
    this.#supervisor.start();
    this.#writeRecord();
  }

  #writeRecord(): void {
    const record: KeeperRecord = {
      ...this.#self,
      incarnation: this.#incarnation,
      supervisor: this.#supervisor.identity,
      cages: this.#cages.kind,
      cageRoot: this.#cages.root,
    };
    const file = keeperFile(this.#options.nodeDir);
    try {
      writeFileSync(`${file}.new`, JSON.stringify(record), { mode: 0o600 });
      renameSync(`${file}.new`, file);
    } catch (error) {
      // Only those who want to find the node need it; a full disk must not end it.
      this.#say("warn", `keeper.json cannot be written: ${(error as Error).message}`);
    }
  }

  #tick(): void {
    // First of all, also after this process itself was stopped.
    this.#gateways.enforce();
    const now = bootClock.now();
    const gap = now - this.#lastTick;
    this.#lastTick = now;
    if (gap > GAP_MS) {
      this.#say("warn", "the keeper did not run for a while", { gapMs: Math.round(gap) });
      this.#supervisor.pardon();
    }
    const verdict = this.#supervisor.verdict(this.#gateways.allPassedAt);
    if (verdict !== null) this.#supervisor.kill(verdict);
  }

  #carryOut(command: KeeperCommand): void {
    // The end has begun: what is started now would be seen by nobody.
    if (this.#finishing) return;
    switch (command.op) {
      case "condition":
        this.#service.condition(command);
        break;
      case "start":
        this.#gateways.start(command);
        break;
      case "signal":
        this.#gateways.signal(command.shard, command.epoch, command.signal);
        break;
      case "kill":
        this.#gateways.kill(command.shard, command.epoch, command.why);
        break;
      case "clear":
        void this.#clear(command.shard, command.cage);
        break;
      case "quit":
        this.#stopping = true;
        setTimeout(() => this.#supervisor.kill("it is done but does not exit"), QUIT_GRACE_MS);
        break;
    }
  }

  async #clear(shard: string, cage: string): Promise<void> {
    try {
      const left = adoptCage(cage);
      const pids = left.pids();
      if (pids.length > 0)
        this.#say("info", "clearing what an earlier owner left", { shard, cage, pids });
      await left.kill();
      this.#supervisor.send({ event: "cleared", shard, cage });
    } catch (error) {
      const { message } = error as Error;
      this.#supervisor.send({ event: "not-cleared", shard, cage, message });
    }
  }

  async #supervisorGone(uptimeMs: number): Promise<void> {
    await this.#gateways.endAll("the supervisor ended");
    if (this.#stopping) return this.#finish(0);
    if (uptimeMs >= RESTART_RESET_MS) this.#restartMs = RESTART_FIRST_MS;
    const pauseMs = this.#restartMs;
    this.#restartMs = Math.min(RESTART_LAST_MS, pauseMs * 2);
    this.#say("warn", "the supervisor will be started again", { pauseMs });
    this.#service.status("the supervisor ended and is started again");
    setTimeout(() => {
      if (!this.#stopping && !this.#finishing) this.#startSupervisor();
    }, pauseMs);
  }

  #stop(signal: string): void {
    if (this.#stopping || !this.#supervisor.alive) {
      this.#endNow(signal);
      return;
    }
    this.#stopping = true;
    this.#service.stopping();
    this.#say("info", `${signal}: planned stop`, { budgetMs: STOP_BUDGET_MS });
    this.#supervisor.send({ event: "stop", budgetMs: STOP_BUDGET_MS });
    setTimeout(() => this.#endNow("the planned stop took too long"), STOP_BUDGET_MS);
  }

  #endNow(why: string): void {
    this.#say("warn", `${why}: ending everything now`);
    void this.#finish(0);
  }

  async #finish(code: number): Promise<void> {
    if (this.#finishing) return;
    this.#finishing = true;
    this.#stopping = true;
    await Promise.all([this.#gateways.endAll("the node ends"), this.#supervisor.end()]);
    await Promise.all(this.#cages.leftovers().map((cage) => cage.kill()));
    this.#deadman?.dismiss();
    this.#cages.dispose();
    this.#say("info", "keeper ended");
    rmSync(keeperFile(this.#options.nodeDir), { force: true });
    this.#lock.release();
    await this.#log.end();
    process.exit(code);
  }

  /** A fault of this program: the deadman ends everything the moment this process is gone. */
  #die(error: unknown): void {
    this.#say("fatal", "the keeper failed", { error: String((error as Error)?.stack ?? error) });
    this.#log.close();
    process.exit(70);
  }

  async #reportMemory(): Promise<void> {
    if (this.#gateways.count === 0) return;
    const bytes = await this.#gateways.memory();
    this.#supervisor.send({ event: "memory", bytes });
  }

  #watchLock(): void {
    if (this.#finishing || this.#lock.held()) return;
    this.#say("error", "keeper.lock is gone or another keeper's: ending everything");
    void this.#finish(1);
  }

  #say(level: string, msg: string, more: object = {}): void {
    this.#log.write({ level, msg, instanceId: this.#instanceId, ...more });
  }
}
