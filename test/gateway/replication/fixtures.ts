import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Replicator, type ReplicatorOptions } from "../../../gateway/replication/replicator.ts";
import type { ReplicaTarget } from "../../../gateway/replication/target.ts";

/** Temporary directories of one test; removed by {@link Scratch.clean}. */
export class Scratch {
  readonly root = mkdtempSync(join(tmpdir(), "replica-"));
  readonly #close: (() => unknown)[] = [];

  path(...names: string[]): string {
    return join(this.root, ...names);
  }

  /** Run before the directories are removed, last one first. */
  after(close: () => unknown): void {
    this.#close.push(close);
  }

  async clean(): Promise<void> {
    for (const close of this.#close.reverse()) await close();
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** A database as OpenClaw keeps them, with a table of numbered rows. */
export class Writer {
  readonly database: DatabaseSync;

  constructor(path: string) {
    mkdirSync(dirname(path), { recursive: true });
    this.database = new DatabaseSync(path);
    this.database.exec(
      "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, n INTEGER, text TEXT)",
    );
  }

  /** One commit. */
  write(n: number, text = ""): void {
    this.database.prepare("INSERT INTO rows (n, text) VALUES (?, ?)").run(n, text);
  }

  close(): void {
    this.database.close();
  }
}

/** What a database holds, and that SQLite finds it whole. */
export function read(path: string): { rows: number[]; whole: boolean } {
  const database = new DatabaseSync(path);
  try {
    const check = database.prepare("PRAGMA integrity_check").get();
    const rows = database.prepare("SELECT n FROM rows ORDER BY id").all();
    return { rows: rows.map(({ n }) => Number(n)), whole: check?.integrity_check === "ok" };
  } finally {
    database.close();
  }
}

export const FLEET = "f1";
export const SHARD = "s1";

/** A replicator on `state`, with a clock that a test moves. */
export function replicatorOn(
  scratch: Scratch,
  target: ReplicaTarget,
  more: Partial<ReplicatorOptions> = {},
): { replicator: Replicator; time: { now: number }; messages: string[] } {
  const time = { now: 1_000_000 };
  const messages: string[] = [];
  const replicator = new Replicator({
    fleet: FLEET,
    shard: SHARD,
    writer: { epoch: 1, node: "n1", incarnation: "i1" },
    parents: [],
    release: "r1",
    stateDir: scratch.path("state"),
    staging: scratch.path("staging"),
    target,
    clock: { now: () => time.now },
    log: (_level, message) => messages.push(message),
    ...more,
  });
  scratch.after(() => replicator.close());
  return { replicator, time, messages };
}
