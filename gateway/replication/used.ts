import { treeDepth } from "./chunks.ts";
import type { Manifest } from "./manifest.ts";
import type { ReplicaReader } from "./reader.ts";

/** Gathers the chunks that manifests need, what they share only once. */
export class UsedChunks {
  /** All that were gathered. */
  readonly hashes = new Set<string>();
  readonly #reader: ReplicaReader;
  readonly #nodes: Map<string, readonly string[]>;
  /** Nodes below which all was gathered: the depth, then the hash. */
  readonly #whole = new Set<string>();

  /** @param nodes Inner nodes that were read, with their children: remembered for the next time. */
  constructor(reader: ReplicaReader, nodes: Map<string, readonly string[]> = new Map()) {
    this.#reader = reader;
    this.#nodes = nodes;
  }

  /** Throws `DamagedReplica` when what names the chunks cannot be read. */
  async add(manifest: Manifest): Promise<void> {
    for (const { root, size } of manifest.databases) await this.#add(root, treeDepth(size));
    if (!manifest.files) return;
    await this.#add(manifest.files.root, treeDepth(manifest.files.size));
    for (const file of await this.#reader.files(manifest)) {
      if (file.kind === "file") await this.#add(file.root, treeDepth(file.size));
    }
  }

  async #add(hash: string, depth: number): Promise<void> {
    if (depth > 0) {
      // The depth is part of it: a leaf of one content may have the bytes of another one's node.
      const tree = `${depth} ${hash}`;
      if (this.#whole.has(tree)) return;
      const children = this.#nodes.get(hash) ?? (await this.#reader.children(hash));
      this.#nodes.set(hash, children);
      for (const child of children) await this.#add(child, depth - 1);
      this.#whole.add(tree);
    }
    this.hashes.add(hash);
  }
}
