import { type FileHandle, open } from "node:fs/promises";
import { chunkHash, HashTree, LEAF_BYTES, leafCount } from "./chunks.ts";
import type { Content } from "./manifest.ts";

/** A chunk that a manifest needs. */
export interface Chunk {
  hash: string;
  read(): Promise<Buffer>;
}

/**
 * A copy of a content in staging: a file of its own, which only this object writes, with the tree of its
 * chunks and what of it is not known to be at the target.
 */
export class Image {
  readonly path: string;
  #size = 0;
  #root = "";
  readonly #tree = new HashTree();
  /** Leaves by number, and nodes by hash, since the last {@link settled}. */
  readonly #leaves = new Set<number>();
  readonly #nodes = new Set<string>();

  constructor(path: string) {
    this.path = path;
  }

  get content(): Content {
    return { size: this.#size, root: this.#root };
  }

  /** Every chunk of the content. */
  hashes(): Iterable<string> {
    return this.#tree.all();
  }

  /** Takes over what the file holds now. Returns the bytes of leaves that differ from before. */
  async reread(): Promise<number> {
    const file = await open(this.path, "r");
    try {
      const { size } = await file.stat();
      const all = Array.from({ length: leafCount(size) }, (_, leaf) => leaf);
      return await this.#hash(file, size, all);
    } finally {
      await file.close();
    }
  }

  /** Writes pages into the file, which then has `pages.count` of them. Returns the bytes of changed leaves. */
  async write(pages: {
    size: number;
    count: number;
    changed: Map<number, Buffer>;
  }): Promise<number> {
    const file = await open(this.path, "r+");
    try {
      const size = pages.size * pages.count;
      const touched = new Set<number>();
      for (const [number, bytes] of pages.changed) {
        // A page beyond the end was written and cut off again by a later commit.
        if (number > pages.count) continue;
        const at = (number - 1) * pages.size;
        await file.write(bytes, 0, bytes.length, at);
        for (let leaf = at; leaf < at + bytes.length; leaf += LEAF_BYTES) {
          touched.add(Math.floor(leaf / LEAF_BYTES));
        }
      }
      if (size !== this.#size) {
        await file.truncate(size);
        const edge = Math.min(size, this.#size);
        for (
          let leaf = Math.floor(Math.max(0, edge - 1) / LEAF_BYTES);
          leaf < leafCount(size);
          leaf++
        ) {
          touched.add(leaf);
        }
      }
      return await this.#hash(file, size, [...touched]);
    } finally {
      await file.close();
    }
  }

  /** The chunks of the present content that may be missing at the target. */
  *pending(): Generator<Chunk> {
    for (const leaf of this.#leaves) {
      const hash = this.#tree.leaves[leaf];
      if (hash) yield { hash, read: () => this.#leaf(leaf) };
    }
    for (const hash of this.#nodes) {
      const node = this.#tree.node(hash);
      if (node) yield { hash, read: async () => node };
      else this.#nodes.delete(hash);
    }
  }

  /** False: nothing of it is {@link pending}, and its file is not read any more. */
  get waits(): boolean {
    return this.#leaves.size > 0 || this.#nodes.size > 0;
  }

  /** All of {@link pending} is at the target. True when there was any. */
  settled(): boolean {
    const any = this.waits;
    this.#leaves.clear();
    this.#nodes.clear();
    return any;
  }

  /** The target has lost something: everything may be missing. */
  unsettle(): void {
    for (let leaf = 0; leaf < this.#tree.leaves.length; leaf++) this.#leaves.add(leaf);
    for (const hash of this.#tree.inner()) this.#nodes.add(hash);
  }

  async #hash(file: FileHandle, size: number, leaves: number[]): Promise<number> {
    this.#tree.resize(leafCount(size));
    let changed = 0;
    for (const leaf of leaves.sort((a, b) => a - b)) {
      const bytes = await readLeaf(file, leaf, size);
      const hash = chunkHash(bytes);
      if (this.#tree.leaves[leaf] === hash) continue;
      this.#tree.setLeaf(leaf, hash);
      this.#leaves.add(leaf);
      changed += bytes.length;
    }
    const { root, nodes } = this.#tree.update();
    for (const node of nodes) this.#nodes.add(node.hash);
    this.#size = size;
    this.#root = root;
    return changed;
  }

  async #leaf(leaf: number): Promise<Buffer> {
    const file = await open(this.path, "r");
    try {
      return await readLeaf(file, leaf, this.#size);
    } finally {
      await file.close();
    }
  }
}

async function readLeaf(file: FileHandle, leaf: number, size: number): Promise<Buffer> {
  const at = leaf * LEAF_BYTES;
  const bytes = Buffer.allocUnsafe(Math.max(0, Math.min(LEAF_BYTES, size - at)));
  let done = 0;
  while (done < bytes.length) {
    const { bytesRead } = await file.read(bytes, done, bytes.length - done, at + done);
    if (bytesRead === 0)
      throw new Error(`a file in staging ended before byte ${at + bytes.length}`);
    done += bytesRead;
  }
  return bytes;
}
