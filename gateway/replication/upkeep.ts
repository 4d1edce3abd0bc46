import type { Clock } from "../clock.ts";
import type { ShardId } from "../contract.ts";
import type { Collector } from "./collector.ts";
import type { Image } from "./image.ts";
import { TargetUnavailable } from "./target.ts";
import type { Uploader } from "./uploader.ts";

export interface UpkeepOptions {
  readonly shard: ShardId;
  readonly clock: Clock;
  readonly log: (level: "warn" | "error", msg: string, fields?: Record<string, unknown>) => void;
}

/** Listing all of a replica takes many requests, and what piles up meanwhile is small. */
const EVERY_MS = 600_000;

/** Keeps a replica tidy and whole: removes what the policy does not keep, and notices what its target lost. */
export class Upkeep {
  readonly #collector: Collector;
  readonly #uploader: Uploader;
  readonly #options: UpkeepOptions;
  #tidiedAt: number;

  /** @param uploader is told of every chunk that is not there any more */
  constructor(collector: Collector, uploader: Uploader, options: UpkeepOptions) {
    this.#collector = collector;
    this.#uploader = uploader;
    this.#options = options;
    this.#tidiedAt = options.clock.now();
  }

  /** {@link tidy} when it is time; a target that does not answer is asked again next time. */
  async tidyWhenDue(images: readonly Image[]): Promise<boolean> {
    const { clock, log, shard } = this.#options;
    if (clock.now() - this.#tidiedAt < EVERY_MS) return false;
    this.#tidiedAt = clock.now();
    try {
      return await this.tidy(images);
    } catch (error) {
      if (!(error instanceof TargetUnavailable)) throw error;
      log("warn", `the replica was not tidied up: ${error.message}`, { shard });
      return false;
    }
  }

  /**
   * Tidies up around the present state. True when the target has lost something of it, which then must be sent
   * again. Throws TargetUnavailable.
   */
  async tidy(images: readonly Image[]): Promise<boolean> {
    const { log, shard } = this.#options;
    const needed = new Set(images.flatMap((image) => [...image.hashes()]));
    const result = await this.#collector.collect(needed, (hashes) => this.#uploader.forget(hashes));
    if (result.damaged > 0) {
      log("error", `${result.damaged} manifests of the replica are damaged; no chunks removed`, {
        shard,
      });
    }
    if (result.missing.length === 0) return false;
    log("error", `the replica has lost ${result.missing.length} chunks; they are sent again`, {
      shard,
    });
    this.#uploader.forget(result.missing);
    return true;
  }
}
