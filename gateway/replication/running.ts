import type { Clock } from "../clock.ts";
import type { ShardId } from "../contract.ts";
import type { Timers } from "../shard/timers.ts";
import { ReplicationLoop } from "./loop.ts";
import { formatPosition, type Writer } from "./manifest.ts";
import type { Condition } from "./port.ts";
import { Replicator } from "./replicator.ts";
import type { Keep } from "./retention.ts";
import { seed } from "./seed.ts";
import { chooseSite, NO_WATCH, type Site, type Sites, type SiteWatch, withSite } from "./sites.ts";
import type { Step } from "./step.ts";
import { SwitchedTarget } from "./switched-target.ts";
import type { Taken } from "./take.ts";
import { TargetUnavailable } from "./target.ts";

export interface RunningReplicaOptions {
  fleet: string;
  shard: ShardId;
  writer: Writer;
  taken: Taken;
  /** Where the state was restored from, or would have been. */
  source: Site;
  sites: Sites;
  release: string;
  /** What came before it under the same epoch. */
  after?: Continuation;
  stateDir: string;
  staging: string;
  keep?: readonly Keep[] | undefined;
  clock: Clock;
  timers: Timers;
  log: (level: "info" | "warn" | "error", msg: string, fields?: Record<string, unknown>) => void;
  onStep: (step: Step) => void;
  onFenced: (reason: string) => void;
}

/** What a replica of an epoch hands to the next one of the same epoch. */
export interface Continuation {
  given: number;
  acknowledged: number;
  changes: number;
  site: Site;
}

/** The replica of a shard that is open here, and the site that it is at. */
export class RunningReplica {
  readonly epoch: number;
  readonly #options: RunningReplicaOptions;
  readonly #replicator: Replicator;
  readonly #loop: ReplicationLoop;
  readonly #target: SwitchedTarget;
  #site: Site;
  /** The site that has the newest manifest while this one has none yet, and up to which number. */
  #before: { site: Site; seq: number } | null;
  #watch: SiteWatch = NO_WATCH;
  #failing = false;
  readonly #seeding = new AbortController();
  #seeded: Promise<void> = Promise.resolve();
  /** The last word that is being said, which uses staging as the loop does. */
  #lastWord: Promise<unknown> = Promise.resolve();
  #closed = false;
  #handedOn = false;

  constructor(options: RunningReplicaOptions) {
    const { writer, taken, source, sites, shard, clock, timers, after } = options;
    this.#options = options;
    this.epoch = writer.epoch;
    const preferred = sites.preferred(shard);
    const from = after ? after.site : source;
    this.#site = preferred.includes(from) ? from : (preferred[0] as Site);
    this.#before = this.#site === from ? null : { site: from, seq: after?.acknowledged ?? 0 };
    this.#target = new SwitchedTarget(sites.target(shard, this.#site));
    const { fleet, release, stateDir, staging, log, keep } = options;
    this.#replicator = new Replicator({
      fleet,
      shard,
      writer: { epoch: writer.epoch, node: writer.node, incarnation: writer.incarnation },
      parents: taken.parents,
      // What is gone back on counts as one change.
      carried: after ? after.changes + 1 : taken.carried,
      ...(after ? { after } : {}),
      lost: taken.lost,
      sealLater: after ? null : this.#sealLater(),
      release,
      stateDir,
      staging,
      target: this.#target,
      ...(keep ? { keep } : {}),
      clock,
      log,
    });
    this.#loop = new ReplicationLoop({
      replicator: this.#replicator,
      clock,
      timers,
      onStep: (step) => this.#stepped(step),
      onFenced: options.onFenced,
    });
  }

  /**
   * Where the replica goes on at another site, a seal at the one before can be done without: nobody reads that any more
   * as soon as this one is published, and until then a loss shows by what was published.
   */
  #sealLater(): Taken["sealLater"] {
    const { taken } = this.#options;
    const { sealLater } = taken;
    if (!sealLater) return null;
    return async () => {
      try {
        return await sealLater();
      } catch (error) {
        if (this.#before === null || !(error instanceof TargetUnavailable)) throw error;
        return taken.parents;
      }
    };
  }

  /**
   * Until {@link start}: another site than that of the state is given what it misses of it, while the gateway boots.
   * What fails here is done by the first step.
   */
  seed(): void {
    const { sites, shard, fleet, taken, after, source, writer, log } = this.#options;
    const place = taken.parents.at(-1);
    if (!place || place.seq === 0 || after || taken.sealLater || this.#site === source) return;
    const from = sites.source(shard, source);
    const to = sites.target(shard, this.#site);
    const { epoch } = writer;
    const copied = seed({ fleet, shard, from, to, place, epoch, signal: this.#seeding.signal });
    this.#seeded = copied.then(
      ({ chunks, bytes }) => {
        if (chunks > 0)
          log("info", `${to.name} was given ${chunks} chunks, ${bytes} bytes`, { shard });
      },
      (error: Error) => log("info", `${to.name} was not seeded: ${error.message}`, { shard }),
    );
  }

  start(): void {
    this.#seeding.abort();
    this.#loop.start();
  }

  position(): string {
    const position = this.#replicator.position();
    if (this.#before && position.seq > this.#before.seq) this.#before = null;
    return withSite(formatPosition(position), this.#before ? this.#before.site : this.#site);
  }

  lagMs(): number {
    return this.#replicator.lagMs();
  }

  condition(): Condition {
    const position = this.position();
    return {
      epoch: this.epoch,
      position,
      replicated: this.#replicator.position().seq > 0,
      failing: this.#failing,
      behindSince: this.#replicator.behindSince,
    };
  }

  /** The last manifest of a planned hand-over, tried for so long. A failure is logged, and told by the position. */
  finish(withinMs: number): Promise<void> {
    return this.#say(() => this.#finish(withinMs));
  }

  /**
   * The present state becomes a moment that can be gone back to, and this replica ends. Throws when it could not;
   * then it goes on.
   */
  handOn(): Promise<Continuation> {
    return this.#say(() => this.#handOn());
  }

  /** Ends when nothing of it uses staging any more. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#seeding.abort();
    // First of all: one that fails starts the loop again.
    await this.#lastWord;
    await this.#loop.stop();
    await this.#replicator.close();
    await this.#seeded;
  }

  /** One at a time: each is the replicator's alone. */
  #say<T>(word: () => Promise<T>): Promise<T> {
    const said = this.#lastWord.then(word);
    this.#lastWord = said.catch(() => {});
    return said;
  }

  async #finish(withinMs: number): Promise<void> {
    const { clock, log, shard } = this.#options;
    // What goes on in its place has the last word.
    if (this.#handedOn) return;
    await this.#loop.stop();
    const until = clock.now() + withinMs;
    for (;;) {
      try {
        await this.#replicator.finish();
        return;
      } catch (error) {
        const over = this.#closed || clock.now() >= until || this.#replicator.fenced !== null;
        if (over) {
          log("error", (error as Error).message, { shard, epoch: this.epoch });
          return;
        }
      }
      await new Promise<void>((resolve) => this.#options.timers.after(500, resolve));
      this.#followSite();
    }
  }

  async #handOn(): Promise<Continuation> {
    if (this.#closed || this.#handedOn) throw new Error("the replica was ended meanwhile");
    await this.#loop.stop();
    try {
      await this.#replicator.flush();
    } catch (error) {
      if (!this.#closed) this.#loop.resume();
      throw error;
    }
    this.#handedOn = true;
    const { changes } = this.#replicator.position();
    this.position();
    const site = this.#before ? this.#before.site : this.#site;
    await this.#replicator.close();
    return { ...this.#replicator.after, changes, site };
  }

  #stepped(step: Step): void {
    this.#failing = step.outcome === "failed";
    this.#options.onStep(step);
    if (step.outcome === "fenced") return;
    const { sites, shard, clock, log } = this.#options;
    const { site, watch } = chooseSite(this.#watch, {
      preferred: sites.preferred(shard),
      present: this.#site,
      failingMs: this.#loop.failingMs,
      now: clock.now(),
    });
    this.#watch = watch;
    if (site === this.#site) {
      if (this.#followSite()) {
        log("info", `the replica goes on at ${site}, which is somewhere else now`, { shard });
      }
      return;
    }
    const why = step.outcome === "failed" ? ` (${step.reason})` : "";
    log("info", `the replica moves from ${this.#site} to ${site}${why}`, { shard });
    const { seq } = this.#replicator.position();
    this.position();
    this.#before ??= { site: this.#site, seq };
    this.#site = site;
    this.#target.use(sites.target(shard, site));
    this.#replicator.moved();
  }

  /** Not while a step runs. True when the way to the site is another one than until now; what is there may be, too. */
  #followSite(): boolean {
    const { sites, shard } = this.#options;
    const another = this.#target.use(sites.target(shard, this.#site));
    if (another) this.#replicator.moved();
    return another;
  }
}
