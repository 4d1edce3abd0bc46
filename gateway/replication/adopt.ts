import { readdirSync, readlinkSync } from "node:fs";
import { chmod, copyFile, mkdir, readdir, rm, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { backup, DatabaseSync } from "node:sqlite";
import { findParts } from "./files.ts";
import { syncPath } from "./lineage.ts";

/**
 * Copies the state of an OpenClaw that is not of this fleet into a new directory: databases by SQLite's own backup,
 * so that what is in their logs comes too, and everything else that a replica would hold. The original is only read.
 */
export async function copyState(from: string, into: string): Promise<void> {
  await rm(into, { recursive: true, force: true });
  await mkdir(into, { recursive: true, mode: 0o700 });
  const parts = await findParts(from);
  for (const [path, mode] of parts.directories) {
    await mkdir(join(into, path), { recursive: true, mode: mode | 0o700 });
  }
  for (const [path, { mode }] of parts.files) {
    const copy = join(into, path);
    await mkdir(dirname(copy), { recursive: true, mode: 0o700 });
    await copyFile(join(from, path), copy);
    await chmod(copy, mode & 0o777);
    await syncPath(copy);
  }
  for (const path of parts.databases) {
    const copy = join(into, path);
    await mkdir(dirname(copy), { recursive: true, mode: 0o700 });
    const source = new DatabaseSync(join(from, path), { readOnly: true });
    try {
      await backup(source, copy);
    } finally {
      source.close();
    }
    await chmod(copy, 0o600);
    await syncPath(copy);
  }
  for (const [path, to] of parts.links) await symlink(to, join(into, path));
  await syncPath(into);
}

/** Why a directory cannot be adopted; null: it looks like the state of an OpenClaw. */
export async function adoptionFault(path: string): Promise<string | null> {
  const names = await readdir(path).catch((error: NodeJS.ErrnoException) => error);
  if (names instanceof Error) return `${path} cannot be read on the shard's node: ${names.code}`;
  if (names.includes("agents") || names.includes("state")) return null;
  return `${path} is not the state of an OpenClaw: it has neither "agents" nor "state" (usually ~/.openclaw)`;
}

/** Processes that have a file below a directory open, as far as they are ours to see. */
export function usersOf(path: string): number[] {
  if (process.platform !== "linux") return [];
  const inside = `${path.replace(/\/+$/, "")}/`;
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry) && Number(entry) !== process.pid)
    .map(Number)
    .filter((pid) => {
      try {
        return readdirSync(`/proc/${pid}/fd`).some((fd) => opens(`/proc/${pid}/fd/${fd}`, inside));
      } catch {
        return false;
      }
    });
}

function opens(link: string, inside: string): boolean {
  try {
    return readlinkSync(link).startsWith(inside);
  } catch {
    // It was closed meanwhile.
    return false;
  }
}
