import {
  CHUNKS,
  chunkKey,
  type Manifest,
  manifestKey,
  type Place,
  parseEpochKey,
} from "./manifest.ts";
import { DamagedReplica, type ReplicaReader } from "./reader.ts";
import {
  chunksToRemove,
  KEEP,
  type Keep,
  manifestsToRemove,
  nowOf,
  type Point,
} from "./retention.ts";
import { placeKey, readableTo } from "./rules.ts";
import type { ReplicaTarget } from "./target.ts";
import { UsedChunks } from "./used.ts";

export interface Collected {
  manifests: number;
  chunks: number;
  /** Chunks that are needed now and are not there. */
  missing: string[];
  /** Manifests that could not be read to their leaves' names; while there are any, no chunk is removed. */
  damaged: number;
}

/** Removes from a target what no kept point in time needs. Used by the owner of a shard alone. */
export class Collector {
  readonly #target: ReplicaTarget;
  readonly #reader: ReplicaReader;
  readonly #epoch: number;
  /** Inner nodes that were read, with their children. */
  readonly #nodes = new Map<string, readonly string[]>();

  readonly #keep: readonly Keep[];
  readonly #wallMs: () => number;

  constructor(
    target: ReplicaTarget,
    reader: ReplicaReader,
    epoch: number,
    keep: readonly Keep[] = KEEP,
    wallMs: () => number = Date.now,
  ) {
    this.#keep = keep;
    this.#wallMs = wallMs;
    this.#target = target;
    this.#reader = reader;
    this.#epoch = epoch;
  }

  /** Every chunk of a manifest; none when it cannot be read. */
  async chunksOf(place: Place): Promise<Set<string>> {
    const used = new UsedChunks(this.#reader, this.#nodes);
    try {
      const manifest = await this.#reader.manifest(place);
      if (manifest) await used.add(manifest);
    } catch (error) {
      if (error instanceof DamagedReplica) return new Set();
      throw error;
    }
    return used.hashes;
  }

  /**
   * @param needed Chunks of the present state: never removed, and missed when they are not there.
   * @param forget Told of chunks before they are removed.
   */
  async collect(
    needed: ReadonlySet<string>,
    forget: (hashes: readonly string[]) => void,
  ): Promise<Collected> {
    // Chunks before manifests: a manifest that is seen has its chunks in the older listing, or is ours.
    const stored = (await this.#target.list(CHUNKS)).map(({ key, storedAtMs }) => ({
      hash: key.split("/").at(-1) ?? "",
      storedAtMs,
    }));
    const { views, objects } = await this.#reader.directories();
    const limits = new Map(views.map((view) => [view.directory, readableTo(view)]));
    const points: Point[] = [];
    const dead: Place[] = [];
    for (const { key, storedAtMs } of objects) {
      const parsed = parseEpochKey(key);
      if (parsed?.kind !== "manifest") continue;
      const sealed = parsed.place.seq > (limits.get(parsed.place.directory) ?? 0);
      if (sealed) dead.push(parsed.place);
      else points.push({ place: parsed.place, atMs: storedAtMs });
    }
    const nowMs = nowOf(points, this.#wallMs());
    const old = [...dead, ...manifestsToRemove(points, nowMs, this.#keep)];
    await this.#target.remove(old.map(manifestKey), this.#epoch);

    const removed = new Set(old.map(placeKey));
    const kept = points.filter(({ place }) => !removed.has(placeKey(place)));
    const { used, damaged } = await this.#used(kept.map(({ place }) => place));
    const present = new Set(stored.map(({ hash }) => hash));
    const missing = [...needed].filter((hash) => !present.has(hash));
    if (damaged > 0) return { manifests: old.length, chunks: 0, missing, damaged };
    for (const hash of needed) used.add(hash);
    const garbage = chunksToRemove(stored, used, nowMs);
    forget(garbage);
    await this.#target.remove(garbage.map(chunkKey), this.#epoch);
    return { manifests: old.length, chunks: garbage.length, missing, damaged };
  }

  async #used(places: readonly Place[]): Promise<{ used: Set<string>; damaged: number }> {
    const used = new UsedChunks(this.#reader, this.#nodes);
    let damaged = 0;
    for (const place of places) {
      const manifest: Manifest | null = await this.#reader.manifest(place);
      try {
        if (manifest) await used.add(manifest);
        else damaged += 1;
      } catch (error) {
        if (!(error instanceof DamagedReplica)) throw error;
        damaged += 1;
      }
    }
    const { hashes } = used;
    for (const hash of this.#nodes.keys()) if (!hashes.has(hash)) this.#nodes.delete(hash);
    return { used: hashes, damaged };
  }
}
