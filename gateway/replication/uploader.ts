import { encodeChunk } from "./chunks.ts";
import type { Image } from "./image.ts";
import { chunkKey } from "./manifest.ts";
import { inParallel } from "./parallel.ts";
import type { ReplicaTarget } from "./target.ts";

export interface Sent {
  chunks: number;
  /** Bytes put, packed. */
  bytes: number;
}

/** Brings chunks to a target, each once. */
export class Uploader {
  readonly #target: ReplicaTarget;
  readonly #epoch: number;
  /** Chunks that are at the target for sure, and that no collecting takes away. */
  readonly #known = new Set<string>();

  constructor(target: ReplicaTarget, epoch: number) {
    this.#target = target;
    this.#epoch = epoch;
  }

  knows(hash: string): boolean {
    return this.#known.has(hash);
  }

  learn(hashes: Iterable<string>): void {
    for (const hash of hashes) this.#known.add(hash);
  }

  forget(hashes: Iterable<string>): void {
    for (const hash of hashes) this.#known.delete(hash);
  }

  /** The target is another one. */
  forgetAll(): void {
    this.#known.clear();
  }

  /** Puts what the target misses of these. Ends at the first failure; what was put stays known. */
  async send(images: Iterable<Image>): Promise<Sent> {
    const sent: Sent = { chunks: 0, bytes: 0 };
    const begun = new Set<string>();
    const chunks = (function* () {
      for (const image of images) yield* image.pending();
    })();
    await inParallel(chunks, async ({ hash, read }) => {
      if (this.#known.has(hash) || begun.has(hash)) return;
      begun.add(hash);
      const packed = encodeChunk(await read());
      const outcome = await this.#target.put(chunkKey(hash), packed, this.#epoch);
      this.#known.add(hash);
      if (outcome === "stored") {
        sent.chunks += 1;
        sent.bytes += packed.length;
      }
    });
    return sent;
  }
}
