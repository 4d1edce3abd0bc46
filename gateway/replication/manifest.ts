import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { z } from "zod";
import type { NodeId, ShardId } from "../contract.ts";

/** Who wrote a directory of manifests: one epoch of one supervisor start. */
export interface Writer {
  epoch: number;
  node: NodeId;
  incarnation: string;
}

/** A manifest's place: the directory of its writer, and its number there. 0: before the first. */
export interface Place {
  directory: string;
  seq: number;
}

/** What an owner publishes with its lease: how far it has come, and how far its replica. */
export interface Position extends Place {
  /** Commits to the databases that the owner has seen under this epoch, replicated or not. */
  changes: number;
  /** True on the last position of a planned hand-over: a replica exists of exactly this. */
  final: boolean;
}

/** An incarnation is written without its dashes, so that the last one parts it from the node. */
const DIRECTORY = /^(\d{12})-([a-z0-9_.-]+)-([a-z0-9]+)$/;

/** Name of a writer's directory; names sort as their epochs do. */
export function directoryOf(writer: Writer): string {
  const incarnation = writer.incarnation.replaceAll("-", "");
  const name = `${String(writer.epoch).padStart(12, "0")}-${writer.node}-${incarnation}`;
  if (!DIRECTORY.test(name)) {
    throw new Error(
      `"${writer.node}" with incarnation "${writer.incarnation}" cannot name a replica's directory; lower-case letters, digits, ".", "_" and "-" can`,
    );
  }
  return name;
}

/** Null: not the name of a directory of manifests. */
export function parseDirectory(name: string): Writer | null {
  const found = DIRECTORY.exec(name);
  if (!found) return null;
  return { epoch: Number(found[1]), node: found[2] ?? "", incarnation: found[3] ?? "" };
}

export function epochOf(directory: string): number {
  return parseDirectory(directory)?.epoch ?? 0;
}

/** Prefix of all that is not a chunk. */
export const EPOCHS = "epochs/";
export const CHUNKS = "chunks/";
export const manifestKey = ({ directory, seq }: Place): string =>
  `${EPOCHS}${directory}/${String(seq).padStart(10, "0")}.manifest`;
/** One seal a taker: a taker that died before it served is followed by another, which seals again. */
export const sealKey = (directory: string, by: string): string =>
  `${EPOCHS}${directory}/sealed-${by}`;
export const finalKey = (directory: string): string => `${EPOCHS}${directory}/final`;
export const chunkKey = (hash: string): string => `${CHUNKS}${hash.slice(0, 2)}/${hash}`;

/** What a key below {@link EPOCHS} is; null for anything else. */
export function parseEpochKey(
  key: string,
):
  | { kind: "manifest"; place: Place }
  | { kind: "seal"; directory: string; by: string }
  | { kind: "final"; directory: string }
  | null {
  const [top, directory = "", file = "", ...more] = key.split("/");
  if (`${top}/` !== EPOCHS || more.length > 0 || !parseDirectory(directory)) return null;
  if (file === "final") return { kind: "final", directory };
  const seq = /^(\d{10})\.manifest$/.exec(file)?.[1];
  if (seq) return { kind: "manifest", place: { directory, seq: Number(seq) } };
  const by = file.startsWith("sealed-") ? file.slice("sealed-".length) : "";
  return parseDirectory(by) ? { kind: "seal", directory, by } : null;
}

export function formatPosition(position: Position): string {
  const { directory, seq, changes, final } = position;
  return `${directory}/${seq}+${changes}${final ? " final" : ""}`;
}

/** Null: not a position, or none at all (an owner without replication publishes none). */
export function parsePosition(text: string | null): Position | null {
  const found = /^([^/]+)\/(\d+)\+(\d+)( final)?$/.exec(text ?? "");
  if (!found?.[1] || !parseDirectory(found[1])) return null;
  return {
    directory: found[1],
    seq: Number(found[2]),
    changes: Number(found[3]),
    final: found[4] !== undefined,
  };
}

/** Below zero: `a` is older. */
export function comparePlaces(a: Place, b: Place): number {
  if (a.directory !== b.directory) return a.directory < b.directory ? -1 : 1;
  return a.seq - b.seq;
}

const placeSchema = z.strictObject({ directory: z.string(), seq: z.number().int().nonnegative() });
const hash = z.string().regex(/^[0-9a-f]{64}$/);
const contentSchema = z.strictObject({
  /** Bytes of the whole. */
  size: z.number().int().nonnegative(),
  /** Hash of the root of its tree of chunks (chunks.ts). */
  root: hash,
});
const path = z
  .string()
  .min(1)
  .refine((text) => !text.startsWith("/") && !text.split("/").includes(".."));

/** What was published and is not in what a taker goes on with. */
export const lossSchema = z.strictObject({
  published: z.strictObject({
    ...placeSchema.shape,
    changes: z.number().int(),
    final: z.boolean(),
  }),
  /** Null: it began from nothing. */
  restored: placeSchema.nullable(),
  /** Manifests that had been put in place, at least. */
  manifests: z.number().int(),
  /** Commits to databases, at least; those later than the last renewal were seen by nobody who is left. */
  changes: z.number().int(),
});
export type HistoryLost = z.infer<typeof lossSchema>;

const manifestSchema = z.strictObject({
  version: z.literal(1),
  fleet: z.string(),
  shard: z.string(),
  place: placeSchema,
  /** What this epoch began from, newest first; see `localParents`. None: from nothing. */
  parents: z.array(placeSchema),
  /** What was missing when this epoch began; null: nothing. */
  lost: lossSchema.nullable(),
  /** Wall clock of the writer, for people and for collecting. */
  at: z.iso.datetime(),
  changes: z.number().int().nonnegative(),
  /** The OpenClaw release whose state this is. */
  release: z.string(),
  databases: z.array(z.strictObject({ path, ...contentSchema.shape })),
  /** The list of ordinary files ({@link FileEntry}), itself kept as chunks; null: there are none. */
  files: contentSchema.nullable(),
});
export type Manifest = z.infer<typeof manifestSchema>;
/** Something kept as a tree of chunks. */
export type Content = z.infer<typeof contentSchema>;

const fileSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("directory"), path, mode: z.number().int() }),
  z.strictObject({ kind: z.literal("link"), path, to: z.string() }),
  z.strictObject({
    kind: z.literal("file"),
    path,
    mode: z.number().int(),
    ...contentSchema.shape,
  }),
]);
/** An ordinary file, an empty directory's worth or a symbolic link of a shard. */
export type FileEntry = z.infer<typeof fileSchema>;

export function encodeManifest(manifest: Manifest): Buffer {
  return zstdCompressSync(Buffer.from(JSON.stringify(manifest)));
}

/** Null: damaged, of another version, or not the manifest of this shard and place. */
export function decodeManifest(
  bytes: Buffer,
  expected: { fleet: string; shard: ShardId; place: Place },
): Manifest | null {
  let value: unknown;
  try {
    value = JSON.parse(zstdDecompressSync(bytes).toString());
  } catch {
    return null;
  }
  const parsed = manifestSchema.safeParse(value);
  if (!parsed.success) return null;
  const { fleet, shard, place } = parsed.data;
  const same =
    fleet === expected.fleet &&
    shard === expected.shard &&
    comparePlaces(place, expected.place) === 0;
  return same ? parsed.data : null;
}

export function encodeFiles(files: readonly FileEntry[]): Buffer {
  return Buffer.from(JSON.stringify(files));
}

/** Throws on anything else than a list of files. */
export function decodeFiles(bytes: Buffer): FileEntry[] {
  return z.array(fileSchema).parse(JSON.parse(bytes.toString()));
}

/** A seal or a `FINAL`: just a number of a manifest. Null: damaged. */
export function decodeSeq(bytes: Buffer | null): number | null {
  const found = /^(\d{1,10})\n$/.exec(bytes?.toString() ?? "");
  return found ? Number(found[1]) : null;
}

export function encodeSeq(seq: number): Buffer {
  return Buffer.from(`${seq}\n`);
}
