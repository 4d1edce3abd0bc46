import { hash } from "node:crypto";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";

/**
 * A content is a tree. Its leaves are {@link LEAF_BYTES} of it each, the last one shorter; an inner node
 * is the hashes of up to {@link FAN_OUT} children, one after the other. A content of one leaf is that
 * leaf. So a change of a few pages in a gigabyte is a few leaves, the nodes above them, and one root.
 */
export const LEAF_BYTES = 64 * 1024;
export const FAN_OUT = 256;
const HASH_BYTES = 32;

/** SHA-256 of a chunk's raw bytes, hex. */
export function chunkHash(bytes: Uint8Array): string {
  return hash("sha256", bytes, "hex");
}

/** How a chunk is stored: zstd at its quickest, unless that gains nothing. The first byte says which. */
export function encodeChunk(raw: Uint8Array): Buffer {
  const packed = zstdCompressSync(raw);
  return packed.length < raw.length
    ? Buffer.concat([Buffer.of(1), packed])
    : Buffer.concat([Buffer.of(0), raw]);
}

/** Null: what is stored is not what the name says. */
export function decodeChunk(stored: Buffer, name: string): Buffer | null {
  let raw: Buffer;
  try {
    if (stored[0] === 1) {
      raw = zstdDecompressSync(stored.subarray(1), { maxOutputLength: LEAF_BYTES });
    } else if (stored[0] === 0) raw = stored.subarray(1);
    else return null;
  } catch {
    return null;
  }
  return chunkHash(raw) === name ? raw : null;
}

export function leafCount(size: number): number {
  return Math.max(1, Math.ceil(size / LEAF_BYTES));
}

/** Levels of inner nodes above the leaves of a content. */
export function treeDepth(size: number): number {
  let depth = 0;
  for (let width = leafCount(size); width > 1; width = Math.ceil(width / FAN_OUT)) depth++;
  return depth;
}

export interface TreeNode {
  hash: string;
  /** Raw bytes of the node. */
  bytes: Buffer;
}

/**
 * The hashes of a content's leaves, and of the nodes above them, kept so that a change costs the path
 * from the leaf to the root only.
 */
export class HashTree {
  /** levels[0] are the leaves; the last one has a single entry. */
  #levels: string[][] = [[]];
  #dirty = new Set<number>();

  get leaves(): readonly string[] {
    return this.#levels[0] ?? [];
  }

  setLeaf(index: number, hash: string): void {
    const leaves = this.#levels[0] ?? [];
    if (leaves[index] === hash) return;
    leaves[index] = hash;
    this.#dirty.add(index);
  }

  /** Cuts or announces the number of leaves; new ones must be set before the next {@link update}. */
  resize(count: number): void {
    const leaves = this.#levels[0] ?? [];
    if (leaves.length === count) return;
    this.#dirty.add(Math.max(0, Math.min(leaves.length, count) - 1));
    leaves.length = Math.min(leaves.length, count);
  }

  /** Computes what is above changed leaves. Returns the root and the inner nodes that are new. */
  update(): { root: string; nodes: TreeNode[] } {
    const nodes: TreeNode[] = [];
    let dirty = this.#dirty;
    for (let level = 0; (this.#levels[level]?.length ?? 0) > 1; level++) {
      const children = this.#levels[level] ?? [];
      const parents = this.#levels[level + 1] ?? [];
      const width = Math.ceil(children.length / FAN_OUT);
      const touched = new Set([...dirty].map((child) => Math.floor(child / FAN_OUT)));
      // A level that did not exist, or grew, is computed where it has no hash yet.
      for (let at = 0; at < width; at++) if (parents[at] === undefined) touched.add(at);
      parents.length = Math.min(parents.length, width);
      for (const at of touched) {
        if (at >= width) continue;
        const node = packHashes(children.slice(at * FAN_OUT, (at + 1) * FAN_OUT));
        const name = chunkHash(node);
        parents[at] = name;
        nodes.push({ hash: name, bytes: node });
      }
      this.#levels[level + 1] = parents;
      this.#levels.length = Math.max(this.#levels.length, level + 2);
      if (parents.length === 1) this.#levels.length = level + 2;
      dirty = touched;
    }
    if ((this.#levels[0]?.length ?? 0) <= 1) this.#levels.length = 1;
    this.#dirty = new Set();
    const root = this.#levels.at(-1)?.[0];
    if (root === undefined) throw new Error("a tree without leaves has no root");
    return { root, nodes };
  }

  /** Every hash of the tree, leaves and nodes. */
  *all(): Generator<string> {
    for (const level of this.#levels) yield* level;
  }

  /** Every node above the leaves. */
  *inner(): Generator<string> {
    for (const level of this.#levels.slice(1)) yield* level;
  }

  /** The node of this name, made anew from its children; null when the tree has none. */
  node(name: string): Buffer | null {
    for (let level = 1; level < this.#levels.length; level++) {
      const at = this.#levels[level]?.indexOf(name) ?? -1;
      if (at >= 0) {
        return packHashes(this.#levels[level - 1]?.slice(at * FAN_OUT, (at + 1) * FAN_OUT) ?? []);
      }
    }
    return null;
  }
}

export function packHashes(hashes: readonly string[]): Buffer {
  return Buffer.from(hashes.join(""), "hex");
}

/** Null: not a node. */
export function unpackHashes(node: Buffer): string[] | null {
  if (node.length === 0 || node.length % HASH_BYTES !== 0) return null;
  const hashes: string[] = [];
  for (let at = 0; at < node.length; at += HASH_BYTES) {
    hashes.push(node.toString("hex", at, at + HASH_BYTES));
  }
  return hashes;
}
