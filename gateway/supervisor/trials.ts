import { setTimeout as sleep } from "node:timers/promises";
import { bootClock } from "../clock.ts";
import type { ShardId } from "../contract.ts";
import type { GatewayPort } from "../openclaw/port.ts";
import type { ReplicaPort } from "../replication/port.ts";
import type { Runner, RunnerEvent } from "../shard/types.ts";
import { forgetKept, keepState, putBack, readKept } from "./kept-state.ts";
import { openclawOf } from "./releases.ts";

/** A shard that is open here, as far as a trial needs it. */
export interface TrialState {
  epoch: number;
  /** What it runs; another one once a trial went well. */
  release: string;
  stateDir: string;
  /** Its state was brought here from elsewhere: what is beside it is of an earlier life. */
  broughtHere: boolean;
}

export type TrialEnd =
  | { end: "updated" }
  /** It runs what it ran, on the state from before. */
  | { end: "refused"; why: string }
  /** It never began; another time it may. */
  | { end: "called off"; why: string };

export interface TrialDeps {
  runner: (shard: ShardId) => Runner;
  replica: Pick<ReplicaPort, "hold"> | null;
  /** One real turn on a gateway that nobody else is shown yet. @throws Error with what was wrong */
  ask: (shard: ShardId, gateway: GatewayPort) => Promise<void>;
  /** Resolves when the lease says so. @throws Error when it is not held any more */
  publish: (shard: ShardId, epoch: number, release: string) => Promise<void>;
  log: (level: "info" | "warn" | "error", msg: string, fields?: Record<string, unknown>) => void;
  remember: (event: string, shard: ShardId, detail: string) => void;
  /** Clock, ms. @default bootClock.now */
  now?: () => number;
}

interface Trial {
  readonly state: TrialState;
  readonly from: string;
  readonly to: string;
  /**
   * `asked`: it drains; nothing has been touched. `trying`: the new one runs on the state, which can be put back.
   * `deciding`: it has answered, and the lease will say so.
   */
  phase: "asked" | "trying" | "deciding";
  /** Ends of its gateway since it was begun. */
  ends: number;
  /** Why it is to be taken back; null: it is not. */
  failed: string | null;
  decided: Promise<void> | null;
  readonly end: (end: TrialEnd) => void;
}

/** A gateway on trial that ended this often has failed. One end may have been somebody else's fault. */
const MOST_ENDS = 2;
/** One that did not come up in all its time is not waited for a second time. */
const TOO_LATE = "it did not serve within";
/** A turn is asked for this often: a provider may stumble once. */
const MOST_TURNS = 2;
const LOOK_MS = 100;
/** After a drain for nothing, before the next one, ms: a disk is not emptied in seconds. Twice as long each time. */
const AFTER_NO_COPY_MS = 600_000;
/** The longest of these, ms: people see a drain a day of a state that can never be kept, and its reason in the history. */
const MOST_AFTER_NO_COPY_MS = 86_400_000;

/**
 * Tries another OpenClaw on a shard, in the shard's own epoch: drained and stopped, its state is kept; the new
 * one starts, and before anybody else is shown it (and before anything of it is replicated) it has to answer a
 * real turn. Then the lease says what runs; that is the moment of the decision. Until then whoever owns the
 * shard next goes on as before: here by the copy, elsewhere by the replica, which ends with the state from before.
 */
export class Trials {
  readonly #deps: TrialDeps;
  readonly #trials = new Map<ShardId, Trial>();
  /** Shards that were drained, and then their state could not be kept. */
  readonly #notBefore = new Map<ShardId, { at: number; waitMs: number; why: string }>();

  constructor(deps: TrialDeps) {
    this.#deps = deps;
  }

  /** Begins one on a shard that serves here. */
  begin(shard: ShardId, state: TrialState, to: string): Promise<TrialEnd> {
    if (this.#trials.has(shard)) {
      return Promise.resolve({ end: "called off", why: `${shard} is on trial already` });
    }
    const why = this.whyNotNow(shard);
    if (why !== null) return Promise.resolve({ end: "called off", why });
    const end = this.beginWithStart(shard, state, to);
    this.#deps.runner(shard).restart(`OpenClaw ${words(to)} is tried`);
    return end;
  }

  /** Why a shard was drained for nothing, as long as that is not to be tried again; null: it may be. */
  whyNotNow(shard: ShardId): string | null {
    const { now = () => bootClock.now() } = this.#deps;
    const failed = this.#notBefore.get(shard);
    return failed && now() < failed.at ? failed.why : null;
  }

  /** Begins one on a shard that nothing runs of, right before its start. */
  beginWithStart(shard: ShardId, state: TrialState, to: string): Promise<TrialEnd> {
    this.drop(shard);
    const { promise, resolve } = Promise.withResolvers<TrialEnd>();
    const from = state.release;
    const end = (how: TrialEnd) => {
      this.#trials.delete(shard);
      resolve(how);
    };
    const trial = { state, from, to, ends: 0, failed: null, decided: null, end };
    this.#trials.set(shard, { ...trial, phase: "asked" });
    this.#deps.remember("updating", shard, `${words(from)} → ${words(to)}`);
    return promise;
  }

  /**
   * To be called right before each start of a gateway, while nothing runs: brings the state to where it has to
   * be, and says which release starts. @param wanted false: somebody else has the shard
   */
  async prepare(shard: ShardId, state: TrialState, wanted: () => boolean): Promise<string> {
    const trial = this.#of(shard, state.epoch);
    if (!trial) {
      await this.recover(shard, state, wanted);
      return state.release;
    }
    if (trial.phase === "asked") return this.#keep(shard, trial, wanted);
    if (trial.phase === "deciding" || trial.failed === null) return trial.to;
    await this.#takeBack(shard, trial, wanted);
    return trial.from;
  }

  async #keep(shard: ShardId, trial: Trial, wanted: () => boolean): Promise<string> {
    const { state, from, to } = trial;
    let held = false;
    try {
      // With its start, an owner before may have left one undecided.
      await this.recover(shard, state, wanted);
      await this.#deps.replica?.hold(shard, state.epoch, to);
      held = true;
      await keepState(state.stateDir, { from, to, epoch: state.epoch }, wanted);
    } catch (error) {
      const why = `its state could not be kept: ${(error as Error).message}`;
      if (wanted()) await this.#neverBegan(shard, trial, why, held);
      else trial.end({ end: "called off", why });
      return from;
    }
    trial.phase = "trying";
    this.#notBefore.delete(shard);
    this.#deps.log("info", `OpenClaw ${words(to)} is tried on ${shard}`, { shard });
    return to;
  }

  async #takeBack(shard: ShardId, trial: Trial, wanted: () => boolean): Promise<void> {
    const { state } = trial;
    const aside = await putBack(state.stateDir, state.epoch, wanted);
    await this.#holdAgain(shard, trial);
    const where = aside === null ? "" : ` (what it left is in ${aside})`;
    this.#refused(shard, trial, `${trial.failed}${where}`);
  }

  /** What is replicated from here on is of the one from before again. */
  async #holdAgain(shard: ShardId, { state, from }: Trial): Promise<void> {
    await this.#deps.replica
      ?.hold(shard, state.epoch, from)
      .catch((error: unknown) => this.#deps.log("warn", (error as Error).message, { shard }));
  }

  /** Nothing says that the new one is no good: it is tried another time, but people waited for nothing. */
  async #neverBegan(shard: ShardId, trial: Trial, why: string, held: boolean): Promise<void> {
    if (held) await this.#holdAgain(shard, trial);
    const { log, remember, now = () => bootClock.now() } = this.#deps;
    const last = this.#notBefore.get(shard)?.waitMs ?? AFTER_NO_COPY_MS / 2;
    const waitMs = Math.min(last * 2, MOST_AFTER_NO_COPY_MS);
    this.#notBefore.set(shard, { at: now() + waitMs, waitMs, why });
    const text = `${words(trial.to)}: ${why}`;
    log("error", `${shard} goes on with OpenClaw ${words(trial.from)}: ${text}`, { shard });
    remember("not updated", shard, text);
    trial.end({ end: "called off", why });
  }

  #refused(shard: ShardId, trial: Trial, why: string): void {
    const { log, remember } = this.#deps;
    const text = `${words(trial.to)}: ${why}`;
    log("error", `${shard} goes on with OpenClaw ${words(trial.from)}: ${text}`, { shard });
    remember("update refused", shard, text);
    trial.end({ end: "refused", why });
  }

  /**
   * What an owner before left undecided: the lease says how it ended. To be called before anything looks into the
   * state; what starts a gateway calls it again.
   */
  async recover(shard: ShardId, state: TrialState, wanted: () => boolean): Promise<void> {
    const { stateDir, release, epoch } = state;
    const kept = await readKept(stateDir);
    if (!kept || state.broughtHere || openclawOf(kept.to) === openclawOf(release)) {
      await forgetKept(stateDir);
      return;
    }
    const aside = await putBack(stateDir, epoch, wanted);
    const { log, remember } = this.#deps;
    const text = `${words(kept.to)} was not decided on; what it left is in ${aside ?? "nothing"}`;
    log("warn", `${shard} has its state from before the update again: ${text}`, { shard });
    remember("update undone", shard, text);
  }

  /**
   * Resolves when a gateway that is ready may be shown to others: at once, unless it is on trial; false when that
   * one is gone. Never rejects.
   */
  async prove(shard: ShardId): Promise<boolean> {
    const trial = this.#trials.get(shard);
    const runner = this.#deps.runner(shard);
    const { endpoint } = runner.report();
    if (!trial || trial.phase === "asked" || !endpoint) return true;
    const here = () => runner.report().endpoint === endpoint;
    if (trial.phase === "trying") {
      const fault = await this.#faultOf(shard, endpoint.gateway, here);
      // Its end is told, and counted there.
      if (!here() || this.#trials.get(shard) !== trial) return false;
      if (fault !== null) {
        trial.failed = `it gave no answer: ${fault}`;
        runner.restart(trial.failed);
        while (here()) await sleep(LOOK_MS);
        return false;
      }
      trial.phase = "deciding";
      trial.decided = this.#decide(shard, trial);
    }
    await trial.decided;
    return trial.state.release === trial.to;
  }

  async #faultOf(shard: ShardId, gateway: GatewayPort, here: () => boolean) {
    let fault: string | null = null;
    for (let turn = 0; turn < MOST_TURNS && here(); turn++) {
      try {
        await this.#deps.ask(shard, gateway);
        return null;
      } catch (error) {
        fault = (error as Error).message;
      }
    }
    return fault ?? "it ended";
  }

  async #decide(shard: ShardId, trial: Trial): Promise<void> {
    const { state, from, to } = trial;
    const { publish, log, remember } = this.#deps;
    try {
      await publish(shard, state.epoch, to);
    } catch (error) {
      // Whoever has it next sees in the lease whether it came to that.
      log("warn", `${shard}: ${(error as Error).message}`, { shard });
      return;
    }
    state.release = to;
    if (this.#trials.get(shard) !== trial) return;
    await forgetKept(state.stateDir).catch((error: unknown) =>
      log("warn", `the state from before stays: ${(error as Error).message}`, { shard }),
    );
    remember("updated", shard, `${words(from)} → ${words(to)}`);
    trial.end({ end: "updated" });
  }

  /**
   * What a runner tells. True: it was the end of a trial, and nobody else is to hear of it; the shard starts again.
   * @param again starts it
   */
  heard(shard: ShardId, event: RunnerEvent, again: () => void): boolean {
    const trial = this.#trials.get(shard);
    if (trial?.phase !== "trying") return false;
    if (event.type === "gave-up") {
      trial.failed ??= event.reason;
      again();
      return true;
    }
    if (event.type === "restarted" && (event.reason === "crashed" || event.reason === "hung")) {
      trial.ends += event.detail.startsWith(TOO_LATE) ? MOST_ENDS : 1;
      if (trial.ends >= MOST_ENDS) trial.failed ??= `it ended again and again: ${event.detail}`;
    }
    return false;
  }

  /** The shard is to drain for another reason: a trial that has not begun does not. */
  callOff(shard: ShardId, why: string): void {
    const trial = this.#trials.get(shard);
    if (trial?.phase === "asked") trial.end({ end: "called off", why });
  }

  /**
   * The epoch has ended and nothing runs: what is undecided goes back before anybody is told what the state is.
   */
  async settle(shard: ShardId, state: TrialState): Promise<void> {
    this.callOff(shard, "the shard was given up");
    const trial = this.#of(shard, state.epoch);
    if (!trial) return;
    trial.failed ??= "the shard was given up";
    const { stateDir, epoch } = state;
    // A decision may have come to the lease unseen: the new one can begin with the state from before, too.
    if (await readKept(stateDir)) await putBack(stateDir, epoch, () => true);
    this.#deps.remember("update undone", shard, `${words(trial.to)} was not decided on`);
    trial.end({ end: "called off", why: trial.failed });
  }

  /** The epoch is somebody else's: what is on the disk is theirs to judge. */
  drop(shard: ShardId): void {
    this.#trials.get(shard)?.end({ end: "called off", why: "the shard was lost" });
  }

  #of(shard: ShardId, epoch: number): Trial | undefined {
    const trial = this.#trials.get(shard);
    return trial?.state.epoch === epoch ? trial : undefined;
  }
}

const words = openclawOf;
