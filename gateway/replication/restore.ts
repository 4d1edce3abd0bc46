import { chmod, mkdir, open, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { removeTree } from "../state/remove-tree.ts";
import { databaseFaults } from "./check.ts";
import { inWorkspace } from "./files.ts";
import { syncPath } from "./lineage.ts";
import type { Content, Manifest, Place } from "./manifest.ts";
import { DamagedReplica, type ReplicaReader } from "./reader.ts";

/** What a list of paths ends with that are in each other's way, or longer than a file system takes. */
const NO_TREE = new Set(["EEXIST", "ENOTDIR", "EISDIR", "ELOOP", "ENAMETOOLONG"]);

export interface Restored {
  manifest: Manifest;
  bytes: number;
}

/**
 * Writes the state of a manifest into a new directory, every chunk compared with its name and every database of
 * OpenClaw's found whole by SQLite; an agent may keep broken ones. Throws {@link DamagedReplica} when anything is missing
 * or wrong; the directory is then removed. On success all of it is on the disk.
 */
export async function restoreManifest(
  reader: ReplicaReader,
  place: Place,
  into: string,
): Promise<Restored> {
  const manifest = await reader.manifest(place);
  if (!manifest) throw new DamagedReplica(`manifest ${place.seq} of ${place.directory} is damaged`);
  await removeTree(into);
  await mkdir(into, { recursive: true, mode: 0o700 });
  try {
    const bytes = await writeAll(reader, manifest, into);
    const own = manifest.databases.filter(({ path }) => !inWorkspace(path));
    await checkDatabases(own.map(({ path }) => join(into, path)));
    return { manifest, bytes };
  } catch (error) {
    await removeTree(into);
    const { code = "", message } = error as NodeJS.ErrnoException;
    if (!NO_TREE.has(code)) throw error;
    throw new DamagedReplica(`its files make no tree: ${message}`, { cause: error });
  }
}

async function writeAll(reader: ReplicaReader, manifest: Manifest, into: string): Promise<number> {
  let bytes = 0;
  const folders = new Set<string>([into]);
  const parentOf = async (path: string) => {
    const folder = dirname(join(into, path));
    if (folders.has(folder)) return;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    for (let at = folder; at !== into; at = dirname(at)) folders.add(at);
  };
  for (const { path, ...content } of manifest.databases) {
    await parentOf(path);
    bytes += await writeContent(reader, content, join(into, path), 0o600);
  }
  const files = await reader.files(manifest);
  for (const entry of files) {
    await parentOf(entry.path);
    const path = join(into, entry.path);
    if (entry.kind === "directory") {
      await mkdir(path, { recursive: true, mode: 0o700 });
      folders.add(path);
    } else if (entry.kind === "file") {
      const { kind: _, mode, path: __, ...content } = entry;
      bytes += await writeContent(reader, content, path, mode);
    }
  }
  // Links after files, so that nothing is ever written through one; rights of directories at the end.
  for (const entry of files)
    if (entry.kind === "link") await symlink(entry.to, join(into, entry.path));
  for (const folder of folders) await syncPath(folder);
  for (const entry of files.reverse()) {
    if (entry.kind === "directory") await chmod(join(into, entry.path), entry.mode | 0o700);
  }
  return bytes;
}

async function writeContent(
  reader: ReplicaReader,
  content: Content,
  path: string,
  mode: number,
): Promise<number> {
  const file = await open(path, "wx", 0o600);
  try {
    let written = 0;
    for await (const leaf of reader.read(content)) {
      await file.writeFile(leaf);
      written += leaf.length;
    }
    if (written !== content.size) {
      throw new DamagedReplica(`${path} has ${written} bytes instead of ${content.size}`);
    }
    await file.chmod(mode & 0o777);
    await file.sync();
    return written;
  } finally {
    await file.close();
  }
}

async function checkDatabases(paths: string[]): Promise<void> {
  const faults = await databaseFaults(paths);
  if (faults.length > 0) throw new DamagedReplica(faults.join("; "));
}
