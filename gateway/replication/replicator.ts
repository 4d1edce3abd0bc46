import type { Clock } from "../clock.ts";
import type { ShardId } from "../contract.ts";
import { Collector } from "./collector.ts";
import { Databases, type DatabasesCaptured, emptyStaging, NoMoment } from "./databases.ts";
import { faultWords } from "./files.ts";
import type { Image } from "./image.ts";
import {
  CHUNKS,
  directoryOf,
  EPOCHS,
  encodeManifest,
  encodeSeq,
  finalKey,
  type HistoryLost,
  type Manifest,
  manifestKey,
  type Place,
  type Position,
  parseEpochKey,
  type Writer,
} from "./manifest.ts";
import { OrdinaryFiles } from "./ordinary.ts";
import { ReplicaReader } from "./reader.ts";
import type { Keep } from "./retention.ts";
import { type Step, step } from "./step.ts";
import { type ReplicaTarget, StaleEpoch, TargetUnavailable } from "./target.ts";
import { Upkeep } from "./upkeep.ts";
import { Uploader } from "./uploader.ts";

export interface ReplicatorOptions {
  fleet: string;
  shard: ShardId;
  writer: Writer;
  /** What this epoch began from, newest first; none: nothing. */
  parents: readonly Place[];
  /** What was missing when this epoch began. @default null */
  lost?: HistoryLost | null;
  /** Commits in the state it begins with that no manifest holds. @default 0 */
  carried?: number;
  /** Where an earlier replicator of the same epoch ended; this one goes on after it. @default the beginning */
  after?: { given: number; acknowledged: number };
  /** Called before anything is put, until it succeeds; gives the parents. @default nothing to seal */
  sealLater?: (() => Promise<readonly Place[]>) | null;
  /** The OpenClaw release that writes this state. */
  release: string;
  stateDir: string;
  /** A directory of this replicator's own; emptied at first. As large as the databases become, and `mostWaitingBytes`. */
  staging: string;
  target: ReplicaTarget;
  /** Copies of ordinary files in staging that are not at the target yet, bytes. @default 256 MiB */
  mostWaitingBytes?: number;
  /** Points in time that stay. @default KEEP */
  keep?: readonly Keep[];
  clock: Clock;
  /** For the time in a manifest. @default () => new Date() */
  wallClock?: () => Date;
  log: (level: "info" | "warn" | "error", msg: string, fields?: Record<string, unknown>) => void;
}

/** Ordinary files are looked at this often at most, milliseconds, and for at most a twentieth of the time. */
const FILES_EVERY_MS = 1_000;

/**
 * Keeps the replica of one shard under one epoch. It decides nothing of time: whoever drives it calls
 * {@link step} again and again, one at a time (loop.ts), and {@link finish} after the gateway is gone.
 *
 * A step: chunks first, the manifest after them, `position` last. So a manifest that is there is whole,
 * and a position that was published has its manifest.
 */
export class Replicator {
  readonly #options: ReplicatorOptions;
  readonly #directory: string;
  readonly #databases: Databases;
  readonly #ordinary: OrdinaryFiles;
  readonly #uploader: Uploader;
  readonly #collector: Collector;
  readonly #upkeep: Upkeep;
  readonly #wallClock: () => Date;
  #begun = false;
  #parents: readonly Place[];
  #fenced: string | null = null;
  #final = false;
  /** The last number given to a manifest, whether it arrived or not. */
  #given = 0;
  readonly #carried: number;
  /** Number of the last manifest that is in place for sure; 0: none is. */
  #acknowledged = 0;
  /** Since when something is not replicated; null: nothing is. */
  #behindSince: number | null;
  /** What the last manifest was made of. */
  #images: Image[] = [];
  #filesAt = Number.NEGATIVE_INFINITY;
  #filesPauseMs = 0;
  /** Put during looks at files, since the last manifest; and how long the last look waited for it, ms. */
  #shipped = { chunks: 0, bytes: 0 };
  #shippedMs = 0;
  /** How many of `Databases.plain` the last look at files knew. */
  #plain = 0;
  /** Paths of which it was said that they are left out. */
  readonly #told = new Set<string>();
  /** The target became another one, and what is there is not known yet. */
  #moved = false;

  constructor(options: ReplicatorOptions) {
    const { target, fleet, shard, writer, stateDir, staging, clock } = options;
    this.#options = options;
    this.#wallClock = options.wallClock ?? (() => new Date());
    this.#directory = directoryOf(writer);
    this.#parents = options.parents;
    this.#carried = options.carried ?? 0;
    this.#given = options.after?.given ?? 0;
    this.#acknowledged = options.after?.acknowledged ?? 0;
    this.#databases = new Databases(stateDir, staging);
    this.#uploader = new Uploader(target, writer.epoch);
    const shipping = {
      knows: (hash: string) => this.#uploader.knows(hash),
      send: (images: Iterable<Image>) => this.#ship(images),
    };
    this.#ordinary = new OrdinaryFiles(stateDir, staging, shipping, options.mostWaitingBytes);
    const reader = new ReplicaReader(target, fleet, shard);
    const wallMs = () => this.#wallClock().getTime();
    this.#collector = new Collector(target, reader, writer.epoch, options.keep, wallMs);
    this.#upkeep = new Upkeep(this.#collector, this.#uploader, options);
    this.#behindSince = clock.now();
  }

  /** To be published with each renewal. */
  position(): Position {
    return {
      directory: this.#directory,
      seq: this.#acknowledged,
      changes: this.#carried + this.#databases.changes,
      final: this.#final,
    };
  }

  /** Milliseconds for which something has been waiting to be replicated; 0: the replica has everything. */
  lagMs(): number {
    return this.#behindSince === null ? 0 : this.#options.clock.now() - this.#behindSince;
  }

  /** Clock.now() since when something waits; null: the replica has everything. */
  get behindSince(): number | null {
    return this.#behindSince;
  }

  /** Not while a step runs: the target is another one from now on, which misses everything until the next step. */
  moved(): void {
    this.#moved = true;
    this.#behindSince ??= this.#options.clock.now();
  }

  /** Why a later owner made this epoch end; null: none has. */
  get fenced(): string | null {
    return this.#fenced;
  }

  /** Brings what is new to the target. Never throws for what a target or OpenClaw can do. */
  async step(): Promise<Step> {
    return this.#guard(async () => {
      await this.#begin();
      const lookedAt = this.#options.clock.now();
      const scan = lookedAt - this.#filesAt >= Math.max(FILES_EVERY_MS, this.#filesPauseMs);
      const differs = await this.#databases.look(this.#ordinary.databases);
      if (differs) this.#behindSince ??= lookedAt;
      const filesBytes = scan ? await this.#lookAtFiles() : 0;
      const done =
        this.#behindSince === null
          ? step("nothing-new")
          : await this.#replicate({ whole: false, filesBytes });
      if (await this.#upkeep.tidyWhenDue(this.#needed)) await this.#sendAgain();
      return done;
    });
  }

  /**
   * The last manifest of a planned hand-over, made when nothing writes any more, from whole copies:
   * frames are compared with them. Throws when it could not be put in place.
   */
  async finish(): Promise<Position> {
    let looked = false;
    const pass = (how: { whole: boolean; compare: boolean }) =>
      this.#guard(async () => {
        await this.#begin();
        const filesBytes = looked ? 0 : await this.#lookAtFiles();
        looked = true;
        return this.#replicate({ ...how, filesBytes });
      });
    const first = await pass({ whole: false, compare: false });
    // Frames that were not taken cannot be compared with anything.
    const compare = first.outcome === "replicated";
    const last = first.outcome === "fenced" ? first : await pass({ whole: true, compare });
    if (last.outcome === "failed" || last.outcome === "fenced") {
      throw new Error(`the last replica of ${this.#options.shard} failed: ${last.reason}`);
    }
    const { writer, target } = this.#options;
    await target.put(finalKey(this.#directory), encodeSeq(this.#acknowledged), writer.epoch);
    this.#final = true;
    return this.position();
  }

  /** For another replicator of the same epoch, on another state. */
  get after(): { given: number; acknowledged: number } {
    return { given: this.#given, acknowledged: this.#acknowledged };
  }

  /** Brings the present state to the target, as a moment of its own. Throws when that failed. */
  async flush(): Promise<void> {
    const done = await this.#guard(async () => {
      await this.#begin();
      return this.#replicate({ whole: false, filesBytes: await this.#lookAtFiles() });
    });
    if (done.outcome === "failed" || done.outcome === "fenced") {
      throw new Error(`${this.#options.shard} could not be replicated: ${done.reason}`);
    }
  }

  async close(): Promise<void> {
    await this.#databases.close();
  }

  async #begin(): Promise<void> {
    if (this.#begun) return this.#settleIn();
    const { staging, sealLater } = this.#options;
    await emptyStaging(staging);
    if (sealLater) this.#parents = await sealLater();
    const parent = this.#parents.at(-1);
    // What the parent needs stays: the newest manifests of a replica are never collected.
    const used = parent ? await this.#collector.chunksOf(parent) : new Set<string>();
    this.#uploader.learn(used);
    // Nothing of it here: the state came from another site, and this one may have most of it from an earlier time.
    if (parent && used.size === 0) await this.#learnAll();
    this.#begun = true;
    this.#moved = false;
  }

  /** A target that was moved to may have most of it, from an earlier time. */
  async #settleIn(): Promise<void> {
    if (!this.#moved) return;
    this.#uploader.forgetAll();
    await this.#learnAll();
    await this.#sendAgain();
    this.#moved = false;
  }

  /** Of the last manifest, and of the next: a file may have no copy any more as soon as its chunks are there. */
  get #needed(): Image[] {
    return [...new Set([...this.#images, ...this.#ordinary.images])];
  }

  async #learnAll(): Promise<void> {
    const there = await this.#options.target.list(CHUNKS);
    this.#uploader.learn(there.map(({ key }) => key.split("/").at(-1) ?? ""));
  }

  /** The present state counts as not sent; what is known to be there is left out again. */
  async #sendAgain(): Promise<void> {
    for (const image of this.#images) image.unsettle();
    await this.#ordinary.unsettle();
    this.#behindSince ??= this.#options.clock.now();
    this.#filesAt = Number.NEGATIVE_INFINITY;
  }

  /** Copies for which there is no more room go before the manifest that names them. */
  async #ship(images: Iterable<Image>): Promise<void> {
    const { clock } = this.#options;
    const began = clock.now();
    // Known before the look has ended: something that the target lacks may be large.
    this.#behindSince ??= began;
    try {
      const { chunks, bytes } = await this.#uploader.send(images);
      this.#shipped.chunks += chunks;
      this.#shipped.bytes += bytes;
    } finally {
      this.#shippedMs += clock.now() - began;
    }
  }

  /** Returns the bytes that differ. */
  async #lookAtFiles(): Promise<number> {
    const { clock, log, shard } = this.#options;
    const began = clock.now();
    // One that fails in the middle leaves copies of which no list tells yet: nothing is replicated before the next.
    this.#filesAt = Number.NEGATIVE_INFINITY;
    this.#shippedMs = 0;
    this.#plain = this.#databases.plain.size;
    const { changed, changedBytes, leftOut } = await this.#ordinary.look(this.#databases.plain);
    for (const [path, fault] of leftOut) {
      if (this.#told.has(path)) continue;
      this.#told.add(path);
      log("warn", `${path} is left out of the replica: ${faultWords(fault)}`, { shard });
    }
    this.#filesAt = began;
    // What a target takes is no cost to anybody here.
    this.#filesPauseMs = 20 * (clock.now() - began - this.#shippedMs);
    if (changed) this.#behindSince ??= began;
    return changedBytes;
  }

  /** Removes what the policy does not keep, and sends again what the target lost of the present state. */
  async collect(): Promise<void> {
    if (await this.#upkeep.tidy(this.#needed)) await this.#sendAgain();
  }

  async #replicate(how: { whole: boolean; filesBytes: number; compare?: boolean }): Promise<Step> {
    const { target, writer, clock, log, shard } = this.#options;
    const { whole, compare = false } = how;
    let { filesBytes } = how;
    const began = clock.now();
    const captured = await this.#databases.capture(this.#ordinary.databases, whole);
    const capturedAt = clock.now();
    // What only has a database's name shows when it is opened; it is in no list of files yet.
    if (this.#databases.plain.size > this.#plain) filesBytes += await this.#lookAtFiles();
    if (compare && captured.changedBytes > 0 && this.#acknowledged > 0) {
      log("error", `${captured.changedBytes} bytes of the replica differed from the databases`, {
        shard,
      });
    }
    this.#images = [...captured.databases.map(({ image }) => image), ...this.#ordinary.images];
    const sent = await this.#uploader.send(this.#images);
    const manifest = this.#manifest(captured);
    const bytes = encodeManifest(manifest);
    if ((await target.put(manifestKey(manifest.place), bytes, writer.epoch)) === "exists") {
      throw new TargetUnavailable(`${target.name} already has manifest ${manifest.place.seq}`);
    }
    if (!target.refusesOldEpochs) await this.#refuseSealed();
    for (const { image } of captured.databases) image.settled();
    await this.#ordinary.settled();
    this.#acknowledged = manifest.place.seq;
    const differs = await this.#databases.look(this.#ordinary.databases);
    this.#behindSince = differs ? capturedAt : null;
    const shipped = this.#shipped;
    this.#shipped = { chunks: 0, bytes: 0 };
    return {
      ...step("replicated"),
      chunks: sent.chunks + shipped.chunks,
      bytes: sent.bytes + shipped.bytes + bytes.length,
      readBytes: captured.readBytes,
      changedBytes: captured.changedBytes + filesBytes,
      wholeCopies: captured.wholeCopies,
      wholeMs: captured.wholeCopies > 0 ? capturedAt - began : 0,
    };
  }

  #manifest(captured: DatabasesCaptured): Manifest {
    const { fleet, shard, release } = this.#options;
    // A number is given once: a put that failed may still arrive.
    this.#given += 1;
    return {
      version: 1,
      fleet,
      shard,
      place: { directory: this.#directory, seq: this.#given },
      parents: [...this.#parents],
      lost: this.#options.lost ?? null,
      at: this.#wallClock().toISOString(),
      changes: this.#carried + captured.changes,
      release,
      databases: captured.databases.map(({ path, image }) => ({ path, ...image.content })),
      files: this.#ordinary.list?.content ?? null,
    };
  }

  /** Where the target cannot refuse: what was put beside a seal must not be acknowledged. */
  async #refuseSealed(): Promise<void> {
    const { target, writer } = this.#options;
    for (const { key } of await target.list(`${EPOCHS}${this.#directory}/`)) {
      const parsed = parseEpochKey(key);
      if (parsed?.kind === "seal") {
        throw new StaleEpoch(target.name, writer.epoch, Number(parsed.by.slice(0, 12)));
      }
    }
  }

  async #guard(work: () => Promise<Step>): Promise<Step> {
    if (this.#fenced !== null) return { ...step("fenced"), reason: this.#fenced };
    try {
      return await work();
    } catch (error) {
      const reason = (error as Error).message;
      if (error instanceof StaleEpoch) {
        this.#fenced = reason;
        return { ...step("fenced"), reason };
      }
      this.#behindSince ??= this.#options.clock.now();
      if (!(error instanceof TargetUnavailable) && !(error instanceof NoMoment)) {
        const { log, shard } = this.#options;
        log("error", `replication failed: ${reason}`, { shard });
      }
      return { ...step("failed"), reason };
    }
  }
}
