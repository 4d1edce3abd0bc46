import type { HostPlan } from "../../../components/host/types.ts";
import { digest, type Found } from "./files.ts";
import {
  accessDifference,
  accessOf,
  fileDifference,
  foldersAbove,
  type Host,
  implicitFolder,
  type WantedFile,
} from "./host.ts";
import type { HostRecord } from "./record.ts";
import { said, stillWanted } from "./system.ts";

/** Makes the folders that a plan needs, parents first. */
export async function applyFolders(
  plan: HostPlan,
  paths: readonly string[],
  { files, accounts, record, note }: Host,
): Promise<string[]> {
  const changed: string[] = [];
  for (const path of foldersAbove(plan, paths)) {
    if (files.look(path).kind !== "none") continue;
    record.directories[path] ??= { ours: true, data: false, owner: "root", before: null };
    note();
    files.makeFolder(path, implicitFolder());
  }
  for (const [path, directory] of inPathOrder(plan.directories)) {
    const found = files.look(path);
    const access = await accessOf(accounts, path, directory);
    const there = found.kind === "directory" ? found : null;
    if (found.kind !== "none" && !there) throw new Error(`${path} is no folder. Move it away`);
    const different = there ? accessDifference(access, there) : "is missing";
    const known = record.directories[path];
    const { data = false, owner } = directory;
    const before = there && different ? { uid: there.uid, gid: there.gid, mode: there.mode } : null;
    record.directories[path] = known
      ? { ...known, data, owner }
      : { ours: !there, data, owner, before };
    note();
    if (!different) continue;
    files.makeFolder(path, access);
    changed.push(`directory ${path} ${there ? "changed" : "made"}`);
  }
  return changed;
}

/** What has to be done to files. */
export interface FilesToChange {
  readonly write: ReadonlyMap<
    string,
    { wanted: WantedFile; found: Found; kind: "content" | "access" }
  >;
  /** Files of the last plan that this one does not name. */
  readonly remove: readonly string[];
  /** Paths whose content changes or goes. */
  readonly changed: ReadonlySet<string>;
  readonly nothing: boolean;
}

export function changesOfFiles(
  wanted: ReadonlyMap<string, WantedFile>,
  { files, record }: Host,
): FilesToChange {
  const write = new Map<string, { wanted: WantedFile; found: Found; kind: "content" | "access" }>();
  for (const path of new Set([...wanted.keys(), ...Object.keys(record.files)])) files.sweep(path);
  for (const [path, file] of wanted) {
    const found = files.look(path);
    const difference = fileDifference(file, found, record.files[path]?.planned);
    // No unit is told of what is written for its time alone.
    const kind = difference?.kind ?? (record.anew?.includes(path) ? "access" : null);
    if (kind) write.set(path, { wanted: file, found, kind });
  }
  const remove = Object.keys(record.files).filter((path) => !wanted.has(path));
  const content = [...write].filter(([, { kind }]) => kind === "content").map(([path]) => path);
  return {
    write,
    remove,
    changed: new Set([...content, ...remove]),
    nothing: write.size === 0 && remove.length === 0,
  };
}

/** Asks about what is going to be written. @throws Error when a file's `verify` fails, in its words */
export async function verifyFiles(
  plan: HostPlan,
  { write }: FilesToChange,
  { system }: Host,
): Promise<void> {
  for (const [path, { wanted, kind }] of write) {
    const argv = plan.files[path]?.verify;
    if (!argv || kind === "access") continue;
    stillWanted(system);
    system.say(`checking the new ${path}`);
    const ran = await system.run(argv, { stdin: wanted.content });
    if (ran.code !== 0) throw new Error(`${said(ran, 12)}\nNo file was changed.`);
  }
}

/** Writes files so that they can be put back. */
export class FileChanges {
  readonly #host: Host;
  readonly #changes: FilesToChange;
  readonly #before: HostRecord["files"];
  readonly #written: string[] = [];
  /** What was done, for people. */
  readonly said: string[] = [];

  constructor(host: Host, changes: FilesToChange) {
    this.#host = host;
    this.#changes = changes;
    this.#before = { ...host.record.files };
  }

  /** @param alsoNote what else the record has to say before the first file changes */
  async write(alsoNote: () => void): Promise<void> {
    const { files, records, record, note } = this.#host;
    for (const [path, { found }] of this.#changes.write) {
      record.files[path] ??= { planned: "", original: records.keepOriginal(path, found) };
    }
    alsoNote();
    note();
    for (const [path, { wanted, found }] of this.#changes.write) {
      this.#written.push(path);
      files.write(path, wanted.content, wanted.access);
      const entry = record.files[path] as HostRecord["files"][string];
      record.files[path] = { ...entry, planned: digest(wanted.content) };
      this.said.push(`file ${path} ${found.kind === "none" ? "made" : "changed"}`);
    }
    delete record.anew;
    // What was there and right is the plan's from now on as well.
    note();
  }

  /** Puts every file back as it was found. */
  undo(): void {
    const { files, record, note } = this.#host;
    for (const path of this.#written.reverse()) {
      files.restore(path, (this.#changes.write.get(path) as { found: Found }).found);
    }
    record.files = { ...this.#before };
    note();
  }

  /** Takes away what the plan does not name any more; what stood there before comes back. */
  removeGone(): string[] {
    const { files: _, records, record, note } = this.#host;
    for (const path of this.#changes.remove) {
      const entry = record.files[path];
      if (entry) records.putOriginal(path, entry.original);
      delete record.files[path];
      note();
    }
    return this.#changes.remove.map((path) => `file ${path} removed`);
  }
}

export function inPathOrder<T>(entries: Readonly<Record<string, T>>): [string, T][] {
  return Object.entries(entries).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}
