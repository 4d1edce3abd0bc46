import { lstat, readdir, readlink } from "node:fs/promises";
import { join } from "node:path";

/** Ours, beside OpenClaw's files: where a state directory comes from. Never replicated. */
export const LINEAGE_FILE = ".openclaw-fleet-lineage.json";

/** Folders of agents and people, without databases of OpenClaw's own; they may hold very many files. */
const WORKSPACES = /^(workspace|media|cold)[^/]*\//;

/** True for what agents and people keep: which names mean something there is up to them. */
export function inWorkspace(path: string): boolean {
  return WORKSPACES.test(path);
}

/** What belongs to a database beside its own file. Its `-shm` is made anew from these. */
export const LOGS: readonly string[] = ["-wal", "-journal"];

/** What OpenClaw makes anew, or what means something only to the process that wrote it. */
const SKIPPED_FOLDERS = new Set(["tmp", "plugin-skills"]);
const SKIPPED = [
  /\.lock$/,
  /\.lock\.sqlite$/,
  /\.generation-/,
  /\.reindex-lock/,
  /\.memory-reindex-/,
  /\.sqlite-(wal|shm|journal)$/,
  /(^|\/)openclaw-quarantine\.sqlite$/,
];
/** A lock is a lock only in a repository's own folder: elsewhere it is a Cargo.lock, a yarn.lock, a poetry.lock. */
const SKIPPED_IN_WORKSPACES = [
  /\/\.git\/.*\.lock$/,
  // Beside an index of memory, which settings may put there; to open one of these breaks turns.
  /\.sqlite\.((generation-(lock|writer)|reindex-lock)\.sqlite|memory-reindex-)/,
  /\.sqlite-(wal|shm|journal)$/,
];

export type Part = "database" | "file" | "skipped";

/** What a file of a state directory is for a replica. `path` is relative, with `/`. */
export function partOf(path: string): Part {
  const [top = ""] = path.split("/", 1);
  if (path === LINEAGE_FILE || SKIPPED_FOLDERS.has(top)) return "skipped";
  const skipped = inWorkspace(path) ? SKIPPED_IN_WORKSPACES : SKIPPED;
  if (skipped.some((pattern) => pattern.test(path))) return "skipped";
  return path.endsWith(".sqlite") ? "database" : "file";
}

/** Why something that is there cannot be kept: nobody lets us read it, or its name is not UTF-8. */
export type Fault = "EACCES" | "EPERM" | "EILSEQ";

/** What reading a path failed of; null: it has vanished. Throws what is no fault of the path's. */
export function faultOf(path: string, error: NodeJS.ErrnoException): Fault | null {
  if (error.code === "EACCES" || error.code === "EPERM") return error.code;
  missing(error);
  // What is no UTF-8 is listed with this sign, and nothing is found under such a name.
  const name = path.slice(path.lastIndexOf("/") + 1);
  return name.includes("\uFFFD") ? "EILSEQ" : null;
}

export function faultWords(fault: Fault): string {
  return fault === "EILSEQ" ? "its name is not UTF-8; rename it" : `it cannot be read (${fault})`;
}

export interface Found {
  databases: string[];
  /** By path; `version` changes with the content. */
  files: Map<string, { mode: number; size: number; version: string }>;
  links: Map<string, string>;
  /** All of them, also empty ones: a repository in a workspace needs its empty ones. */
  directories: Map<string, number>;
  /** What is there and cannot be kept; a folder stands for all below it. */
  leftOut: Map<string, Fault>;
}

/** The databases outside of workspaces: cheap enough to be asked for several times a second. */
export async function findDatabases(root: string): Promise<string[]> {
  const found: string[] = [];
  const walk = async (folder: string): Promise<void> => {
    const entries = await readdir(join(root, folder), { withFileTypes: true }).catch(missing);
    for (const entry of entries ?? []) {
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      const part = partOf(path);
      if (part === "skipped") continue;
      if (entry.isDirectory() && !inWorkspace(`${path}/`)) await walk(path);
      if (entry.isFile() && part === "database") found.push(path);
    }
  };
  await walk("");
  return found.sort();
}

/**
 * All that a replica of `root` has to hold. What vanishes while it looks was not there. Throws when it may not look
 * into a folder that may hold databases of OpenClaw's own: without one of them the others are of no use.
 */
export async function findParts(root: string): Promise<Found> {
  const found: Found = {
    databases: [],
    files: new Map(),
    links: new Map(),
    directories: new Map(),
    leftOut: new Map(),
  };
  const see = async <T>(path: string, seen: Promise<T>): Promise<T | null> => {
    try {
      return await seen;
    } catch (error) {
      const fault = faultOf(path, error as NodeJS.ErrnoException);
      if (fault) found.leftOut.set(path, fault);
      return null;
    }
  };
  const walk = async (folder: string): Promise<void> => {
    const listed = readdir(join(root, folder), { withFileTypes: true });
    const entries = await (inWorkspace(`${folder}/`) ? see(folder, listed) : listed.catch(missing));
    for (const entry of entries ?? []) {
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      const part = partOf(path);
      if (part === "skipped") continue;
      if (entry.isDirectory()) {
        const stat = await see(path, lstat(join(root, path)));
        if (!stat) continue;
        found.directories.set(path, stat.mode & 0o7777);
        await walk(path);
      } else if (entry.isSymbolicLink()) {
        const to = await see(path, readlink(join(root, path)));
        if (to !== null) found.links.set(path, to);
      } else if (entry.isFile()) {
        if (part === "database" && !inWorkspace(path)) {
          found.databases.push(path);
          continue;
        }
        const stat = await see(path, lstat(join(root, path), { bigint: true }));
        if (!stat) continue;
        if (part === "database") {
          found.databases.push(path);
          continue;
        }
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

export function missing(error: NodeJS.ErrnoException): null {
  if (error.code === "ENOENT" || error.code === "ENOTDIR") return null;
  throw error;
}
