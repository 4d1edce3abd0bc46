import type { ShardConfig } from "../config.ts";
import { DRAIN, type ShardId } from "../contract.ts";
import type { KeeperEvent } from "../keeper/protocol.ts";
import { Admission } from "./admission.ts";
import { bootAfter } from "./boot-slots.ts";
import { GatewayProcess } from "./gateway-process.ts";
import { RecycleWatch } from "./recycle.ts";
import { RestartPolicy } from "./restarts.ts";
import { RUNNING, ShardMachine } from "./states.ts";
import { RUNNER } from "./timing.ts";
import type {
  DrainRequest,
  Endpoint,
  RestartReason,
  Runner,
  RunnerDeps,
  RunnerEvent,
  RunnerReport,
} from "./types.ts";

interface Restart {
  reason: RestartReason;
  detail: string;
}

/**
 * One shard on one node: starts its gateway, sees that it serves, restarts it in place, drains and
 * stops it. The states and what moves between them are the table in states.ts. It knows nothing of
 * leases: it is told an epoch, and everything that ends is reported.
 */
export class ShardRunner implements Runner {
  readonly shard: ShardId;
  #config: ShardConfig;
  readonly #deps: RunnerDeps;
  readonly #machine: ShardMachine;
  readonly #admission: Admission;
  readonly #recycle: RecycleWatch;
  readonly #policy: RestartPolicy;
  readonly #unsubscribe: () => void;
  #epoch = 0;
  #incarnation: string | null = null;
  #process: GatewayProcess | null = null;
  #endpoint: Endpoint | null = null;
  /** Set while the present process is to end in order to be started again. */
  #restart: Restart | null = null;
  #cancelBoot: () => void = () => {};
  #cancelStop: () => void = () => {};
  #restarts = 0;
  /** The present process was already reported as serving. */
  #served = false;
  #startedAt: string | null = null;
  #reason: string | null = null;
  #memoryBytes: number | null = null;
  #struck = false;

  constructor(deps: RunnerDeps, options: { strict?: boolean } = {}) {
    this.shard = deps.shard.id;
    this.#config = deps.shard;
    this.#deps = deps;
    this.#machine = new ShardMachine({
      strict: options.strict,
      onTransition: (from, event, to) => {
        if (to === null)
          deps.log("error", "illegal transition ignored", { shard: this.shard, from, event });
        else if (from !== to) deps.log("info", `${from} → ${to}`, this.#fields({ event }));
        deps.onTransition?.(this.shard, from, event, to);
      },
    });
    const { clock, timers, log } = deps;
    this.#admission = new Admission({ clock, timers, log, onChange: () => this.#changed() });
    this.#policy = new RestartPolicy(deps.clock, deps.random);
    this.#recycle = new RecycleWatch({
      shard: this.shard,
      timers: deps.timers,
      random: deps.random,
      recycleTurn: deps.recycleTurn,
      onRecycle: (bytes) => this.#beginRecycle(bytes),
    });
    this.#unsubscribe = deps.keeper.on((event) => this.#hear(event));
  }

  report(): RunnerReport {
    const startedAt = this.#process?.pid == null ? null : this.#startedAt;
    return {
      shard: this.shard,
      state: this.#machine.state,
      epoch: this.#epoch,
      incarnation: this.#incarnation,
      endpoint: this.#endpoint,
      admissionOpen: this.#admission.isOpen,
      pid: this.#process?.pid ?? null,
      cage: this.#process?.cage ?? null,
      startedAt,
      restarts: this.#restarts,
      reason: this.#reason,
      memoryBytes: this.#memoryBytes,
    };
  }

  configure(shard: ShardConfig): void {
    this.#config = shard;
  }

  note(event: "acquire" | "refused" | "restore" | "abort"): void {
    if (this.#machine.apply(event)) this.#changed();
  }

  start(epoch: number, incarnation: string): void {
    if (!this.#machine.apply("start")) return;
    this.#epoch = epoch;
    this.#incarnation = incarnation;
    this.#policy.reset();
    this.#struck = false;
    this.#boot(0);
    this.#changed();
  }

  drain(request: DrainRequest): void {
    const { why, giveUpMs = DRAIN.giveUpMs } = request;
    if (this.#machine.state === "draining") {
      // A drain for a restart becomes one for good, under the new time limit.
      this.#restart = null;
      this.#admission.callOff();
    } else if (!this.#machine.apply("drain")) return;
    this.#beginDrain(why, giveUpMs);
  }

  undrain(): void {
    if (this.#machine.state !== "draining") return;
    this.#admission.callOff();
    this.#restart = null;
    this.#recycle.over();
    if (this.#endpoint) {
      this.#admit("undrain", this.#endpoint);
    } else {
      this.#machine.apply("reboot");
      if (!this.#process) this.#boot(0);
    }
    this.#changed();
  }

  stop(why: string, budgetMs: number = RUNNER.stopBudgetMs): void {
    this.#end(why, budgetMs);
  }

  kill(why: string): void {
    this.#end(why, 0);
  }

  restart(why: string, giveUpMs: number = DRAIN.giveUpMs): void {
    const { state } = this.#machine;
    const restart: Restart = { reason: "requested", detail: why };
    if (state === "serving") {
      this.#restart = restart;
      this.#machine.apply("drain");
      this.#beginDrain(why, giveUpMs);
    } else if (state === "starting" && this.#process) {
      this.#restart = restart;
      this.#process.end(0, why);
    }
  }

  close(): void {
    this.#unsubscribe();
    this.#cancelBoot();
    this.#cancelStop();
    this.#recycle.over();
    this.#admission.callOff();
    this.#process?.close();
    this.#endpoint?.gateway.close();
  }

  // Start and restart

  #boot(pauseMs: number): void {
    this.#cancelBoot = bootAfter(pauseMs, this.#deps, (giveBack) => this.#launch(giveBack));
  }

  #launch(giveBackSlot: () => void): void {
    this.#cancelBoot = giveBackSlot;
    this.#served = false;
    const running = new GatewayProcess(this.#deps, this.#epoch, {
      onStarted: (pid, cage) => {
        this.#startedAt = (this.#deps.wallClock ?? (() => new Date()))().toISOString();
        this.#emit({ type: "started", epoch: this.#epoch, pid, cage });
        this.#changed();
      },
      onReady: (endpoint) => {
        giveBackSlot();
        this.#ready(endpoint);
      },
      onHung: () => this.#hung(),
      onDown: () => this.#withdraw(),
      onEmpty: (fenced) => {
        giveBackSlot();
        this.#emptied(running, fenced);
      },
    });
    this.#process = running;
    running.run();
  }

  #ready(endpoint: Endpoint): void {
    this.#endpoint = endpoint;
    this.#policy.serving();
    this.#recycle.over();
    const { mayServe } = this.#deps;
    if (!mayServe) {
      this.#show(endpoint);
      return;
    }
    void mayServe(this.shard).then(() => {
      // It may have ended meanwhile, and another one have taken its place.
      if (this.#endpoint === endpoint) this.#show(endpoint);
    });
    this.#changed();
  }

  #show(endpoint: Endpoint): void {
    // A drain that came while it booted keeps admission closed until it is called off.
    if (this.#machine.state === "starting") this.#admit("ready", endpoint);
    this.#changed();
  }

  #admit(event: "ready" | "undrain", { gateway }: Endpoint): void {
    this.#machine.apply(event);
    this.#admission.open(gateway);
    if (!this.#served) this.#emit({ type: "serving", epoch: this.#epoch });
    this.#served = true;
  }

  #hung(): void {
    if (this.#machine.state === "serving") {
      const detail = `no good /startupz for ${RUNNER.hungMs / 1_000} s`;
      this.#restart = { reason: "hung", detail };
    }
    this.#withdraw();
    this.#process?.end(0, "hung");
  }

  #beginRecycle(bytes: number): boolean {
    if (this.#machine.state !== "serving") return false;
    const mib = Math.round(bytes / 2 ** 20);
    const detail = `${mib} MiB used, more than ${this.#config.recycleMiB}`;
    this.#restart = { reason: "memory", detail };
    this.#machine.apply("drain");
    this.#beginDrain(detail, DRAIN.giveUpMs);
    return true;
  }

  /** Restarts in place, after a pause that grows with how often that happened lately. */
  #again(restart: Restart, event: "restart" | "reboot"): void {
    const planned = restart.reason === "memory" || restart.reason === "requested";
    this.#restart = null;
    this.#restarts += 1;
    this.#reason = `${restart.reason}: ${restart.detail}`;
    this.#deps.log("warn", "gateway restarts in place", this.#fields({ ...restart }));
    this.#machine.apply(event);
    this.#emit({ type: "restarted", epoch: this.#epoch, ...restart });
    this.#boot(this.#policy.pauseMs(planned));
    this.#changed();
  }

  // Drain

  #beginDrain(why: string, giveUpMs: number): void {
    this.#deps.log("info", "drain begins", this.#fields({ why, giveUpMs }));
    this.#reason = why;
    const epoch = this.#epoch;
    // Of what serves nobody, a boot that waits is called off; one under way goes on in case of undrain.
    if (!this.#endpoint && !this.#process) this.#cancelBoot();
    const gateway = this.#endpoint?.gateway ?? null;
    this.#admission.drain(gateway, giveUpMs, (lostTurns) => this.#drained(epoch, lostTurns));
    this.#changed();
  }

  #drained(epoch: number, lostTurns: number): void {
    if (epoch !== this.#epoch || this.#machine.state !== "draining") return;
    this.#admission.close();
    this.#deps.log(lostTurns > 0 ? "warn" : "info", "drained", this.#fields({ lostTurns }));
    if (lostTurns > 0) this.#emit({ type: "turns-cut", epoch, turns: lostTurns });
    if (this.#restart) {
      this.#withdraw();
      this.#process?.end(RUNNER.stopBudgetMs, this.#restart.detail);
    } else this.#emit({ type: "drained", epoch });
    this.#changed();
  }

  // End

  #end(why: string, budgetMs: number): void {
    if (!RUNNING.includes(this.#machine.state)) {
      const epoch = this.#epoch;
      this.#deps.timers.after(0, () => {
        this.#emit({ type: "emptied", epoch, fenced: false, clean: true });
      });
      return;
    }
    const first = this.#machine.state !== "stopping";
    this.#machine.apply("stop");
    this.#restart = null;
    this.#withdraw();
    if (first) this.#reason = why;
    if (budgetMs === 0) this.#struck = true;
    if (this.#process) this.#process.end(budgetMs, why);
    else {
      this.#cancelBoot();
      this.#stopped(false, true);
    }
    this.#changed();
  }

  /** Routes must not lead here any more. */
  #withdraw(): void {
    this.#admission.close();
    const endpoint = this.#endpoint;
    this.#endpoint = null;
    this.#recycle.reset();
    if (!endpoint) return;
    endpoint.gateway.close();
    this.#changed();
  }

  #emptied(process: GatewayProcess, fenced: boolean): void {
    if (this.#process !== process) return;
    this.#withdraw();
    this.#process = null;
    this.#memoryBytes = null;
    const { state } = this.#machine;
    if (state === "stopping") {
      this.#stopped(fenced, process.endedWell && !this.#struck);
    } else if (fenced) {
      this.#reason = "fenced: the deadline of the lease passed";
      this.#machine.apply("stop");
      this.#stopped(true, false);
    } else if (state === "draining" && !this.#restart) {
      // It ended while it was to end anyway: what was interrupted, its next start resumes.
      this.#emit({ type: "drained", epoch: this.#epoch });
      if (this.#machine.state === "draining") this.#machine.apply("stop");
      this.#stopped(false, process.endedWell);
    } else this.#unexpected(process);
    this.#changed();
  }

  #stopped(fenced: boolean, clean: boolean): void {
    this.#recycle.over();
    this.#machine.apply("emptied");
    this.#deps.log("info", "nothing of it is left", this.#fields({ fenced, clean }));
    this.#emit({ type: "emptied", epoch: this.#epoch, fenced, clean });
  }

  /** It ended and is wanted. */
  #unexpected(process: GatewayProcess): void {
    const { state } = this.#machine;
    const detail = process.ending;
    const why = this.#restart
      ? null
      : this.#policy.whyGiveUp(process.exitCode, detail, state === "starting");
    if (why !== null) {
      this.#giveUp(why);
      return;
    }
    const restart = this.#restart ?? { reason: "crashed", detail };
    this.#again(restart, state === "draining" ? "reboot" : "restart");
  }

  #giveUp(reason: string): void {
    this.#recycle.over();
    this.#machine.apply("give-up");
    this.#reason = reason;
    this.#deps.log("error", "the gateway cannot run here", this.#fields({ reason }));
    this.#emit({ type: "gave-up", epoch: this.#epoch, reason });
  }

  // Helpers

  #hear(event: KeeperEvent): void {
    if (event.event !== "memory" || !this.#process) return;
    const bytes = event.bytes[this.shard];
    if (bytes === undefined) return;
    this.#memoryBytes = bytes;
    if (this.#machine.state === "serving") this.#recycle.sample(bytes, this.#config.recycleMiB);
  }

  #changed(): void {
    this.#emit({ type: "changed", report: this.report() });
  }

  #emit(event: RunnerEvent): void {
    this.#deps.onEvent(event);
  }

  #fields(more: Record<string, unknown>): Record<string, unknown> {
    return { shard: this.shard, epoch: this.#epoch, ...more };
  }
}
