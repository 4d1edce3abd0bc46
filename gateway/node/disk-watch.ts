import { statfs } from "node:fs/promises";

/** Below this much free space a person should act, MiB: a gateway's databases and logs grow by as much in a day. */
export const LOW_DISK_MIB = 512;
/** With less than this free a database may have been refused a write, MiB. */
export const FULL_DISK_MIB = 8;
/** From this on a disk that was full has room again, MiB. */
export const ROOM_AGAIN_MIB = 64;
const LOOK_EVERY_MS = 10_000;
/** Told again when it stays low, ms. */
const TELL_EVERY_MS = 600_000;

export interface DiskWatchOptions {
  dir: string;
  log: (level: "info" | "error", message: string) => void;
  /** Called when a disk that was full has room again. */
  onRoomAgain: () => void;
  /** Free bytes for this user, by directory. @default statfs */
  free?: (dir: string) => Promise<number>;
  /** Clock, ms. @default performance.now */
  now?: () => number;
}

/**
 * Says that the disk gets full while the log can still be written, and when there is room again. A
 * full disk ends no node: what serves goes on, what must write waits and is tried again. OpenClaw alone
 * is not whole afterwards (docs/openclaw.md), hence `onRoomAgain`.
 */
export class DiskWatch {
  readonly #options: DiskWatchOptions;
  readonly #now: () => number;
  #toldAt: number | null = null;
  #wasFull = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: DiskWatchOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  start(): void {
    void this.look();
    this.#timer = setInterval(() => void this.look(), LOOK_EVERY_MS);
    this.#timer.unref();
  }

  async look(): Promise<void> {
    const { dir, free = freeBytes } = this.#options;
    let mib: number;
    try {
      mib = Math.floor((await free(dir)) / 2 ** 20);
    } catch {
      return; // Nobody can tell; the next look may.
    }
    this.#tell(mib);
    if (mib < FULL_DISK_MIB) this.#wasFull = true;
    if (!this.#wasFull || mib < ROOM_AGAIN_MIB) return;
    this.#wasFull = false;
    this.#options.onRoomAgain();
  }

  #tell(mib: number): void {
    const { dir, log } = this.#options;
    if (mib >= LOW_DISK_MIB) {
      if (this.#toldAt !== null) log("info", `the disk of ${dir} has room again: ${mib} MiB free`);
      this.#toldAt = null;
      return;
    }
    const now = this.#now();
    if (this.#toldAt !== null && now - this.#toldAt < TELL_EVERY_MS) return;
    this.#toldAt = now;
    log(
      "error",
      `the disk of ${dir} is nearly full: ${mib} MiB free. Turns fail and shards cannot change their node once it is; free some space, no service needs a restart`,
    );
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

async function freeBytes(dir: string): Promise<number> {
  const { bavail, bsize } = await statfs(dir);
  return bavail * bsize;
}
