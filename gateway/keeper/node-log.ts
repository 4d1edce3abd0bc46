import { closeSync, fstatSync, ftruncateSync, openSync, readSync, write, writeSync } from "node:fs";
import { copyFile, rename, rm } from "node:fs/promises";

export interface NodeLogOptions {
  /** Size at which the file is rotated, bytes. @default 64 MiB */
  rotateBytes?: number;
  /** Rotated files kept: `.1` is the newest. @default 3 */
  keep?: number;
  /** Lines waiting for the disk, bytes; beyond it they are dropped and counted. @default 4 MiB */
  queueBytes?: number;
}

/** How many writes pass between two looks at the file's size. */
const LOOK_EVERY = 64;

/**
 * Appends lines to the node's log. Never waits and never throws: a slow disk fills a bounded queue,
 * a full one loses lines, and both are counted in a line of their own once writing works again.
 *
 * Other processes hold the same file open for appending (the supervisor's output goes there without
 * a detour), so rotating copies the file and empties it instead of moving it.
 */
export class NodeLog {
  readonly fd: number;
  /** Null: it goes to a descriptor that is somebody else's to keep small. */
  readonly #path: string | null;
  readonly #rotateBytes: number;
  readonly #keep: number;
  readonly #queueBytes: number;
  #queue: string[] = [];
  #queued = 0;
  #busy = false;
  #writes = 0;
  #dropped = 0;

  /**
   * Throws when the file cannot be opened at all.
   * @param target path of the file, or a descriptor that is open for writing
   */
  constructor(target: string | number, options: NodeLogOptions = {}) {
    this.#path = typeof target === "string" ? target : null;
    this.#rotateBytes = options.rotateBytes ?? 64 * 2 ** 20;
    this.#keep = options.keep ?? 3;
    this.#queueBytes = options.queueBytes ?? 4 * 2 ** 20;
    this.fd = typeof target === "string" ? openSync(target, "a+", 0o600) : target;
  }

  /** Lines lost since the last line that said so. */
  get dropped(): number {
    return this.#dropped;
  }

  write(fields: Record<string, unknown>): void {
    const line = toLine(fields);
    if (this.#queued + line.length > this.#queueBytes) {
      this.#dropped += 1;
      return;
    }
    this.#push(line);
    this.#pump();
  }

  /** Waits for what is being written, but not for a disk that hangs. */
  async end(maxMs = 500): Promise<void> {
    const until = performance.now() + maxMs;
    while ((this.#busy || this.#queue.length > 0) && performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    this.close();
  }

  /** Writes what waits, now; for a process that must end at once. */
  close(): void {
    try {
      if (this.#queue.length > 0) writeSync(this.fd, this.#takeQueue());
      if (this.#path !== null) closeSync(this.fd);
    } catch {
      // The disk is full; nothing is left to tell it to.
    }
  }

  #takeQueue(): string {
    const text = this.#queue.join("");
    this.#queue = [];
    this.#queued = 0;
    return text;
  }

  #pump(): void {
    if (this.#busy || this.#queue.length === 0) return;
    this.#busy = true;
    const lines = this.#queue.length;
    const bytes = Buffer.from(this.#takeQueue());
    write(this.fd, bytes, 0, bytes.length, null, (error, written) => {
      if (error || written < bytes.length) this.#lost(lines, written ?? 0, bytes);
      else if (this.#dropped > 0) this.#confess();
      this.#writes += 1;
      if (this.#writes % LOOK_EVERY !== 1) return this.#done();
      this.#rotateWhenLarge().finally(() => this.#done());
    });
  }

  #done(): void {
    this.#busy = false;
    this.#pump();
  }

  /** A short write leaves half a line: the next one must not continue it. */
  #lost(lines: number, written: number, bytes: Buffer): void {
    const whole = bytes.subarray(0, written).filter((byte) => byte === 10).length;
    this.#dropped += lines - whole;
    if (written > 0 && bytes[written - 1] !== 10) this.#queue.unshift("\n");
  }

  #confess(): void {
    const dropped = this.#dropped;
    this.#dropped = 0;
    // Past the limit of the queue if need be: this line must not be dropped itself.
    this.#push(toLine({ level: "warn", msg: "log lines were dropped", dropped }));
  }

  #push(line: string): void {
    this.#queue.push(line);
    this.#queued += line.length;
  }

  async #rotateWhenLarge(): Promise<void> {
    if (this.#path === null) return;
    try {
      if (fstatSync(this.fd).size < this.#rotateBytes) return;
      await rm(this.#name(this.#keep), { force: true });
      for (let n = this.#keep - 1; n >= 1; n--)
        await rename(this.#name(n), this.#name(n + 1)).catch(() => {});
      if (this.#keep > 0) await this.#copyOut(this.#name(1));
      ftruncateSync(this.fd, 0);
    } catch {
      // No room for a copy: emptying the file is what makes room.
      try {
        ftruncateSync(this.fd, 0);
      } catch {
        // Tried again at the next look.
      }
    }
  }

  /** Copies, then appends what others wrote meanwhile, so that next to nothing falls between. */
  async #copyOut(target: string): Promise<void> {
    await copyFile(this.#path as string, target);
    const out = openSync(target, "a");
    try {
      let at = fstatSync(out).size;
      const part = Buffer.alloc(64 * 1024);
      for (let n = readSync(this.fd, part, 0, part.length, at); n > 0; ) {
        writeSync(out, part, 0, n);
        at += n;
        n = readSync(this.fd, part, 0, part.length, at);
      }
    } finally {
      closeSync(out);
    }
  }

  #name(n: number): string {
    return `${this.#path}.${n}`;
  }
}

function toLine(fields: Record<string, unknown>): string {
  return `${JSON.stringify({ time: new Date().toISOString(), ...fields })}\n`;
}
