import {
  type FileHandle,
  lstat,
  open,
  readdir,
  readFile,
  rename,
  rm,
  statfs,
  writeFile,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { copyState } from "../replication/adopt.ts";
import { findParts, inWorkspace, LOGS, missing } from "../replication/files.ts";
import { readLineage, syncPath, writeLineage } from "../replication/lineage.ts";
import { removeTree } from "../state/remove-tree.ts";

const recordSchema = z.strictObject({
  /** Releases: what ran, and what is being tried. */
  from: z.string(),
  to: z.string(),
  /** Of the owner that tries. */
  epoch: z.number().int().positive(),
});

/** What is being tried on a state, beside which the one from before is kept. */
export type KeptRecord = z.infer<typeof recordSchema>;

const MIB = 2 ** 20;
const RECORD = "update.json";
const BEFORE = "before-update";
const FAILED = "failed-update-";

/**
 * The state of a shard from before another OpenClaw was tried on it, beside the state directory:
 *
 *     update.json         what is tried; without it the rest is left over
 *     before-update/      the copy, whole since it has this name
 *     failed-update-<n>/  what the last try that failed under epoch n left, for people to look at
 *
 * Each function can be interrupted anywhere and done again. All of them only while nothing runs on the state;
 * `wanted` is asked right before something others would see changes: false means that somebody else has the shard.
 */
export async function keepState(
  stateDir: string,
  record: KeptRecord,
  wanted: () => boolean,
): Promise<void> {
  const folder = dirname(stateDir);
  refuseUnwanted(wanted);
  await forgetKept(stateDir);
  for (const name of await readdir(folder)) {
    if (name.startsWith(FAILED)) await removeTree(join(folder, name));
  }
  const building = join(folder, `${BEFORE}.partial`);
  try {
    // What runs on it daily is as whole as it was; a check would only make people wait.
    await copyState(stateDir, building, { check: false });
    refuseUnwanted(wanted);
    const file = join(folder, RECORD);
    await writeFile(file, `${JSON.stringify(record)}\n`, { mode: 0o600 });
    await syncPath(file);
    refuseUnwanted(wanted);
    await rename(building, join(folder, BEFORE));
    await syncPath(folder);
  } catch (error) {
    // What has no room for its copy must not be left without any. Somebody else's next start takes it away as well.
    if (wanted()) await forgetKept(stateDir).catch(() => {});
    throw error;
  }
}

/** Room that a copy leaves on the disk, where all shards of a node write. */
const SPARE_BYTES = 64 * MIB;

/** A file of one byte takes this on most file systems, and an entry about as much for what is known of it. */
const BLOCK_BYTES = 4_096;

/**
 * Why {@link keepState} would fail: no room, or no right to read what a state is not whole without; null: it would not,
 * as far as can be told. Changes nothing. What an agent keeps and nobody may read is left out of a copy, and stops none.
 */
export async function whyNotKept(
  stateDir: string,
  freeBytes: (path: string) => Promise<number> = freeAt,
): Promise<string | null> {
  const folder = dirname(stateDir);
  // What is left of earlier tries goes first.
  const old = (await readdir(folder)).filter(
    (name) => name.startsWith(FAILED) || name.startsWith(BEFORE),
  );
  let free = await freeBytes(folder);
  for (const name of old) free += await spaceOf(join(folder, name));
  let needed: number;
  try {
    needed = (await spaceOfCopy(stateDir)) + SPARE_BYTES;
  } catch (error) {
    return `its state cannot be copied: ${(error as Error).message}`;
  }
  if (needed <= free) return null;
  const [has, needs] = [free, needed].map((bytes) => Math.ceil(bytes / MIB));
  return `a copy of its state needs ${needs} MiB, and only ${has} MiB are free at ${folder}`;
}

async function freeAt(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path);
  return bavail * bsize;
}

/** What a copy of a state takes on a disk. Throws when a database of OpenClaw's own, or its folder, cannot be read. */
async function spaceOfCopy(stateDir: string): Promise<number> {
  const { files, databases, links, directories } = await findParts(stateDir);
  let bytes = BLOCK_BYTES * (1 + directories.size + links.size);
  for (const { size } of files.values()) bytes += spaceOfFile(size);
  for (const path of databases) {
    for (const suffix of ["", ...LOGS]) {
      bytes += await spaceOfReadable(join(stateDir, path) + suffix).catch((error: Error) => {
        if (inWorkspace(path)) return 0;
        throw error;
      });
    }
  }
  return bytes;
}

async function spaceOfReadable(path: string): Promise<number> {
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch (error) {
    missing(error as NodeJS.ErrnoException);
    return 0;
  }
  try {
    return spaceOfFile((await file.stat()).size);
  } finally {
    await file.close();
  }
}

/** What a folder takes on a disk. What is gone by the time it is looked at, or cannot be read, counts for nothing. */
async function spaceOf(folder: string): Promise<number> {
  let bytes = BLOCK_BYTES;
  for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) bytes += await spaceOf(path);
    else {
      const found = await lstat(path).catch(() => null);
      if (found) bytes += found.blocks * 512 + BLOCK_BYTES;
    }
  }
  return bytes;
}

function spaceOfFile(size: number): number {
  return (Math.ceil(size / BLOCK_BYTES) + 1) * BLOCK_BYTES;
}

/** What is being tried; null: nothing, or it never came to that. */
export async function readKept(stateDir: string): Promise<KeptRecord | null> {
  const folder = dirname(stateDir);
  const names = await readdir(folder);
  if (!names.includes(RECORD) || !names.includes(BEFORE)) return null;
  try {
    return recordSchema.parse(JSON.parse(await readFile(join(folder, RECORD), "utf8")));
  } catch {
    // It is written before the copy gets its name, so a torn one has none.
    return null;
  }
}

/**
 * Puts the state from before in the place of the present one, which stays beside it. Returns the path of that;
 * null: there was none.
 */
export async function putBack(
  stateDir: string,
  epoch: number,
  wanted: () => boolean,
): Promise<string | null> {
  const folder = dirname(stateDir);
  const before = join(folder, BEFORE);
  const inside = await readdir(stateDir).catch(() => []);
  const lineage = await readLineage(stateDir);
  if (lineage) await writeLineage(before, lineage);
  refuseUnwanted(wanted);
  const aside = join(folder, `${FAILED}${epoch}`);
  if (inside.length === 0) await removeTree(stateDir);
  else {
    await removeTree(aside);
    await rename(stateDir, aside);
  }
  await rename(before, stateDir);
  await syncPath(folder);
  await rm(join(folder, RECORD), { force: true });
  return inside.length === 0 ? null : aside;
}

/** Lets go of the state from before. */
export async function forgetKept(stateDir: string): Promise<void> {
  const folder = dirname(stateDir);
  // First of all: without it nobody goes back.
  await rm(join(folder, RECORD), { force: true });
  await syncPath(folder);
  for (const name of [BEFORE, `${BEFORE}.partial`]) {
    await removeTree(join(folder, name));
  }
}

/** Somebody else may have the shard by now: nothing of it is to be touched any more. */
export function refuseUnwanted(wanted: () => boolean): void {
  if (!wanted()) throw new Error("the shard was given up meanwhile");
}
