import { decodeChunk, treeDepth, unpackHashes } from "./chunks.ts";
import {
  type Content,
  chunkKey,
  decodeFiles,
  decodeManifest,
  decodeSeq,
  EPOCHS,
  type FileEntry,
  type Manifest,
  manifestKey,
  type Place,
} from "./manifest.ts";
import {
  type DirectoryView,
  type ManifestFacts,
  placeKey,
  readableTo,
  viewDirectories,
} from "./rules.ts";
import type { ReplicaTarget, StoredObject } from "./target.ts";

/** Something that a manifest needs is not there, or is not what its name says. */
export class DamagedReplica extends Error {
  override readonly name = "DamagedReplica";
}

/** Gets on their way at a time. */
const PARALLEL = 8;
/** Directories of which a manifest is read for a take. */
const LOOK_BACK = 12;

/** Reads what a target holds, and believes nothing that does not match its name. */
export class ReplicaReader {
  readonly #target: ReplicaTarget;
  readonly #fleet: string;
  readonly #shard: string;

  constructor(target: ReplicaTarget, fleet: string, shard: string) {
    this.#target = target;
    this.#fleet = fleet;
    this.#shard = shard;
  }

  /** All directories, and when each of their manifests was stored. */
  async directories(): Promise<{ views: DirectoryView[]; objects: StoredObject[] }> {
    const objects = await this.#target.list(EPOCHS);
    const keys = objects.map(({ key }) => key);
    const numbers = new Map<string, number | null>();
    for (const key of keys) {
      if (key.endsWith(".manifest")) continue;
      numbers.set(key, decodeSeq(await this.#target.get(key)));
    }
    return { views: viewDirectories(keys, (key) => numbers.get(key) ?? null), objects };
  }

  /** Null: it is damaged, or gone. */
  async manifest(place: Place): Promise<Manifest | null> {
    const bytes = await this.#target.get(manifestKey(place));
    const expected = { fleet: this.#fleet, shard: this.#shard, place };
    return bytes && decodeManifest(bytes, expected);
  }

  /** One readable manifest of each of the newest directories: the newest that may be read. */
  async facts(views: readonly DirectoryView[]): Promise<ManifestFacts> {
    const facts = new Map<string, Pick<Manifest, "parents" | "changes" | "lost">>();
    for (const view of views.slice(-LOOK_BACK)) {
      const to = readableTo(view);
      for (const seq of view.manifests.filter((number) => number <= to).reverse()) {
        const place = { directory: view.directory, seq };
        const manifest = await this.manifest(place);
        if (!manifest) continue;
        facts.set(placeKey(place), manifest);
        break;
      }
    }
    return facts;
  }

  /** A chunk's raw bytes. Throws {@link DamagedReplica}. */
  async chunk(hash: string): Promise<Buffer> {
    const stored = await this.#target.get(chunkKey(hash));
    const raw = stored && decodeChunk(stored, hash);
    if (raw) return raw;
    throw new DamagedReplica(`the chunk ${hash} is ${stored ? "damaged" : "gone"}`);
  }

  /** The hashes of a content's leaves, in order. */
  async leaves(content: Content): Promise<string[]> {
    let level = [content.root];
    for (let depth = treeDepth(content.size); depth > 0; depth--) {
      const below: string[] = [];
      for (let at = 0; at < level.length; at += PARALLEL) {
        const nodes = await Promise.all(
          level.slice(at, at + PARALLEL).map((hash) => this.children(hash)),
        );
        for (const children of nodes) for (const child of children) below.push(child);
      }
      level = below;
    }
    return level;
  }

  /** What an inner node of a content's tree has right below it. */
  async children(hash: string): Promise<string[]> {
    const children = unpackHashes(await this.chunk(hash));
    if (!children) throw new DamagedReplica(`the chunk ${hash} is no list of chunks`);
    return children;
  }

  /** The leaves of a content with their bytes, in order, a few read ahead. */
  async *read(content: Content): AsyncGenerator<Buffer> {
    const hashes = await this.leaves(content);
    const ahead: Promise<Buffer>[] = [];
    const begin = (hash: string) => {
      const bytes = this.chunk(hash);
      // Whoever waits for it hears of its failure; nobody may wait for one that comes after a failure.
      bytes.catch(() => {});
      ahead.push(bytes);
    };
    for (const hash of hashes.splice(0, PARALLEL)) begin(hash);
    for (let next = ahead.shift(); next; next = ahead.shift()) {
      yield await next;
      const hash = hashes.shift();
      if (hash !== undefined) begin(hash);
    }
  }

  async files(manifest: Manifest): Promise<FileEntry[]> {
    if (!manifest.files) return [];
    const parts: Buffer[] = [];
    for await (const part of this.read(manifest.files)) parts.push(part);
    try {
      return decodeFiles(Buffer.concat(parts));
    } catch (error) {
      throw new DamagedReplica("the list of files cannot be read", { cause: error });
    }
  }
}
