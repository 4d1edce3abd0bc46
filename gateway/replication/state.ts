import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { bootClock, type Clock } from "../clock.ts";
import type { ShardId } from "../contract.ts";
import { systemTimers, type Timers } from "../shard/timers.ts";
import type { StateMarker, StateStore } from "../state/store.ts";
import { readLineage, writeLineage } from "./lineage.ts";
import { ReplicationLoop } from "./loop.ts";
import { directoryOf, formatPosition, type HistoryLost, parsePosition } from "./manifest.ts";
import { ReplicaReader } from "./reader.ts";
import { Replicator } from "./replicator.ts";
import { highestEpochOf } from "./rules.ts";
import type { Step } from "./step.ts";
import { discardAside, takeState } from "./take.ts";
import { type ReplicaTarget, TargetUnavailable } from "./target.ts";

export interface ReplicatedStateOptions {
  fleet: string;
  /** Keeps the marker, the directory and the epochs on this machine. */
  local: StateStore;
  /** Where `local` keeps the state directory of a shard. */
  stateDir: (shard: ShardId) => string;
  /** Where the replica of a shard goes. */
  target: (shard: ShardId) => ReplicaTarget;
  /** Room for a copy of all databases. */
  stagingDir: string;
  bootId: string;
  clock?: Clock;
  timers?: Timers;
  log: (level: "info" | "warn" | "error", msg: string, fields?: Record<string, unknown>) => void;
  /** After every step of a replicator, for metrics. */
  onStep?: (shard: ShardId, step: Step) => void;
  /** A later owner has the shard: end the epoch. */
  onFenced?: (shard: ShardId, epoch: number, reason: string) => void;
}

/** What an owner knows beside its marker when it opens a shard. */
export interface Known {
  /** Epoch of the lease before its own; 0: there never was one. */
  before: number;
  /** The lease's position before its own, as it stands there. */
  published: string | null;
  release: string;
}

export interface Opened {
  stateDir: string;
  position: string;
  from: "local" | "replica" | "nothing";
  /** Not null: answers that people got are missing. To be logged and counted as `history_lost`. */
  lost: HistoryLost | null;
}

interface Running {
  epoch: number;
  replicator: Replicator;
  loop: ReplicationLoop;
}

/**
 * The state of shards on this machine, with a replica elsewhere: a {@link StateStore} whose `open` brings the newest
 * state here, and which keeps the replica current from then on. What a runner does:
 *
 * 1. after it acquired the lease: `open`; until that returned, it renews with the position it found;
 * 2. `replicate` at once, while OpenClaw boots; it serves when `replicated` is true, or after 5 s;
 * 3. with each renewal it publishes `position`; `lagMs` and `unreplicated` go into metrics and status;
 * 4. healthy: `discardAside`;
 * 5. planned: gateway gone, then `finish`; its answer is published with the release. Otherwise `abandon`.
 */
export class ReplicatedState implements StateStore {
  readonly kind = "replicated";
  readonly #options: ReplicatedStateOptions;
  readonly #clock: Clock;
  readonly #running = new Map<ShardId, Running>();

  constructor(options: ReplicatedStateOptions) {
    this.#options = options;
    this.#clock = options.clock ?? bootClock;
  }

  /** Highest epoch that this machine or the replica ever saw. A replica that is away is left out. */
  async highestEpoch(shard: ShardId): Promise<number> {
    const { local, target, fleet } = this.#options;
    const here = await local.highestEpoch(shard);
    try {
      const reader = new ReplicaReader(target(shard), fleet, shard);
      return Math.max(here, highestEpochOf((await reader.directories()).views));
    } catch (error) {
      if (error instanceof TargetUnavailable) return here;
      throw error;
    }
  }

  marker(shard: ShardId): Promise<StateMarker | null> {
    return this.#options.local.marker(shard);
  }

  /** @param known Missing: what this machine's own marker says. */
  async open(marker: Omit<StateMarker, "final">, known?: Known): Promise<Opened> {
    const { local, stateDir, target, fleet, stagingDir, bootId, log } = this.#options;
    const { shard, epoch, node, incarnation } = marker;
    await this.abandon(shard);
    const me = { epoch, node, incarnation };
    const earlier = await local.marker(shard);
    const seen = await local.highestEpoch(shard);
    const { stateDir: path } = await local.open(marker);
    if (path !== stateDir(shard)) throw new Error(`the state of ${shard} is at ${path}`);
    const inside = await readdir(path);
    const taken = await takeState({
      fleet,
      shard,
      me,
      bootId,
      before: known?.before ?? seen,
      published: parsePosition(known?.published ?? null),
      stateDir: path,
      // State that was not replicated until now: its marker says whose it is.
      unmarked:
        earlier && inside.length > 0
          ? { directory: directoryOf(earlier), durable: earlier.final || earlier.bootId === bootId }
          : null,
      target: target(shard),
      log,
    });
    const replicator = new Replicator({
      fleet,
      shard,
      writer: me,
      parents: taken.parents,
      carried: taken.carried,
      lost: taken.lost,
      sealLater: taken.sealLater,
      release: known?.release ?? "",
      stateDir: path,
      staging: join(stagingDir, shard),
      target: target(shard),
      clock: this.#clock,
      log,
    });
    const loop = new ReplicationLoop({
      replicator,
      clock: this.#clock,
      timers: this.#options.timers ?? systemTimers,
      onStep: (step) => this.#options.onStep?.(shard, step),
      onFenced: (reason) => this.#options.onFenced?.(shard, epoch, reason),
    });
    this.#running.set(shard, { epoch, replicator, loop });
    const position = formatPosition(replicator.position());
    return { stateDir: path, position, from: taken.from, lost: taken.lost };
  }

  /** Begins to replicate what was opened. */
  replicate(shard: ShardId): void {
    this.#running.get(shard)?.loop.start();
  }

  /** What to publish with a renewal; null: nothing is open here. */
  position(shard: ShardId): string | null {
    const running = this.#running.get(shard);
    return running ? formatPosition(running.replicator.position()) : null;
  }

  /** True once a manifest of the present epoch is in place. */
  replicated(shard: ShardId): boolean {
    return (this.#running.get(shard)?.replicator.position().seq ?? 0) > 0;
  }

  /** See {@link Replicator.lagMs}; 0 for what is not open here. */
  lagMs(shard: ShardId): number {
    return this.#running.get(shard)?.replicator.lagMs() ?? 0;
  }

  unreplicated(shard: ShardId): boolean {
    return this.#running.get(shard)?.loop.unreplicated ?? false;
  }

  setCage(shard: ShardId, epoch: number, cage: string): Promise<void> {
    return this.#options.local.setCage(shard, epoch, cage);
  }

  /**
   * The end of a planned hand-over, when nothing of the gateway is left. The position says ` final` when the
   * replica holds exactly the state here; otherwise the target was away, and only this machine has all of it.
   */
  async finish(shard: ShardId, epoch: number): Promise<string | null> {
    const { local, stateDir, log } = this.#options;
    const running = this.#running.get(shard);
    let position: string | null = null;
    if (running?.epoch === epoch) {
      await running.loop.stop();
      try {
        await running.replicator.finish();
      } catch (error) {
        log("error", (error as Error).message, { shard, epoch });
      }
      position = formatPosition(running.replicator.position());
      await this.abandon(shard);
    }
    await local.finish(shard, epoch);
    const lineage = await readLineage(stateDir(shard));
    if (lineage) await writeLineage(stateDir(shard), { ...lineage, final: true });
    return position;
  }

  /** Stops replicating without a last word: the epoch was fenced, or its gateway died with its node. */
  async abandon(shard: ShardId): Promise<void> {
    const running = this.#running.get(shard);
    this.#running.delete(shard);
    await running?.loop.stop();
    await running?.replicator.close();
  }

  /** Removes the states that {@link open} moved aside, once the shard is healthy. Returns their number. */
  discardAside(shard: ShardId): Promise<number> {
    return discardAside(this.#options.stateDir(shard));
  }

  async remove(shard: ShardId, options?: { force?: boolean }): Promise<void> {
    await this.abandon(shard);
    await this.#options.local.remove(shard, options);
  }

  async close(): Promise<void> {
    for (const shard of [...this.#running.keys()]) await this.abandon(shard);
  }
}
