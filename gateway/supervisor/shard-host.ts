import { bootClock, type Clock } from "../clock.ts";
import type { ShardConfig } from "../config.ts";
import { DRAIN, type NodeId, type ShardId } from "../contract.ts";
import type { KeeperPort } from "../keeper/port.ts";
import type { HistoryLost } from "../replication/manifest.ts";
import type { Known, ReplicaPort } from "../replication/port.ts";
import type { Launch, Runner, RunnerEvent, RunnerReport } from "../shard/types.ts";
import type { StateStore } from "../state/store.ts";
import { whyNotKept } from "./kept-state.ts";
import { prepareStart, type StartDeps } from "./prepare-start.ts";
import { clearProcessesOn } from "./processes.ts";
import { type Replacement, Replacements, type ReplacementsDeps, wordsOf } from "./replacements.ts";
import { ReplicaWait } from "./replica-wait.ts";
import { type TrialDeps, type TrialEnd, type TrialState, Trials } from "./trials.ts";

export interface ShardHostDeps
  extends Pick<StartDeps, "shelf" | "launch">,
    Pick<ReplacementsDeps, "introduce"> {
  fleet: string;
  node: NodeId;
  incarnation: string;
  bootId: string;
  state: StateStore;
  /** The same store when it keeps a replica elsewhere. @default there is none */
  replica?: ReplicaPort | null;
  /** Answers that people got are missing in what was restored. */
  historyLost?: (shard: ShardId, epoch: number, lost: HistoryLost) => void;
  /** Something happened that people want to read later. */
  remember?: (event: string, shard: ShardId, detail: string) => void;
  clock?: Clock;
  keeper: KeeperPort;
  /** How another OpenClaw is judged, and said to be what runs. */
  trials: Pick<TrialDeps, "ask" | "publish">;
  /** Makes the runner of one shard; its events go to `heard`. */
  runner: (options: {
    shard: ShardId;
    launch: () => Promise<Launch>;
    heard: (event: RunnerEvent) => void;
  }) => Runner;
  heard: (shard: ShardId, event: RunnerEvent) => void;
  log: (level: "info" | "warn" | "error", msg: string, fields?: Record<string, unknown>) => void;
}

interface Opened extends TrialState {
  /** Cage of the owner before, to be emptied first; null when none was recorded. */
  oldCage: string | null;
  known: Known;
  /** Release that is tried with its start; null: it starts with what ran, or did. */
  tries: string | null;
}

/** The shards' processes and state directories on this node, by the supervisor's effects. */
export class ShardHost {
  readonly #deps: ShardHostDeps;
  readonly #runners = new Map<ShardId, Runner>();
  readonly #opened = new Map<ShardId, Opened>();
  /** Epochs that were told to end; they never start again. */
  readonly #over = new Map<ShardId, number>();
  readonly #wait: ReplicaWait;
  readonly #replacements: Replacements;
  readonly #trials: Trials;

  constructor(deps: ShardHostDeps) {
    this.#deps = deps;
    const { replica = null, clock = bootClock, log, remember = () => {}, trials } = deps;
    const { introduce } = deps;
    this.#wait = new ReplicaWait(replica, clock);
    this.#replacements = new Replacements({ replica, log, remember, introduce });
    const runner = (shard: ShardId) => this.runner(shard);
    this.#trials = new Trials({ runner, replica, log, remember, ...trials });
  }

  report(shard: ShardId): RunnerReport | undefined {
    return this.#runners.get(shard)?.report();
  }

  reports(): RunnerReport[] {
    return [...this.#runners.values()].map((runner) => runner.report());
  }

  stateDir(shard: ShardId): string | undefined {
    return this.#opened.get(shard)?.stateDir;
  }

  runner(shard: ShardId): Runner {
    const existing = this.#runners.get(shard);
    if (existing) return existing;
    const runner = this.#deps.runner({
      shard,
      launch: () => this.#launch(shard),
      heard: (event) => this.#heard(shard, event),
    });
    this.#runners.set(shard, runner);
    return runner;
  }

  note(shard: ShardId, event: "acquire" | "refused" | "abort"): void {
    this.runner(shard).note(event);
  }

  /** Highest epoch that this machine's disk knows of. */
  highestEpoch(shard: ShardId): Promise<number> {
    return this.#deps.state.highestEpoch(shard);
  }

  /**
   * Writes the new epoch beside the state, synced, before anything is done under it.
   * @param tries another release, to be tried with the start. @default none
   */
  async opened(
    shard: ShardId,
    epoch: number,
    known: Known,
    tries: string | null = null,
  ): Promise<void> {
    const { state, replica, fleet, node, incarnation, bootId } = this.#deps;
    const before = await state.marker(shard);
    this.runner(shard).note("restore");
    // The old cage stays on record until it is known to be empty: this node may die on the way.
    const oldCage = before && !before.final && before.bootId === bootId ? before.cage : null;
    const marker = { fleet, shard, node, incarnation, epoch, bootId, cage: oldCage };
    // A restore may take longer than the lease lasts: it follows with the start.
    const { stateDir } = await (replica ? replica.claim(marker) : state.open(marker));
    const { release } = known;
    const fresh = { epoch, release, stateDir, broughtHere: false };
    this.#opened.set(shard, { ...fresh, oldCage, known, tries });
  }

  /** Ends what earlier owners left on this machine, whoever started it. */
  async clear(shard: ShardId): Promise<void> {
    const opened = this.#opened.get(shard);
    if (!opened) return;
    if (opened.oldCage !== null) await this.#deps.keeper.clear(shard, opened.oldCage);
    const strays = await clearProcessesOn(opened.stateDir);
    if (strays > 0) this.#deps.log("warn", `ended ${strays} processes without a cage`, { shard });
  }

  start(shard: ShardId, epoch: number): void {
    if (this.#isOver(shard, epoch)) return;
    const { replica } = this.#deps;
    if (replica) void this.#restore(replica, shard, epoch);
    else this.#begin(shard, epoch);
  }

  #begin(shard: ShardId, epoch: number): void {
    const opened = this.#opened.get(shard);
    if (opened?.epoch === epoch && opened.tries !== null) {
      const { tries } = opened;
      opened.tries = null;
      void this.#trials.beginWithStart(shard, opened, tries);
    }
    this.runner(shard).start(epoch, this.#deps.incarnation);
  }

  /** Brings the newest state here, then starts. What cannot be had here, another node may have. */
  async #restore(replica: ReplicaPort, shard: ShardId, epoch: number): Promise<void> {
    const { log, remember, historyLost } = this.#deps;
    const opened = this.#opened.get(shard);
    if (!opened) return;
    try {
      const { from, lost, bytes } = await replica.restore(shard, epoch, opened.known);
      opened.broughtHere = from !== "local";
      if (this.#isOver(shard, epoch)) return;
      log("info", `state of ${shard} is from ${from}`, { shard, epoch, from, bytes });
      if (from === "replica") {
        const mib = (bytes / 2 ** 20).toFixed(1);
        remember?.("restored", shard, `${mib} MiB from its replica`);
      }
      if (lost) historyLost?.(shard, epoch, lost);
      // Before anything of it is replicated.
      await this.#trials.recover(shard, opened, this.#wanted(shard, opened));
      this.#begin(shard, epoch);
    } catch (error) {
      if (this.#isOver(shard, epoch)) return;
      const reason = (error as Error).message;
      log("error", reason, { shard, epoch });
      this.runner(shard).note("abort");
      this.#tell(shard, { type: "gave-up", epoch, reason });
    }
  }

  drain(shard: ShardId, epoch: number, why: string): void {
    this.#wait.callOff(shard);
    this.#trials.callOff(shard, why);
    this.#replacements.callOff(shard, `the shard is to leave this node (${why})`);
    // A node that must stop has less time than one that is emptied at leisure.
    const giveUpMs = why === "stop" ? DRAIN.termTurnsMs : DRAIN.giveUpMs;
    if (!this.#runs(shard, epoch)) {
      this.#tell(shard, { type: "drained", epoch });
      return;
    }
    const drain = () => this.runner(shard).drain({ why, giveUpMs });
    // Only a replica that is current can be handed over; whoever must stop has no choice.
    if (why === "stop" || !this.#wait.isBehind(shard)) drain();
    else this.#drainLater(shard, drain);
  }

  #drainLater(shard: ShardId, drain: () => void): void {
    const { log, remember } = this.#deps;
    log("warn", `${shard} stays until its replica is current again`, { shard });
    remember?.("waits", shard, "its replica is not current, so that it cannot be handed over");
    this.#wait.whenCurrent(shard, drain);
  }

  undrain(shard: ShardId, epoch: number): void {
    this.#wait.callOff(shard);
    if (this.#runs(shard, epoch)) this.runner(shard).undrain();
  }

  /**
   * Drains a shard that serves here, replaces its state, and starts it again under the same epoch. What came of it
   * is remembered as `replaced` or `not replaced`. Returns why it cannot be begun, or null.
   */
  replace(shard: ShardId, replacement: Replacement): string | null {
    const state = this.#runners.get(shard)?.report().state;
    if (state !== "serving") return `${shard} does not serve here now, it is ${state ?? "idle"}`;
    if (this.#replacements.has(shard)) return `${shard} is being replaced already`;
    this.#replacements.ask(shard, replacement);
    this.runner(shard).restart(`its state is replaced by ${wordsOf(replacement)}`);
    return null;
  }

  /** Tries another release on a shard that serves here; it drains first. Resolves with what came of it. */
  async update(shard: ShardId, release: string): Promise<TrialEnd> {
    const calledOff = (why: string): TrialEnd => ({ end: "called off", why });
    // What is known already is not looked for again: a state may have very many files.
    const known = this.#whyNotNow(shard) ?? this.#trials.whyNotNow(shard);
    if (known !== null) return calledOff(known);
    const stateDir = this.stateDir(shard);
    const lack = stateDir === undefined ? null : await whyNotKept(stateDir);
    if (lack !== null) return calledOff(lack);
    const since = this.#whyNotNow(shard);
    const opened = this.#opened.get(shard);
    if (!opened || since !== null) return calledOff(since ?? "it does not serve here now");
    return this.#trials.begin(shard, opened, release);
  }

  /** Why nothing is to be tried on a shard as it stands here; null: something may be. */
  #whyNotNow(shard: ShardId): string | null {
    const state = this.#runners.get(shard)?.report().state ?? "idle";
    if (state !== "serving") return `it does not serve here now, it is ${state}`;
    if (this.#replacements.has(shard)) return "its state is being replaced";
    return this.#wait.isBehind(shard) ? "its replica is not current" : null;
  }

  /** Resolves when a gateway that is ready may be shown to others; false: it is gone. */
  async prove(shard: ShardId): Promise<boolean> {
    if (!(await this.#trials.prove(shard))) return false;
    // A trial holds it up; and not before the boot: its migrations end with 78 where a reader is in their way.
    this.#deps.replica?.replicate(shard);
    const endpoint = this.#runners.get(shard)?.report().endpoint;
    if (endpoint) await this.#replacements.introduce(shard, endpoint.gateway);
    return true;
  }

  stop(shard: ShardId, epoch: number): void {
    this.#end(shard, epoch, "the shard was handed over");
    if (this.#runs(shard, epoch)) this.runner(shard).stop("handed over");
    else this.#tell(shard, { type: "emptied", epoch, fenced: false, clean: true });
  }

  async kill(shard: ShardId, epoch: number, why: string): Promise<void> {
    this.#end(shard, epoch, why);
    if (this.#runs(shard, epoch)) {
      this.runner(shard).kill(why);
      return;
    }
    // Nothing was started, or it is gone already; the keeper knows for sure.
    await this.#deps.keeper.kill(shard, epoch, why);
    this.#tell(shard, { type: "emptied", epoch, fenced: false, clean: false });
  }

  /**
   * The last word on a clean end; returns the position to publish with the release. Undefined: the epoch left no state
   * here, and nothing is known.
   */
  async finish(shard: ShardId, epoch: number): Promise<string | null | undefined> {
    const opened = this.#opened.get(shard);
    if (opened?.epoch !== epoch) return undefined;
    // A keeper that fenced it did so before anybody was told to end it.
    this.#replacements.callOff(shard, "the shard was given up");
    await this.#trials.settle(shard, opened);
    const position = await this.#deps.state.finish(shard, epoch);
    this.#opened.delete(shard);
    // What was never restored leaves what was published before it.
    return position ?? opened.known.published;
  }

  /** Lets go of what this node no longer holds, without a last word. */
  keepOnly(held: ReadonlyMap<ShardId, number>): void {
    const { replica, log } = this.#deps;
    for (const [shard, { epoch }] of this.#opened) {
      if (held.get(shard) === epoch) continue;
      this.#trials.drop(shard);
      if (!replica) continue;
      this.#opened.delete(shard);
      replica.abandon(shard).catch((error: unknown) => {
        log("error", `the replica of ${shard}: ${(error as Error).message}`, { shard });
      });
    }
  }

  /** A later owner has shown itself to the replica: whatever runs under this epoch ends now. */
  fenced(shard: ShardId, epoch: number, reason: string): void {
    const { log } = this.#deps;
    if (this.#opened.get(shard)?.epoch !== epoch) return;
    log("error", `${shard} ends here: ${reason}`, { shard, epoch });
    this.kill(shard, epoch, reason).catch((error: unknown) => {
      log("error", `${shard} could not be killed: ${(error as Error).message}`, { shard });
    });
  }

  configure(shards: ShardConfig[]): void {
    for (const shard of shards) this.#runners.get(shard.id)?.configure(shard);
  }

  #isOver(shard: ShardId, epoch: number): boolean {
    return (this.#over.get(shard) ?? 0) >= epoch;
  }

  /** Whether a shard that was opened here still is. */
  #wanted(shard: ShardId, opened: Opened): () => boolean {
    return () => this.#opened.get(shard) === opened && !this.#isOver(shard, opened.epoch);
  }

  #end(shard: ShardId, epoch: number, why: string): void {
    this.#wait.callOff(shard);
    this.#replacements.callOff(shard, why);
    this.#over.set(shard, Math.max(epoch, this.#over.get(shard) ?? 0));
  }

  #runs(shard: ShardId, epoch: number): boolean {
    const report = this.#runners.get(shard)?.report();
    return (
      report?.epoch === epoch &&
      ["starting", "serving", "draining", "stopping"].includes(report.state)
    );
  }

  #tell(shard: ShardId, event: RunnerEvent): void {
    // In a later turn of the loop: the rules are still in the middle of a step.
    setImmediate(() => this.#deps.heard(shard, event));
  }

  async #launch(shard: ShardId): Promise<Launch> {
    const opened = this.#opened.get(shard);
    if (!opened) throw new Error(`the state of ${shard} is not open on this node`);
    const { shelf, launch } = this.#deps;
    const changes = { replacements: this.#replacements, trials: this.#trials };
    return prepareStart({ ...changes, shelf, launch }, shard, opened, this.#wanted(shard, opened));
  }

  #heard(shard: ShardId, event: RunnerEvent): void {
    if (event.type === "started") {
      const { state, log } = this.#deps;
      state.setCage(shard, event.epoch, event.cage).catch((error: unknown) =>
        log("error", `the cage of ${shard} could not be recorded: ${(error as Error).message}`, {
          shard,
        }),
      );
    }
    if (event.type === "serving") void this.#discardAside(shard);
    if (this.#trials.heard(shard, event, () => this.#startAgain(shard))) return;
    this.#deps.heard(shard, event);
  }

  #startAgain(shard: ShardId): void {
    // In a later turn of the loop: the runner is still in the middle of giving up.
    setImmediate(() => {
      const epoch = this.#opened.get(shard)?.epoch;
      if (epoch === undefined || this.#isOver(shard, epoch)) return;
      this.runner(shard).start(epoch, this.#deps.incarnation);
    });
  }

  async #discardAside(shard: ShardId): Promise<void> {
    const { replica, log } = this.#deps;
    try {
      const removed = await replica?.discardAside(shard);
      if (removed) log("info", `removed ${removed} older states of ${shard}`, { shard });
    } catch (error) {
      log("warn", `older states of ${shard} stay: ${(error as Error).message}`, { shard });
    }
  }
}
