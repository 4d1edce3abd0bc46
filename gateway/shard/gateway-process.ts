import type { KeeperEvent } from "../keeper/protocol.ts";
import { HealthWatch, timedProbe } from "./health.ts";
import { RUNNER } from "./timing.ts";
import type { Endpoint, Launch, RunnerDeps } from "./types.ts";

/** Lines of OpenClaw's own output that explain an end. */
const REASON_LINES = 4;

export interface ProcessHooks {
  onStarted: (pid: number, cage: string) => void;
  /** It answers `/startupz` and its WebSocket. At most once. */
  onReady: (endpoint: Endpoint) => void;
  onHung: () => void;
  /** Its own process ended; helpers may still live. */
  onDown: () => void;
  /** Nothing of it is left, or nothing ever was. The last call. */
  onEmpty: (fenced: boolean) => void;
}

type Deps = Pick<
  RunnerDeps,
  "shard" | "keeper" | "launch" | "gateway" | "probe" | "holdDeadline" | "clock" | "timers"
>;

/** One process of a gateway, from its start to its empty cage. */
export class GatewayProcess {
  pid: number | null = null;
  cage: string | null = null;
  exitCode: number | null = null;
  /** Why it ended, for people; of use after `onEmpty`. */
  ending = "it did not run";
  /** It ended by itself with code 0, or nothing ever ran. */
  endedWell = false;
  readonly #deps: Deps;
  readonly #epoch: number;
  readonly #hooks: ProcessHooks;
  readonly #unsubscribe: () => void;
  readonly #abort = new AbortController();
  /** `asked`: the keeper may have started it; only `empty` ends that. */
  #phase: "preparing" | "asked" | "down" | "over" = "preparing";
  #killed: string | null = null;
  /** Somebody asked for its end. */
  #ended = false;
  #health: HealthWatch | null = null;
  #cancelDeadline: () => void = () => {};
  #cancelKill: () => void = () => {};

  constructor(deps: Deps, epoch: number, hooks: ProcessHooks) {
    this.#deps = deps;
    this.#epoch = epoch;
    this.#hooks = hooks;
    this.#unsubscribe = deps.keeper.on((event) => this.#hear(event));
  }

  run(): void {
    void this.#run();
  }

  /** SIGTERM, and SIGKILL of everything after the budget; at once when it is 0. */
  end(budgetMs: number, why: string): void {
    if (this.#phase === "preparing") {
      this.#fail(why);
      return;
    }
    if (this.#phase === "over") return;
    this.#ended = true;
    this.#health?.close();
    this.#cancelDeadline();
    this.#cancelKill();
    this.#abort.abort();
    const { keeper, shard, timers } = this.#deps;
    if (budgetMs > 0) {
      // Its end calls this off, and may come before the signal has returned: the next gateway has the same epoch.
      this.#cancelKill = timers.after(budgetMs, () => this.#kill(why));
      keeper.signal(shard.id, this.#epoch, "SIGTERM");
    } else this.#kill(why);
  }

  /** Lets go of it; it may go on running. */
  close(): void {
    this.#phase = "over";
    this.#release();
  }

  #kill(why: string): void {
    this.#killed ??= why;
    const { keeper, shard } = this.#deps;
    // Its end arrives as events; a keeper that is lost ends this process as a whole.
    keeper.kill(shard.id, this.#epoch, why).catch(() => {});
  }

  async #run(): Promise<void> {
    const { launch, keeper, shard, clock, holdDeadline } = this.#deps;
    let plan: Launch;
    try {
      plan = await launch();
    } catch (error) {
      this.#fail(`it could not be prepared: ${(error as Error).message}`);
      return;
    }
    if (this.#phase !== "preparing") return;
    const deadline = holdDeadline();
    if (deadline <= clock.now()) {
      this.#over(true);
      return;
    }
    this.#phase = "asked";
    const { command, args, cwd, env } = plan;
    const epoch = this.#epoch;
    try {
      const started = await keeper.start({
        shard: shard.id,
        epoch,
        command,
        args,
        cwd,
        env,
        deadline,
        memoryMaxBytes: shard.recycleMiB * 2 ** 20 * RUNNER.memoryMaxFactor,
      });
      if (this.#phase !== "asked") return;
      this.pid = started.pid;
      this.cage = started.cage;
    } catch (error) {
      this.#fail((error as Error).message);
      return;
    }
    this.#hooks.onStarted(this.pid, this.cage);
    if (this.#ended) return;
    this.#cancelDeadline = this.#deps.timers.after(RUNNER.startDeadlineMs, () => {
      this.#kill(`it did not serve within ${RUNNER.startDeadlineMs / 1_000} s`);
    });
    await this.#becomeReady(plan);
  }

  async #becomeReady({ port, token }: Launch): Promise<void> {
    const { gateway: connect, timers, clock, probe } = this.#deps;
    const { signal } = this.#abort;
    const waits = () => this.#phase === "asked" && !signal.aborted;
    while (waits()) {
      if ((await timedProbe(() => probe(port), timers, RUNNER.probeTimeoutMs)) === "started") break;
      await new Promise<void>((resolve) => timers.after(RUNNER.bootProbeMs, resolve));
    }
    if (!waits()) return;
    const gateway = connect(port, token);
    try {
      await gateway.ready(signal);
    } catch {
      // Aborted: it ended, or it is to end.
    }
    if (!waits() || !gateway.connected) {
      gateway.close();
      // A client that gave up by itself: the start failed, the deadline would only delay that.
      if (waits()) this.#kill("its WebSocket could not be opened");
      return;
    }
    this.#cancelDeadline();
    const onHung = () => this.#hooks.onHung();
    this.#health = new HealthWatch({ probe: () => probe(port), clock, timers, onHung });
    this.#hooks.onReady({ host: "127.0.0.1", port, token, gateway });
  }

  #hear(event: KeeperEvent): void {
    if (event.event !== "exit" && event.event !== "empty") return;
    if (event.shard !== this.#deps.shard.id || event.epoch !== this.#epoch) return;
    if (this.#phase !== "asked" && this.#phase !== "down") return;
    if (event.event === "empty") {
      this.#over(event.fenced);
      return;
    }
    this.#phase = "down";
    this.exitCode = event.code;
    this.endedWell = event.code === 0 && this.#killed === null;
    const how = event.signal ? `signal ${event.signal}` : `exit code ${event.code}`;
    const said = event.tail.slice(-REASON_LINES).join(" | ");
    this.ending = this.#killed ?? (said === "" ? how : `${how}: ${said}`);
    this.#release();
    this.#hooks.onDown();
  }

  /** Nothing runs, and nothing will. */
  #fail(why: string): void {
    if (this.#phase === "over") return;
    this.ending = why;
    this.endedWell = true;
    this.#over(false);
  }

  #over(fenced: boolean): void {
    this.#phase = "over";
    this.#release();
    this.#unsubscribe();
    this.#hooks.onEmpty(fenced);
  }

  #release(): void {
    this.#abort.abort();
    this.#health?.close();
    this.#cancelDeadline();
    this.#cancelKill();
    if (this.#phase === "over") this.#unsubscribe();
  }
}
