import { lstat, readdir, readlink } from "node:fs/promises";
import { join } from "node:path";

/** Ours, beside OpenClaw's files: where a state directory comes from. Never replicated. */
export const LINEAGE_FILE = ".openclaw-fleet-lineage.json";

/** What OpenClaw makes anew, or what means something only to the process that wrote it. */
const SKIPPED_FOLDERS = new Set(["tmp", "plugin-skills"]);
const SKIPPED_NAMES = [
  /\.lock$/,
  /\.lock\.sqlite$/,
  /\.generation-/,
  /\.reindex-lock/,
  /\.memory-reindex-/,
  /\.sqlite-(wal|shm|journal)$/,
  /^openclaw-quarantine\.sqlite$/,
];

export type Part = "database" | "file" | "skipped";

/** What a file of a state directory is for a replica. `path` is relative, with `/`. */
export function partOf(path: string): Part {
  const names = path.split("/");
  const last = names.at(-1) ?? "";
  if (path === LINEAGE_FILE || SKIPPED_FOLDERS.has(names[0] ?? "")) return "skipped";
  // A repository in a workspace has `*.lock` files of its own, as short-lived as OpenClaw's.
  if (SKIPPED_NAMES.some((pattern) => pattern.test(last))) return "skipped";
  return last.endsWith(".sqlite") ? "database" : "file";
}

export interface Found {
  databases: string[];
  /** By path; `version` changes with the content. */
  files: Map<string, { mode: number; size: number; version: string }>;
  links: Map<string, string>;
  /** All of them, also empty ones: a repository in a workspace needs its empty ones. */
  directories: Map<string, number>;
}

/** Folders without databases of OpenClaw's own, which may hold very many files. */
const BULKY = /^(workspace|media|cold)/;

/** The databases outside of workspaces: cheap enough to be asked for several times a second. */
export async function findDatabases(root: string): Promise<string[]> {
  const found: string[] = [];
  const walk = async (folder: string): Promise<void> => {
    const entries = await readdir(join(root, folder), { withFileTypes: true }).catch(missing);
    for (const entry of entries ?? []) {
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      const part = partOf(path);
      if (part === "skipped") continue;
      if (entry.isDirectory() && !(folder === "" && BULKY.test(path))) await walk(path);
      if (entry.isFile() && part === "database") found.push(path);
    }
  };
  await walk("");
  return found.sort();
}

/** All that a replica of `root` has to hold. What vanishes while it looks was not there. */
export async function findParts(root: string): Promise<Found> {
  const found: Found = {
    databases: [],
    files: new Map(),
    links: new Map(),
    directories: new Map(),
  };
  const walk = async (folder: string): Promise<void> => {
    const entries = await readdir(join(root, folder), { withFileTypes: true }).catch(missing);
    for (const entry of entries ?? []) {
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      const part = partOf(path);
      if (part === "skipped") continue;
      if (entry.isDirectory()) {
        const stat = await lstat(join(root, path)).catch(missing);
        if (stat) found.directories.set(path, stat.mode & 0o7777);
        await walk(path);
      } else if (entry.isSymbolicLink()) {
        const to = await readlink(join(root, path)).catch(missing);
        if (to !== null) found.links.set(path, to);
      } else if (entry.isFile()) {
        if (part === "database") {
          found.databases.push(path);
          continue;
        }
        const stat = await lstat(join(root, path), { bigint: true }).catch(missing);
        if (!stat) continue;
        const version = `${stat.ino} ${stat.size} ${stat.mtimeNs} ${stat.ctimeNs}`;
        const mode = Number(stat.mode) & 0o7777;
        found.files.set(path, { mode, size: Number(stat.size), version });
      }
    }
  };
  await walk("");
  found.databases.sort();
  return found;
}

function missing(error: NodeJS.ErrnoException): null {
  if (error.code === "ENOENT" || error.code === "ENOTDIR") return null;
  throw error;
}
