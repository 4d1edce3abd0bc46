import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Access, digest, type Files, type Found } from "./files.ts";
import { AGENT_PLACES } from "./protocol.ts";

/**
 * What the agent made on a host, and what was there before: enough to take exactly its own away again. An
 * entry is written before what it tells of is done, so that a host whose power went is known too. Digests
 * of contents, never contents.
 */
export interface HostRecord {
  readonly version: 1;
  readonly fleet: string;
  readonly node: string;
  packages: {
    /** Installed by the agent: what plans asked for and what that needed. */
    ours: string[];
    /**
     * Those of them that are removed and never purged: what a purge takes along was there before them. Missing: none,
     * or not known, in the record of an agent that did not ask.
     */
    unpurged?: string[];
    /** While an installation is under way: what apt said that it would bring. Missing: none is. */
    coming?: string[];
    /** While an older agent installed: what was there when it began. What is there beyond that may be anybody's. */
    before?: string[] | null;
  };
  users: Record<string, RecordedUser>;
  directories: Record<string, RecordedDirectory>;
  files: Record<string, RecordedFile>;
  units: Record<string, RecordedUnit>;
  /** What units have still to be told of files that were already written. */
  pending: Record<string, "restart" | "reload">;
  /** Files that are written again whatever they hold, since a `leave` undid what they said; missing: none. */
  anew?: readonly string[];
  /** The agent drained the node and has not let it go on yet. */
  drained: boolean;
  /** The last change came to its end. */
  complete: boolean;
}

export interface RecordedUser {
  /** False: it was there before. */
  readonly ours: boolean;
  /** Groups it was put into by the agent. */
  readonly groups: readonly string[];
}

export interface RecordedDirectory {
  readonly ours: boolean;
  readonly data: boolean;
  readonly owner: string;
  /** What it was before it was given an owner and mode of a plan. */
  readonly before: Access | null;
}

export interface RecordedFile {
  /** Digest of what was planned, secrets in their places. */
  readonly planned: string;
  readonly original: Original;
}

/** What stood at a file's place; the content of a file is kept under its path's digest. */
export type Original =
  | { readonly kind: "none" }
  | { readonly kind: "link"; readonly target: string }
  | ({ readonly kind: "file" } & Access);

export interface RecordedUnit {
  readonly order: number;
  readonly drains: boolean;
  /** Takes it out of what it shares with other hosts; see `HostUnit.leave`. Missing: nothing does. */
  readonly leave?: readonly string[];
  /** How it was before any plan named it; null: it was not there. */
  readonly before: { readonly enabled: boolean; readonly active: boolean } | null;
}

/** Only root reads what the agent notes. */
const PRIVATE = { uid: 0, gid: 0 } as const;

/** The record of one host and the originals beside it. */
export class Records {
  readonly #files: Files;
  readonly #owner: { uid: number; gid: number };

  constructor(root: string, files: Files) {
    this.#files = files;
    // As root in service; a test's root belongs to whoever runs it.
    this.#owner =
      root === "/" ? PRIVATE : { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
    if (root !== "/") mkdirSync(join(root, "var/lib"), { recursive: true });
  }

  /** Null: no fleet is on this host. @throws Error when it cannot be read */
  read(): HostRecord | null {
    const found = this.#files.look(AGENT_PLACES.record);
    if (found.kind === "none") return null;
    try {
      if (found.kind !== "file") throw new Error("it is no file");
      const record = JSON.parse(found.content.toString("utf8")) as HostRecord;
      if (record.version !== 1) throw new Error(`its version is ${record.version}`);
      return record;
    } catch (error) {
      throw new Error(
        `${AGENT_PLACES.record} cannot be read: ${(error as Error).message}. It says what of this host is the fleet's; ` +
          "restore it, or set the host up anew",
      );
    }
  }

  write(record: HostRecord): void {
    this.#folder(AGENT_PLACES.folder);
    const text = `${JSON.stringify(record, null, 1)}\n`;
    this.#files.write(AGENT_PLACES.record, text, { ...this.#owner, mode: 0o600 });
  }

  /** Notes what stands at a file's place, once. */
  keepOriginal(path: string, found: Found): Original {
    if (found.kind === "none") return { kind: "none" };
    if (found.kind === "link") return { kind: "link", target: found.target };
    if (found.kind !== "file") throw new Error(`${path} is a folder or a device. Move it away`);
    this.#folder(AGENT_PLACES.folder);
    this.#folder(AGENT_PLACES.originals);
    this.#files.write(originalOf(path), found.content, { ...this.#owner, mode: 0o600 });
    return { kind: "file", uid: found.uid, gid: found.gid, mode: found.mode };
  }

  /** Puts back what stood there. */
  putOriginal(path: string, original: Original): void {
    if (original.kind !== "file") {
      this.#files.restore(path, original);
      return;
    }
    const kept = this.#files.look(originalOf(path));
    if (kept.kind === "file") this.#files.write(path, kept.content, original);
    this.#files.remove(originalOf(path));
  }

  /** The end of the fleet's part in the host. */
  forget(): void {
    this.#files.removeFolder(AGENT_PLACES.folder);
  }

  #folder(path: string): void {
    if (this.#files.look(path).kind !== "directory") {
      this.#files.makeFolder(path, { ...this.#owner, mode: 0o700 });
    }
  }
}

export function newRecord(fleet: string, node: string): HostRecord {
  return {
    version: 1,
    fleet,
    node,
    packages: { ours: [] },
    users: {},
    directories: {},
    files: {},
    units: {},
    pending: {},
    drained: false,
    complete: false,
  };
}

/** Whether the last change was cut off, or could not go back. */
export const isUnfinished = ({ complete, drained }: HostRecord): boolean => !complete || drained;

/** @throws Error when the host carries another fleet, or this one under another name */
export function refuseOthers(record: HostRecord | null, fleet: string, node: string): void {
  if (!record || (record.fleet === fleet && record.node === node)) return;
  const whose = `node ${record.node} of ${record.fleet === fleet ? "this fleet" : `fleet ${record.fleet}`}`;
  const only = Object.keys(record.units).length === 0 && Object.keys(record.files).length === 0;
  const data = Object.keys(record.directories).join(", ");
  throw new Error(
    only
      ? `this host keeps the data of ${whose} (${data}): nothing was changed. Move it away, then remove ${AGENT_PLACES.folder}`
      : `this host carries ${whose} already: nothing was changed. Name another host, or take that one out of its stack first`,
  );
}

const originalOf = (path: string): string => `${AGENT_PLACES.originals}/${digest(path)}`;
