import { type ChildProcess, execFile, spawn } from "node:child_process";
import {
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  readdirSync,
  readSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { LTX_HEADER_BYTES, ltxPlace, reaches } from "./ltx.ts";
import { type Follower, PATIENCE_MS } from "./replication-runs.ts";
import type { LogPlace, State, Turn } from "./replication-state.ts";

/** It begins with a copy, its first compaction and a snapshot, a second apart; nothing for so long: it has done all, ms. */
const QUIET_MS = 2_000;
const LOOK_MS = 50;

/** A file of level 0, as it lies at the target. */
interface Arrived {
  place: LogPlace;
  bytes: number;
  /** When it was in place, ms of the epoch. */
  at: number;
}

/** Litestream beside the project's replicator: all databases of a state, to a directory. */
export class LitestreamReplica implements Follower {
  readonly #program: string;
  readonly #state: State;
  readonly #config: string;
  readonly #target: string;
  readonly #child: ChildProcess;
  /** By path: what was seen is kept, for Litestream removes files in time. */
  readonly #arrived: Map<string, Arrived>[];
  #words = "";

  /** @param intervalMs how often it looks at each database, and sends; its own default is a second */
  constructor(program: string, state: State, intervalMs: number) {
    this.#program = program;
    this.#state = state;
    this.#target = join(state.base, "litestream");
    this.#config = join(state.base, "litestream.yml");
    this.#arrived = state.databases.map(() => new Map());
    writeFileSync(this.#config, JSON.stringify(this.#settings(intervalMs)));
    this.#child = spawn(program, ["replicate", "-config", this.#config], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on("data", (text) => {
        this.#words += text;
      });
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async settled(signal: AbortSignal): Promise<void> {
    let bytes = -1;
    let since = performance.now();
    await this.#until("the first copy", signal, () => {
      const found = this.#bytes();
      if (found !== bytes) since = performance.now();
      bytes = found;
      const all = this.#state.databases.every((_, n) => this.#files(n).size > 0);
      return all && performance.now() - since > QUIET_MS;
    });
  }

  async arrivals(turns: readonly Turn[], signal: AbortSignal): Promise<number[]> {
    const all: number[] = [];
    for (const { database, place } of turns) {
      let at: number | undefined;
      await this.#until("a turn at the target", signal, () => {
        at = this.#arrivalOf(database, place);
        return at !== undefined;
      });
      // The time of a file is that of the wall.
      all.push((at ?? Number.NaN) - (Date.now() - performance.now()));
    }
    return all;
  }

  sent(): number {
    const files = this.#state.databases.flatMap((_, n) => [...this.#files(n).values()]);
    return files.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  async kill(): Promise<void> {
    if (this.#ended) return;
    const gone = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.kill("SIGKILL");
    await gone;
  }

  async restore(): Promise<string> {
    const into = join(this.#state.base, "restored.sqlite");
    const args = ["restore", "-config", this.#config, "-o", into, this.#state.file(0)];
    await promisify(execFile)(this.#program, args);
    return into;
  }

  /** YAML, of which JSON is a part. What is not here is Litestream's default. */
  #settings(intervalMs: number): object {
    const interval = `${intervalMs}ms`;
    const dbs = this.#state.databases.map((_, n) => ({
      path: this.#state.file(n),
      "monitor-interval": interval,
      replica: { type: "file", path: this.#folder(n), "sync-interval": interval },
    }));
    return { logging: { level: "warn" }, dbs };
  }

  #folder(n: number): string {
    return join(this.#target, `a${n}`);
  }

  get #ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Of all at the target, with what is being written. */
  #bytes(): number {
    const names = existsSync(this.#target)
      ? readdirSync(this.#target, { recursive: true, encoding: "utf8" })
      : [];
    const sizes = names.map(
      (name) => statSync(join(this.#target, name), { throwIfNoEntry: false })?.size ?? 0,
    );
    return sizes.reduce((sum, size) => sum + size, 0);
  }

  #arrivalOf(database: number, place: LogPlace): number | undefined {
    const holding = [...this.#files(database).values()].filter((file) =>
      reaches(file.place, place),
    );
    return holding.length === 0 ? undefined : Math.min(...holding.map(({ at }) => at));
  }

  /** Its files of level 0: one for each time that it found commits. Higher levels repeat these. */
  #files(database: number): ReadonlyMap<string, Arrived> {
    const seen = this.#arrived[database] as Map<string, Arrived>;
    const folder = join(this.#folder(database), "ltx", "0");
    const names = existsSync(folder) ? readdirSync(folder) : [];
    for (const name of names.filter((one) => one.endsWith(".ltx") && !seen.has(one))) {
      const found = arrivedAt(join(folder, name));
      if (found) seen.set(name, found);
    }
    return seen;
  }

  async #until(what: string, signal: AbortSignal, look: () => boolean): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    while (!look()) {
      signal.throwIfAborted();
      if (performance.now() > deadline || this.#ended) {
        throw new Error(`Litestream did not bring ${what} in time: ${this.#words}`);
      }
      await sleep(LOOK_MS);
    }
  }
}

/** Null: it was removed meanwhile. */
function arrivedAt(path: string): Arrived | null {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch {
    return null;
  }
  try {
    const header = Buffer.alloc(LTX_HEADER_BYTES);
    readSync(file, header, 0, LTX_HEADER_BYTES, 0);
    // A file gets its name when it is whole, and then the time of its commits: the inode changes last then.
    const { ctimeMs, size } = fstatSync(file);
    return { place: ltxPlace(header), bytes: size, at: ctimeMs };
  } finally {
    closeSync(file);
  }
}
