import { withSecrets } from "../../../components/host/secrets.ts";
import type { HostPlan } from "../../../components/host/types.ts";
import { Accounts } from "./accounts.ts";
import { type Access, digest, Files, type Found } from "./files.ts";
import { Packages } from "./packages.ts";
import type { Wanted } from "./protocol.ts";
import { type HostRecord, newRecord, Records, refuseOthers } from "./record.ts";
import type { System } from "./system.ts";
import { unitTexts } from "./units.ts";

/** What one run of the agent works with. */
export interface Host {
  readonly system: System;
  readonly files: Files;
  readonly accounts: Accounts;
  readonly packages: Packages;
  readonly record: HostRecord;
  /** Null: nothing of a fleet was recorded when the run began. */
  readonly recorded: boolean;
  readonly records: Records;
  /** Writes the record when it is another than what is written. */
  note(): void;
}

/** Opens a host. @throws Error when another fleet, or another node of this one, is on it */
export function openHost(system: System, fleet: string, node: string): Host {
  const files = new Files(system.root);
  const records = new Records(system.root, files);
  const there = records.read();
  refuseOthers(there, fleet, node);
  const record = there ?? newRecord(fleet, node);
  let written = there ? JSON.stringify(there) : "";
  return {
    system,
    files,
    accounts: new Accounts(system),
    packages: new Packages(system, files),
    record,
    recorded: there !== null,
    records,
    note() {
      const text = JSON.stringify(record);
      if (text === written) return;
      records.write(record);
      written = text;
    },
  };
}

/** A file as it is to be on this host. */
export interface WantedFile {
  readonly content: string;
  readonly access: Access;
  readonly rewritten: boolean;
}

const UNIT_MODE = 0o644;
/** Of folders that a plan needs and does not name. */
const FOLDER_MODE = 0o755;

/** Root in service; whoever runs a test, in one. */
export const agentsOwn = (mode: number): Access => ({
  uid: process.getuid?.() ?? 0,
  gid: process.getgid?.() ?? 0,
  mode,
});
export const implicitFolder = (): Access => agentsOwn(FOLDER_MODE);

/** Every file of a plan, texts of units among them. @throws Error when an owner or a secret is missing */
export async function wantedFiles(
  accounts: Accounts,
  { plan, secrets }: Wanted,
): Promise<Map<string, WantedFile>> {
  const all = new Map<string, WantedFile>();
  for (const [path, file] of Object.entries(plan.files)) {
    all.set(path, {
      content: filled(path, () => withSecrets(file, secrets)),
      access: await accessOf(accounts, path, file),
      rewritten: file.rewritten === true,
    });
  }
  for (const [name, unit] of Object.entries(plan.units)) {
    for (const [path, content] of Object.entries(unitTexts(name, unit))) {
      all.set(path, { content, access: agentsOwn(UNIT_MODE), rewritten: false });
    }
  }
  return all;
}

function filled(path: string, fill: () => string): string {
  try {
    return fill();
  } catch (error) {
    throw new Error(`${path}: ${(error as Error).message}`);
  }
}

/** @throws Error when the owner or group is not there */
export async function accessOf(
  accounts: Accounts,
  path: string,
  { owner, group, mode }: { owner: string; group: string; mode: string },
): Promise<Access> {
  const [uid, gid] = [await accounts.uid(owner), await accounts.gid(group)];
  const absent = uid === null ? `user ${owner}` : gid === null ? `group ${group}` : null;
  if (absent) throw new Error(`${path} belongs to ${absent}, and this host has none`);
  return { uid: uid as number, gid: gid as number, mode: Number.parseInt(mode, 8) };
}

/** What is wrong with a file; `content` when its text has to be written, `access` when only who may read it. */
export function fileDifference(
  wanted: WantedFile,
  found: Found,
  recorded: string | undefined,
): { kind: "content" | "access"; text: string } | null {
  if (found.kind === "none") return { kind: "content", text: "is missing" };
  if (found.kind !== "file") return { kind: "content", text: `is a ${found.kind}, not a file` };
  const planned = digest(wanted.content);
  if (wanted.rewritten) {
    return recorded === planned ? null : { kind: "content", text: "is not what was planned last" };
  }
  if (digest(found.content) !== planned) return { kind: "content", text: "has another content" };
  const text = accessDifference(wanted.access, found);
  return text === null ? null : { kind: "access", text };
}

export function accessDifference(wanted: Access, found: Access): string | null {
  if (found.uid !== wanted.uid || found.gid !== wanted.gid) {
    return `belongs to ${found.uid}:${found.gid}, not to ${wanted.uid}:${wanted.gid}`;
  }
  if (found.mode === wanted.mode) return null;
  return `has the mode ${octal(found.mode)}, not ${octal(wanted.mode)}`;
}

const octal = (mode: number): string => mode.toString(8).padStart(4, "0");

/** Folders that a plan needs and does not name: those above its files and directories. */
export function foldersAbove(plan: HostPlan, files: Iterable<string>): string[] {
  const above = new Set<string>();
  for (const path of [...files, ...Object.keys(plan.directories)]) {
    const parts = path.split("/").slice(1, -1);
    for (let i = 1; i <= parts.length; i++) above.add(`/${parts.slice(0, i).join("/")}`);
  }
  return [...above].filter((path) => plan.directories[path] === undefined).sort();
}
