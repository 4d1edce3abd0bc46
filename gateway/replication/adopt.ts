import { readdirSync, readlinkSync, realpathSync } from "node:fs";
import {
  access,
  chmod,
  constants,
  copyFile,
  mkdir,
  readdir,
  realpath,
  rm,
  stat,
  symlink,
} from "node:fs/promises";
import { userInfo } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { removeTree } from "../state/remove-tree.ts";
import { databaseFaults } from "./check.ts";
import {
  type Fault,
  type Found,
  faultOf,
  faultWords,
  findParts,
  inWorkspace,
  LOGS,
} from "./files.ts";
import { syncPath } from "./lineage.ts";

/**
 * Copies the state of an OpenClaw into a new directory: databases with what is in their logs, and everything else
 * that a replica would hold. Nothing may run on the original, which is only read and may lie where nothing can be
 * written. Returns what is there and could not be copied, by path.
 * @param options.check A damaged database of OpenClaw's is an error, and so is what cannot be copied. @default true
 */
export async function copyState(
  from: string,
  into: string,
  { check = true }: { check?: boolean } = {},
): Promise<ReadonlyMap<string, Fault>> {
  await removeTree(into);
  await mkdir(into, { recursive: true, mode: 0o700 });
  const parts = await findParts(from);
  const { leftOut } = parts;
  for (const [path, mode] of parts.directories) {
    await mkdir(join(into, path), { recursive: true, mode: mode | 0o700 });
  }
  for (const [path, { mode }] of parts.files) {
    const copy = join(into, path);
    await mkdir(dirname(copy), { recursive: true, mode: 0o700 });
    try {
      await copyFile(join(from, path), copy);
    } catch (error) {
      setAside(leftOut, path, error);
      continue;
    }
    await chmod(copy, mode & 0o777);
    await syncPath(copy);
  }
  for (const path of parts.databases) {
    const copy = join(into, path);
    await mkdir(dirname(copy), { recursive: true, mode: 0o700 });
    try {
      await copyDatabase(join(from, path), copy);
    } catch (error) {
      // Without one of OpenClaw's the others are of no use.
      if (!inWorkspace(path)) throw error;
      setAside(leftOut, path, error);
      // Without its log it is of another time than the rest.
      await rm(copy, { force: true });
      continue;
    }
    try {
      settle(copy);
    } catch (error) {
      // An agent may keep what SQLite cannot read; it keeps the bytes.
      if (!inWorkspace(path)) throw error;
    }
    await syncPath(copy);
  }
  for (const [path, to] of parts.links) await symlink(to, join(into, path));
  if (check) {
    const [first] = leftOut;
    if (first) throw new Error(`${join(from, first[0])} cannot be copied: ${faultWords(first[1])}`);
    const own = parts.databases.filter((path) => !inWorkspace(path));
    const faults = await databaseFaults(own.map((path) => join(into, path)));
    if (faults.length > 0) {
      throw new Error(`databases of ${from} are damaged: ${faults.join("; ")}`);
    }
  }
  await syncPath(into);
  return leftOut;
}

function setAside(leftOut: Map<string, Fault>, path: string, error: unknown): void {
  const fault = faultOf(path, error as NodeJS.ErrnoException);
  // Nothing runs on it: it has not vanished, unless its copy could not be made.
  if (!fault) throw error;
  leftOut.set(path, fault);
}

/**
 * Copies the files of a database. The original is not opened: in its folder SQLite would make files of its own, and
 * without the right to it cannot read a database whose log was closed in order.
 */
async function copyDatabase(from: string, copy: string): Promise<void> {
  const before = await versionsOf(from);
  for (const suffix of ["", ...LOGS]) {
    if (!before.has(suffix)) continue;
    await copyFile(from + suffix, copy + suffix);
    await chmod(copy + suffix, 0o600);
  }
  const after = await versionsOf(from);
  if ([...before].join() !== [...after].join()) {
    throw new Error(`${from} changed while it was copied: something runs on it`);
  }
}

/** What is in the log of a copied database goes into it. */
function settle(copy: string): void {
  const database = new DatabaseSync(copy);
  try {
    // The first read rolls back what was left open; the log ends with the last one to close.
    database.prepare("PRAGMA schema_version").get();
    database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  } finally {
    database.close();
  }
}

/** By suffix; another one once the file was written to. */
async function versionsOf(database: string): Promise<Map<string, string>> {
  const versions = new Map<string, string>();
  for (const suffix of ["", ...LOGS]) {
    const found = await stat(database + suffix, { bigint: true }).catch(missing);
    if (found) versions.set(suffix, `${found.ino} ${found.size} ${found.mtimeNs}`);
  }
  return versions;
}

function missing(error: NodeJS.ErrnoException): null {
  if (error.code === "ENOENT") return null;
  throw error;
}

/** Why a directory cannot be adopted; null: it looks like the state of an OpenClaw, and all of it can be read. */
export async function adoptionFault(path: string): Promise<string | null> {
  let parts: Found;
  try {
    const names = await readdir(path);
    if (!names.includes("agents") && !names.includes("state")) {
      return `${path} is not the state of an OpenClaw: it has neither "agents" nor "state" (usually ~/.openclaw)`;
    }
    parts = await findParts(path);
    for (const [part, code] of parts.leftOut) {
      const which = join(path, part);
      if (code === "EILSEQ") return `${which} cannot be copied: ${faultWords(code)}`;
      throw Object.assign(new Error(code), { code, path: which });
    }
    for (const part of [...parts.files.keys(), ...parts.databases]) {
      await access(join(path, part), constants.R_OK);
    }
    const outside = await linkOutside(path, parts);
    if (outside) {
      return `${outside} is a link out of the directory, and a copy would lack what it leads to: put that in the link's place (cp -aL), then adopt it`;
    }
  } catch (error) {
    const { code, path: which = path } = error as NodeJS.ErrnoException;
    return (
      `${which} cannot be read on the shard's node: ${code}. On a host, nodes see neither home folders nor /tmp; ` +
      `copy it to /srv, say, and give the copy to user ${userInfo().username}`
    );
  }
  return null;
}

/**
 * A link to what is not below the directory, where OpenClaw itself looks: such a one as a whole workspace. Agents link
 * what they like (a virtual environment has links to the system's programs).
 */
async function linkOutside(path: string, { links }: Found): Promise<string | null> {
  const inside = `${await realpath(path)}/`;
  for (const [link, to] of links) {
    if (inWorkspace(link) && link.includes("/")) continue;
    // One that leads nowhere brings nothing along.
    const end = await realpath(join(path, link)).catch(missing);
    if (end && !`${end}/`.startsWith(inside)) return `${join(path, link)} (to ${to})`;
  }
  return null;
}

/** Processes that have a file below a directory open, as far as they are ours to see. */
export function usersOf(path: string): number[] {
  if (process.platform !== "linux") return [];
  // As the kernel names it: a link on the way is none there.
  const inside = `${realpathSync(path)}/`;
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
