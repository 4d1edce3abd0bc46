import { readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { bootClock, type Clock } from "../clock.ts";
import type { ShardId } from "../contract.ts";
import { systemTimers, type Timers } from "../shard/timers.ts";
import { removeTree } from "../state/remove-tree.ts";
import type { StateMarker, StateStore } from "../state/store.ts";
import { copyState } from "./adopt.ts";
import { parsePlace } from "./history.ts";
import { readLineage, writeLineage } from "./lineage.ts";
import { directoryOf, epochOf, parsePosition, type Writer } from "./manifest.ts";
import type { Condition, GoBack, Known, Opened, ReplicaPort } from "./port.ts";
import { ReplicaReader } from "./reader.ts";
import { restoreManifest } from "./restore.ts";
import type { Keep } from "./retention.ts";
import { highestEpochOf } from "./rules.ts";
import { type Continuation, RunningReplica } from "./running.ts";
import { type Site, type Sites, splitSite } from "./sites.ts";
import type { Step } from "./step.ts";
import { lookedUp } from "./switched-target.ts";
import { discardAside, NoState, putInPlace, type Taken, takeState } from "./take.ts";
import { type ReplicaTarget, TargetUnavailable } from "./target.ts";

export type { Known, Opened } from "./port.ts";

export interface ReplicatedStateOptions {
  fleet: string;
  /** Keeps the marker, the directory and the epochs on this machine. */
  local: StateStore;
  /** Where `local` keeps the state directory of a shard. */
  stateDir: (shard: ShardId) => string;
  sites: Sites;
  /** Room for a copy of all databases. */
  stagingDir: string;
  bootId: string;
  /** Points in time that stay. @default KEEP */
  keep?: readonly Keep[];
  clock?: Clock;
  timers?: Timers;
  /** How long a restore waits for a target that does not answer, ms. @default PATIENCE_MS */
  patienceMs?: number;
  log: (level: "info" | "warn" | "error", msg: string, fields?: Record<string, unknown>) => void;
  /** After every step of a replicator, for metrics. */
  onStep?: (shard: ShardId, step: Step) => void;
  /** A later owner has the shard: end the epoch. */
  onFenced?: (shard: ShardId, epoch: number, reason: string) => void;
}

/** A target that is restarted answers within this; after it, another node may have better luck. */
const PATIENCE_MS = 20_000;
const RETRY_MS = 1_000;
/** The highest epoch of the replica is a second opinion: the lease has it too. A dead host must not delay a take. */
const HIGHEST_MS = 1_500;
/** How long the last manifest of a planned hand-over is tried, ms; the runner's budget for it is 30 s. */
const FINISH_MS = 25_000;

/** What a replica here consists of. */
interface OpenHere {
  claim: Claim;
  taken: Taken;
  running: RunningReplica;
}

interface Claim {
  marker: Omit<StateMarker, "final">;
  /** What this machine's marker said before. */
  earlier: StateMarker | null;
  seen: number;
  stateDir: string;
  release: string;
  taken: Taken | null;
}

/** The state of shards on this machine, with a replica elsewhere. What a runner does in which order: {@link ReplicaPort}. */
export class ReplicatedState implements ReplicaPort {
  readonly kind = "replicated";
  readonly #options: ReplicatedStateOptions;
  readonly #clock: Clock;
  readonly #claims = new Map<ShardId, Claim>();
  readonly #running = new Map<ShardId, RunningReplica>();
  /** Restores under way; one that was given up still ends before the next claim of its shard. */
  readonly #restores = new Map<ShardId, Promise<unknown>>();
  /** Replicas that are being closed: until then they use the staging folder of their shard. */
  readonly #closing = new Map<ShardId, Promise<void>>();
  /** Ends under way: the last thing that one writes is the marker, which is then the next claim's. */
  readonly #ends = new Map<ShardId, Promise<unknown>>();
  /** Epochs whose end has begun: nothing is put in the place of their state any more. */
  readonly #ending = new Map<ShardId, number>();
  /** Replicas that hand on to their successors, with the state that is put in place meanwhile. */
  readonly #swaps = new Map<ShardId, Promise<unknown>>();

  constructor(options: ReplicatedStateOptions) {
    this.#options = options;
    this.#clock = options.clock ?? bootClock;
  }

  /** Highest epoch that this machine or the replica ever saw. A replica that is away is left out. */
  async highestEpoch(shard: ShardId): Promise<number> {
    const { local, sites, fleet } = this.#options;
    const here = await local.highestEpoch(shard);
    const reader = new ReplicaReader(sites.source(shard, null), fleet, shard);
    const late = new AbortController();
    const there = reader.directories().then(
      ({ views }) => highestEpochOf(views),
      (error: unknown) => {
        if (error instanceof TargetUnavailable) return 0;
        throw error;
      },
    );
    const limit = sleep(HIGHEST_MS, 0, { signal: late.signal }).catch(() => 0);
    try {
      return Math.max(here, await Promise.race([there, limit]));
    } finally {
      late.abort();
      there.catch(() => {});
    }
  }

  marker(shard: ShardId): Promise<StateMarker | null> {
    return this.#options.local.marker(shard);
  }

  async claim(marker: Omit<StateMarker, "final">): Promise<{ stateDir: string }> {
    const { local, stateDir: expected } = this.#options;
    const { shard } = marker;
    await this.abandon(shard);
    await this.#restores.get(shard)?.catch(() => {});
    await this.#ends.get(shard)?.catch(() => {});
    await this.#swaps.get(shard)?.catch(() => {});
    const earlier = await local.marker(shard);
    const seen = await local.highestEpoch(shard);
    const { stateDir } = await local.open(marker);
    if (stateDir !== expected(shard)) throw new Error(`the state of ${shard} is at ${stateDir}`);
    const release = "";
    this.#claims.set(shard, { marker, earlier, seen, stateDir, release, taken: null });
    return { stateDir };
  }

  restore(shard: ShardId, epoch: number, known?: Known): Promise<Opened> {
    const restore = this.#restore(shard, epoch, known);
    this.#restores.set(shard, restore);
    return restore;
  }

  async #restore(shard: ShardId, epoch: number, known?: Known): Promise<Opened> {
    const claim = this.#claims.get(shard);
    if (claim?.marker.epoch !== epoch) throw new Error(`${shard} was not claimed for ${epoch}`);
    const { position, site } = splitSite(known?.published ?? null);
    const published = parsePosition(position);
    const before = published ? epochOf(published.directory) : (known?.before ?? claim.seen);
    // Also for seals that are put later: hosts move meanwhile.
    const source = lookedUp(() => this.#options.sites.source(shard, site));
    const take = () => this.#take(claim, source, { before, published });
    const taken = await this.#patiently(() => this.#claims.get(shard) === claim, take);
    claim.taken = taken;
    claim.release = known?.release ?? "";
    const running = this.#open(claim, taken, site);
    if (this.#claims.get(shard) !== claim) {
      await running.close();
      throw new Error(`${shard} was given up while it was restored`);
    }
    this.#running.set(shard, running);
    running.seed();
    const { stateDir } = claim;
    return {
      stateDir,
      position: running.position(),
      from: taken.from,
      lost: taken.lost,
      bytes: taken.bytes,
    };
  }

  /** @param known Missing: what this machine's own marker says. */
  async open(marker: Omit<StateMarker, "final">, known?: Known): Promise<Opened> {
    await this.claim(marker);
    return this.restore(marker.shard, marker.epoch, known);
  }

  async #take(
    { marker, earlier, stateDir }: Claim,
    target: ReplicaTarget,
    lease: Pick<Parameters<typeof takeState>[0], "before" | "published">,
  ): Promise<Taken> {
    const { fleet, bootId, log } = this.#options;
    const inside = await readdir(stateDir);
    return takeState({
      fleet,
      shard: marker.shard,
      me: marker,
      bootId,
      ...lease,
      stateDir,
      // State that was not replicated until now: its marker says whose it is.
      unmarked:
        earlier && inside.length > 0
          ? { directory: directoryOf(earlier), durable: earlier.final || earlier.bootId === bootId }
          : null,
      target,
      log,
    });
  }

  /** Tries again while the target does not answer and the shard is still wanted here. */
  async #patiently<T>(wanted: () => boolean, work: () => Promise<T>): Promise<T> {
    const until = this.#clock.now() + (this.#options.patienceMs ?? PATIENCE_MS);
    for (;;) {
      try {
        return await work();
      } catch (error) {
        const away = error instanceof TargetUnavailable || (error instanceof NoState && error.away);
        if (!away || !wanted() || this.#clock.now() >= until) throw error;
        await sleep(RETRY_MS);
      }
    }
  }

  #open(claim: Claim, taken: Taken, site: Site, after?: Continuation): RunningReplica {
    const { marker, stateDir, release } = claim;
    const { fleet, stagingDir, sites, log, timers, keep, onStep, onFenced } = this.#options;
    const { shard, epoch } = marker;
    return new RunningReplica({
      fleet,
      shard,
      writer: marker satisfies Writer,
      taken,
      source: site,
      sites,
      release,
      ...(after ? { after } : {}),
      stateDir,
      staging: join(stagingDir, shard),
      keep,
      clock: this.#clock,
      timers: timers ?? systemTimers,
      log,
      onStep: (step) => onStep?.(shard, step),
      onFenced: (reason) => onFenced?.(shard, epoch, reason),
    });
  }

  /**
   * Puts an earlier moment in the place of the present state, while no gateway runs on it. The present state
   * becomes a moment itself first, so that this can be undone; when that fails, nothing is changed.
   */
  goBack(shard: ShardId, epoch: number, { place, site }: GoBack): Promise<void> {
    const { fleet, sites } = this.#options;
    const reader = new ReplicaReader(sites.source(shard, site), fleet, shard);
    return this.#replace(shard, epoch, async (path) => {
      await restoreManifest(reader, parsePlace(place), path);
    });
  }

  /** Puts a copy of a directory in the place of the present state, as {@link goBack} does with a moment. */
  adopt(shard: ShardId, epoch: number, directory: string): Promise<void> {
    return this.#replace(shard, epoch, (path) => copyState(directory, path));
  }

  async hold(shard: ShardId, epoch: number, release: string): Promise<void> {
    const opened = this.#openHere(shard, epoch);
    await this.#swap(shard, opened, async () => {
      opened.claim.release = release;
    });
  }

  /** The replica hands on to one that goes on from it, for the state that `place` leaves. */
  async #swap(
    shard: ShardId,
    { claim, taken, running }: OpenHere,
    place: (after: Continuation) => Promise<void>,
  ): Promise<void> {
    const ifWanted = () => {
      if (this.#claims.get(shard) !== claim) throw new Error(`${shard} was given up meanwhile`);
    };
    const swap = async () => {
      const after = await running.handOn();
      ifWanted();
      try {
        await place(after);
      } finally {
        // Also where it failed: what handed on goes on no more, and the state from before is still there.
        ifWanted();
        this.#running.set(shard, this.#open(claim, taken, after.site, after));
      }
    };
    ifWanted();
    if (this.#ending.get(shard) === claim.marker.epoch) throw new Error(`${shard} is being ended`);
    const swapping = swap();
    this.#swaps.set(shard, swapping);
    await swapping;
  }

  #openHere(shard: ShardId, epoch: number): OpenHere {
    const claim = this.#claims.get(shard);
    const running = this.#running.get(shard);
    if (!claim?.taken || running?.epoch !== epoch) throw new Error(`${shard} is not open here`);
    return { claim, taken: claim.taken, running };
  }

  async #replace(
    shard: ShardId,
    epoch: number,
    fill: (path: string) => Promise<unknown>,
  ): Promise<void> {
    const opened = this.#openHere(shard, epoch);
    const { stateDir } = opened.claim;
    const lineage = await readLineage(stateDir);
    if (!lineage) throw new Error(`the state of ${shard} does not say where it is from`);
    const path = join(dirname(stateDir), `restoring-${epoch}`);
    try {
      await fill(path);
      await this.#swap(shard, opened, ({ acknowledged }) =>
        putInPlace(path, lineage, stateDir, `aside-${epoch}-${acknowledged}`),
      );
    } catch (error) {
      // A whole copy of the state, which nobody else would take away.
      await removeTree(path).catch(() => {});
      throw error;
    }
  }

  /** Begins to replicate what was restored. */
  replicate(shard: ShardId): void {
    this.#running.get(shard)?.start();
  }

  condition(shard: ShardId): Condition | null {
    return this.#running.get(shard)?.condition() ?? null;
  }

  /** What to publish with a renewal; null: nothing is open here. */
  position(shard: ShardId): string | null {
    return this.#running.get(shard)?.position() ?? null;
  }

  /** True once a manifest of the present epoch is in place. */
  replicated(shard: ShardId): boolean {
    return this.condition(shard)?.replicated ?? false;
  }

  /** Milliseconds for which something has been waiting to be replicated; 0 for what is not open here. */
  lagMs(shard: ShardId): number {
    return this.#running.get(shard)?.lagMs() ?? 0;
  }

  setCage(shard: ShardId, epoch: number, cage: string): Promise<void> {
    return this.#options.local.setCage(shard, epoch, cage);
  }

  /**
   * The end of a planned hand-over, when nothing of the gateway is left. The position says ` final` when the
   * replica holds exactly the state here; otherwise the target was away, and only this machine has all of it.
   * Null: the epoch was never restored; what was published before it still holds.
   */
  finish(shard: ShardId, epoch: number): Promise<string | null> {
    this.#ending.set(shard, epoch);
    const end = this.#finish(shard, epoch);
    this.#ends.set(shard, end);
    return end;
  }

  async #finish(shard: ShardId, epoch: number): Promise<string | null> {
    const { local, stateDir } = this.#options;
    // Whichever replica goes on from it has the last word.
    await this.#swaps.get(shard)?.catch(() => {});
    const running = this.#running.get(shard);
    let position: string | null = null;
    if (running?.epoch === epoch) {
      await running.finish(FINISH_MS);
      position = running.position();
      await this.abandon(shard);
    } else if (this.#claims.get(shard)?.marker.epoch === epoch) {
      // Claimed and never restored: what is here is as unclean as it was.
      this.#claims.delete(shard);
      return null;
    }
    try {
      await local.finish(shard, epoch);
      const lineage = await readLineage(stateDir(shard));
      if (lineage && epochOf(lineage.directory) === epoch) {
        await writeLineage(stateDir(shard), { ...lineage, final: true });
      }
    } catch (error) {
      // The replica has all of it: a disk that cannot be written any more must not keep the shard.
      if (!parsePosition(splitSite(position).position)?.final) throw error;
      const why = (error as Error).message;
      this.#options.log("error", `the end of ${shard} is not written here: ${why}`, { shard });
    }
    return position;
  }

  /** Stops replicating without a last word: the epoch was fenced, or its gateway died with its node. */
  async abandon(shard: ShardId): Promise<void> {
    this.#claims.delete(shard);
    const running = this.#running.get(shard);
    this.#running.delete(shard);
    if (running) {
      const closing = running.close().finally(() => this.#closing.delete(shard));
      this.#closing.set(shard, closing);
    }
    await this.#closing.get(shard);
  }

  /** Removes the states that {@link restore} moved aside, once the shard is healthy. Returns their number. */
  discardAside(shard: ShardId): Promise<number> {
    return discardAside(this.#options.stateDir(shard));
  }

  async remove(shard: ShardId, options?: { force?: boolean }): Promise<void> {
    await this.abandon(shard);
    await this.#options.local.remove(shard, options);
  }

  async close(): Promise<void> {
    for (const shard of [...this.#running.keys(), ...this.#closing.keys()]) {
      await this.abandon(shard);
    }
  }
}
