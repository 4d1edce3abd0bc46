import { decodeChunk } from "./chunks.ts";
import { CHUNKS, chunkKey, type Place } from "./manifest.ts";
import { inParallel } from "./parallel.ts";
import { DamagedReplica, ReplicaReader } from "./reader.ts";
import type { ReplicaTarget } from "./target.ts";
import type { Sent } from "./uploader.ts";
import { UsedChunks } from "./used.ts";

export interface SeedRequest {
  fleet: string;
  shard: string;
  /** Where the manifest is. */
  from: ReplicaTarget;
  /** Where its chunks shall be. */
  to: ReplicaTarget;
  place: Place;
  epoch: number;
  /** Ends it early; what was put stays. */
  signal: AbortSignal;
}

/**
 * Copies the chunks of a manifest from one target to another that misses them, so that the first manifest there
 * costs only what changed since. It reads no database: a gateway may boot meanwhile. Chunks alone mean nothing to
 * a reader, so it may end anywhere. Throws what the targets throw, and {@link DamagedReplica}.
 */
export async function seed(request: SeedRequest): Promise<Sent> {
  const { fleet, shard, from, to, place, epoch, signal } = request;
  const sent: Sent = { chunks: 0, bytes: 0 };
  const needed = await chunksOf(new ReplicaReader(from, fleet, shard), place);
  if (signal.aborted) return sent;
  const there = new Set((await to.list(CHUNKS)).map(({ key }) => key));
  await inParallel(needed, async (hash) => {
    const key = chunkKey(hash);
    if (signal.aborted || there.has(key)) return;
    const packed = await from.get(key);
    // A name is given once: what is put under it must be what it says.
    if (!packed || !decodeChunk(packed, hash)) {
      throw new DamagedReplica(`the chunk ${hash} is ${packed ? "damaged" : "gone"}`);
    }
    if ((await to.put(key, packed, epoch)) === "stored") {
      sent.chunks += 1;
      sent.bytes += packed.length;
    }
  });
  return sent;
}

async function chunksOf(reader: ReplicaReader, place: Place): Promise<Set<string>> {
  const manifest = await reader.manifest(place);
  if (!manifest) throw new DamagedReplica(`manifest ${place.seq} of ${place.directory} is damaged`);
  const used = new UsedChunks(reader);
  await used.add(manifest);
  return used.hashes;
}
