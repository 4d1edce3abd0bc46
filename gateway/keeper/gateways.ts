import type { ChildProcess } from "node:child_process";
import { accessSync, constants } from "node:fs";
import type { Clock } from "../clock.ts";
import { LEASE, type ShardId } from "../contract.ts";
import type { Cage, Cages } from "./cage.ts";
import { Deadlines } from "./deadlines.ts";
import { LineSplitter } from "./lines.ts";
import type { Extend, KeeperEvent, StartCommand } from "./protocol.ts";
import { OutputWrapper } from "./wrap.ts";

/** How long the end of a gateway's output is waited for after its process ended, milliseconds. */
const OUTPUT_GRACE_MS = 250;

interface Run {
  readonly shard: ShardId;
  readonly epoch: number;
  readonly cage: Cage;
  /** Set once the keeper itself decided the end. */
  fenced: boolean;
  /** Settles when the cage is empty and everybody was told. */
  ending: Promise<void> | null;
  /** Settles when the end of the process was told. */
  readonly exited: Promise<void>;
}

export interface GatewaysDeps {
  instanceId: string;
  cages: Cages;
  clock: Clock;
  send: (event: KeeperEvent) => void;
  log: (fields: Record<string, unknown>) => void;
}

/** The gateways of this node, each in its cage, each with its deadline. */
export class Gateways {
  readonly #deps: GatewaysDeps;
  readonly #deadlines = new Deadlines(LEASE.holdMs);
  readonly #runs = new Map<ShardId, Run>();
  readonly #children = new Map<ShardId, ChildProcess>();
  #allPassedAt: number | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(deps: GatewaysDeps) {
    this.#deps = deps;
  }

  get count(): number {
    return this.#runs.size;
  }

  /** When the last of all deadlines passed; null while one holds, or none was let pass. */
  get allPassedAt(): number | null {
    return this.#allPassedAt;
  }

  /** `started` or `refused` follows. */
  start(command: StartCommand): void {
    const { shard, epoch } = command;
    const message = this.#start(command);
    if (message !== null) this.#deps.send({ event: "refused", shard, epoch, message });
  }

  /** Why not, null when it runs (or when its failure is still to be told). */
  #start(command: StartCommand): string | null {
    const { shard, epoch } = command;
    const running = this.#runs.get(shard);
    if (running) return `shard ${shard} still runs under epoch ${running.epoch}`;
    try {
      accessSync(command.command, constants.X_OK);
    } catch {
      return `${command.command} is not a program that this user may start`;
    }
    if (!this.#deadlines.hold(shard, epoch, command.deadline, this.#deps.clock.now())) {
      return `the deadline of shard ${shard} has already passed`;
    }
    this.#allPassedAt = null;
    const cage = this.#deps.cages.create(`${shard}-${epoch}`);
    let child: ChildProcess;
    try {
      child = cage.run({
        command: command.command,
        args: command.args,
        cwd: command.cwd,
        env: command.env,
        stdio: ["ignore", "pipe", "pipe"],
        memoryMaxBytes: command.memoryMaxBytes,
      });
    } catch (error) {
      this.#deadlines.drop(shard, epoch);
      return (error as Error).message;
    }
    const { pid } = child;
    if (pid === undefined) {
      this.#deadlines.drop(shard, epoch);
      child.once("error", (error) => {
        this.#deps.send({ event: "refused", shard, epoch, message: error.message });
      });
      void cage.kill();
      return null;
    }
    child.on("error", (error) => this.#log("warn", error.message, shard, epoch));
    child.once("exit", () => cage.strike());
    const run: Run = {
      shard,
      epoch,
      cage,
      fenced: false,
      ending: null,
      exited: this.#follow(child, command),
    };
    this.#runs.set(shard, run);
    void run.exited.then(() => this.#end(run));
    this.#deps.send({ event: "started", shard, epoch, pid, cage: cage.name });
    this.#log("info", "gateway started", shard, epoch, { pid, cage: cage.name });
    this.#arm();
    return null;
  }

  signal(shard: ShardId, epoch: number, signal: NodeJS.Signals): void {
    this.#children.get(this.#runs.get(shard)?.epoch === epoch ? shard : "")?.kill(signal);
  }

  /** `empty` follows, at once when nothing of that epoch runs. */
  kill(shard: ShardId, epoch: number, why: string): void {
    const run = this.#runs.get(shard);
    if (run?.epoch !== epoch) {
      this.#deps.send({ event: "empty", shard, epoch, fenced: false });
      return;
    }
    if (run.ending === null) this.#log("info", `killing: ${why}`, shard, epoch);
    void this.#end(run);
  }

  /** Ends what is past its deadline. */
  enforce(): void {
    const expired = this.#deadlines.takeExpired(this.#deps.clock.now());
    // All blows first: nothing that follows may delay one of them.
    const runs = expired
      .map(({ shard }) => this.#runs.get(shard))
      .filter((run) => run !== undefined);
    for (const run of runs) run.cage.strike();
    for (const { shard, epoch, deadline } of expired) {
      const lateMs = Math.round(this.#deps.clock.now() - deadline);
      this.#log("warn", "fenced: the deadline passed", shard, epoch, { lateMs });
    }
    for (const run of runs) this.#fence(run);
    if (expired.length > 0 && this.#deadlines.size === 0) {
      this.#allPassedAt = this.#deps.clock.now();
    }
    this.#arm();
  }

  extend(extend: Extend): void {
    this.enforce();
    this.#deadlines.extend(extend.shards, extend.deadline, this.#deps.clock.now());
    this.#arm();
  }

  /** Kills everything; resolves when nothing is left. */
  async endAll(why: string): Promise<void> {
    this.#allPassedAt = null;
    const runs = [...this.#runs.values()];
    for (const run of runs) run.cage.strike();
    for (const run of runs) this.#log("warn", `fenced: ${why}`, run.shard, run.epoch);
    await Promise.all(runs.map((run) => this.#fence(run)));
  }

  /** Memory of each gateway with everything it started, bytes. */
  async memory(): Promise<Record<ShardId, number>> {
    const bytes: Record<ShardId, number> = {};
    for (const run of [...this.#runs.values()]) bytes[run.shard] = await run.cage.memoryBytes();
    return bytes;
  }

  /** Wraps its output; resolves when its end was told. */
  #follow(child: ChildProcess, { shard, epoch, env }: StartCommand): Promise<void> {
    const base = { instanceId: this.#deps.instanceId, shard, epoch };
    const wrapper = new OutputWrapper(base, env, this.#deps.log);
    for (const stream of ["stdout", "stderr"] as const) {
      const lines = new LineSplitter((line) => wrapper.line(stream, line));
      child[stream]?.on("data", (chunk: Buffer) => lines.push(chunk));
      child[stream]?.on("end", () => lines.flush());
      child[stream]?.on("error", () => {});
    }
    this.#children.set(shard, child);
    return new Promise((resolve) => {
      child.once("exit", (code, signal) => {
        this.#children.delete(shard);
        let told = false;
        const tell = () => {
          if (told) return;
          told = true;
          clearTimeout(timer);
          // A helper that got away with the pipe must not hold it open here.
          child.stdout?.destroy();
          child.stderr?.destroy();
          const { tail } = wrapper;
          this.#deps.send({ event: "exit", shard, epoch, code, signal, tail });
          this.#log("info", "gateway ended", shard, epoch, { code, signal });
          resolve();
        };
        const timer = setTimeout(tell, OUTPUT_GRACE_MS);
        child.once("close", tell);
      });
    });
  }

  #fence(run: Run): Promise<void> {
    run.fenced = true;
    return this.#end(run);
  }

  /** Its helpers have no purpose without it: whatever ended, all of it ends. */
  #end(run: Run): Promise<void> {
    run.ending ??= (async () => {
      await run.cage.kill();
      await run.exited;
      const { shard, epoch, fenced } = run;
      this.#deadlines.drop(shard, epoch);
      this.#runs.delete(shard);
      this.#deps.send({ event: "empty", shard, epoch, fenced });
      this.#log("info", "cage empty", shard, epoch, { fenced });
    })();
    return run.ending;
  }

  /** Wakes exactly at the earliest deadline; the keeper's own tick is the net below. */
  #arm(): void {
    if (this.#timer) clearTimeout(this.#timer);
    const next = this.#deadlines.next();
    if (next === null) return;
    this.#timer = setTimeout(() => this.enforce(), Math.max(0, next - this.#deps.clock.now()));
  }

  #log(level: string, msg: string, shard: ShardId, epoch: number, more: object = {}): void {
    this.#deps.log({ level, msg, instanceId: this.#deps.instanceId, shard, epoch, ...more });
  }
}
