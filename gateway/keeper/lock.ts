import { randomUUID } from "node:crypto";
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { isAlive, type ProcessId, thisProcess } from "./process.ts";

/** Somebody alive holds the lock. */
export class LockHeld extends Error {
  override readonly name = "LockHeld";
  readonly holder: ProcessId;
  constructor(path: string, holder: ProcessId) {
    super(`${path} is held by process ${holder.pid}`);
    this.holder = holder;
  }
}

/** Reads a process's record; null when there is none or it is not one. */
export function readProcessFile(path: string): ProcessId | null {
  try {
    const id = JSON.parse(readFileSync(path, "utf8")) as Partial<ProcessId>;
    const good =
      typeof id.pid === "number" &&
      typeof id.pidStart === "string" &&
      typeof id.bootId === "string";
    return good ? (id as ProcessId) : null;
  } catch {
    return null;
  }
}

export interface Lock {
  /** False once the file is another's, or gone. */
  held(): boolean;
  release(): void;
}

/**
 * Takes a lock file for the life of this process. A holder that is dead (by pid, start time and boot)
 * is taken over. Throws {@link LockHeld}.
 */
export function takeLock(path: string, self: ProcessId = thisProcess()): Lock {
  const unique = `${path}.${self.pid}.${Math.random().toString(36).slice(2)}`;
  const content = JSON.stringify({ ...self, key: randomUUID() });
  writeFileSync(unique, content, { mode: 0o600 });
  try {
    for (;;) {
      // A link appears with its content or not at all.
      if (tryLink(unique, path)) break;
      const holder = readProcessFile(path);
      if (holder && isAlive(holder)) throw new LockHeld(path, holder);
      setAside(path, `${unique}.dead`);
    }
    const held = () => contentOf(path) === content;
    return {
      held,
      release: () => {
        if (held()) rmSync(path, { force: true });
      },
    };
  } finally {
    rmSync(unique, { force: true });
  }
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/**
 * Moves a dead holder's file away. Another process may have done so and taken the lock since it was
 * read; then the living one's file was moved, and is put back before anybody else gets in.
 */
function setAside(path: string, aside: string): void {
  try {
    renameSync(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  try {
    const moved = readProcessFile(aside);
    if (moved && isAlive(moved)) tryLink(aside, path);
  } finally {
    rmSync(aside, { force: true });
  }
}

function contentOf(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}
