import type { Release, ShardConfig } from "../config.ts";
import { DRAIN, type NodeId, type ShardId } from "../contract.ts";
import type { KeeperPort } from "../keeper/port.ts";
import type { Launch, Runner, RunnerEvent, RunnerReport } from "../shard/types.ts";
import type { StateStore } from "../state/store.ts";
import { clearProcessesOn } from "./processes.ts";
import type { ReleaseShelf } from "./releases.ts";

export interface ShardHostDeps {
  fleet: string;
  node: NodeId;
  incarnation: string;
  bootId: string;
  state: StateStore;
  keeper: KeeperPort;
  shelf: ReleaseShelf;
  /** Makes the runner of one shard; its events go to `heard`. */
  runner: (options: {
    shard: ShardId;
    launch: () => Promise<Launch>;
    heard: (event: RunnerEvent) => void;
  }) => Runner;
  /** Writes the gateway's configuration and says how it is started. */
  launch: (shard: ShardId, release: Release, stateDir: string) => Promise<Launch>;
  heard: (shard: ShardId, event: RunnerEvent) => void;
  log: (level: "info" | "warn" | "error", msg: string, fields?: Record<string, unknown>) => void;
}

interface Opened {
  epoch: number;
  release: string;
  stateDir: string;
  /** Cage of the owner before, to be emptied first; null when none was recorded. */
  oldCage: string | null;
}

/** The shards' processes and state directories on this node, by the supervisor's effects. */
export class ShardHost {
  readonly #deps: ShardHostDeps;
  readonly #runners = new Map<ShardId, Runner>();
  readonly #opened = new Map<ShardId, Opened>();
  /** Epochs that were told to end; they never start again. */
  readonly #over = new Map<ShardId, number>();

  constructor(deps: ShardHostDeps) {
    this.#deps = deps;
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

  /** Writes the new epoch beside the state, synced, before anything is done under it. */
  async opened(shard: ShardId, epoch: number, release: string): Promise<void> {
    const { state, fleet, node, incarnation, bootId } = this.#deps;
    const before = await state.marker(shard);
    this.runner(shard).note("restore");
    // The old cage stays on record until it is known to be empty: this node may die on the way.
    const oldCage = before && !before.final && before.bootId === bootId ? before.cage : null;
    const { stateDir } = await state.open({
      fleet,
      shard,
      node,
      incarnation,
      epoch,
      bootId,
      cage: oldCage,
    });
    this.#opened.set(shard, { epoch, release, stateDir, oldCage });
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
    if ((this.#over.get(shard) ?? 0) >= epoch) return;
    this.runner(shard).start(epoch, this.#deps.incarnation);
  }

  drain(shard: ShardId, epoch: number, why: string): void {
    // A node that must stop has less time than one that is emptied at leisure.
    const giveUpMs = why === "stop" ? DRAIN.termTurnsMs : DRAIN.giveUpMs;
    if (this.#runs(shard, epoch)) this.runner(shard).drain({ why, giveUpMs });
    else this.#tell(shard, { type: "drained", epoch, lostTurns: 0 });
  }

  undrain(shard: ShardId, epoch: number): void {
    if (this.#runs(shard, epoch)) this.runner(shard).undrain();
  }

  stop(shard: ShardId, epoch: number): void {
    this.#end(shard, epoch);
    if (this.#runs(shard, epoch)) this.runner(shard).stop("handed over");
    else this.#tell(shard, { type: "emptied", epoch, fenced: false, clean: true });
  }

  async kill(shard: ShardId, epoch: number, why: string): Promise<void> {
    this.#end(shard, epoch);
    if (this.#runs(shard, epoch)) {
      this.runner(shard).kill(why);
      return;
    }
    // Nothing was started, or it is gone already; the keeper knows for sure.
    await this.#deps.keeper.kill(shard, epoch, why);
    this.#tell(shard, { type: "emptied", epoch, fenced: false, clean: false });
  }

  /** The last word on a clean end. Does nothing for an epoch that left no state here. */
  async finish(shard: ShardId, epoch: number): Promise<void> {
    if (this.#opened.get(shard)?.epoch !== epoch) return;
    await this.#deps.state.finish(shard, epoch);
    this.#opened.delete(shard);
  }

  configure(shards: ShardConfig[]): void {
    for (const shard of shards) this.#runners.get(shard.id)?.configure(shard);
  }

  #end(shard: ShardId, epoch: number): void {
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
    const release = this.#deps.shelf.find(opened.release);
    if (!release) {
      throw new Error(
        `${shard} ran under release ${opened.release}, which is not on this machine; bring it back or move the shard to a node that has it`,
      );
    }
    return this.#deps.launch(shard, release, opened.stateDir);
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
    this.#deps.heard(shard, event);
  }
}
