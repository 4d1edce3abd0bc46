import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { backup, DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { bootClock } from "../../gateway/clock.ts";
import { openSites } from "../../gateway/replication/open.ts";
import { ReplicaReader } from "../../gateway/replication/reader.ts";
import { restoreManifest } from "../../gateway/replication/restore.ts";
import type { ReplicationConfig } from "../../gateway/replication/settings.ts";
import { systemTimers } from "../../gateway/shard/timers.ts";
import { TestS3 } from "../support/s3/server.ts";
import { TestSshd } from "../support/sshd.ts";
import {
  type BenchContext,
  millis,
  type Part,
  type PartResult,
  type Row,
  row,
  some,
} from "./part.ts";

const MIB = 2 ** 20;
/** Commits of one turn of OpenClaw, and what each writes (docs/replication.md). */
const COMMITS = 4;
const COMMIT_BYTES = 1_500;
const PAUSE_MS = 250;
/** How long anything may take on a machine that does other things too. */
const PATIENCE_MS = 300_000;

/** A state directory with some databases, and a hand to write into them. */
class State {
  readonly base = mkdtempSync(join(tmpdir(), "bench-replica-"));
  readonly dir = join(this.base, "state");
  readonly databases: DatabaseSync[] = [];
  written = 0;

  constructor(count: number, mibEach: number) {
    for (let n = 0; n < count; n++) {
      const folder = join(this.dir, "agents", `a${n}`);
      mkdirSync(folder, { recursive: true });
      const database = new DatabaseSync(join(folder, "agent.sqlite"));
      database.exec(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; CREATE TABLE rows (id INTEGER PRIMARY KEY, n INTEGER, text TEXT); CREATE INDEX by_n ON rows (n)",
      );
      database.exec("BEGIN");
      const fill = database.prepare("INSERT INTO rows (n, text) VALUES (0, hex(randomblob(2000)))");
      for (let row = 0; row < mibEach * 250; row++) fill.run();
      database.exec("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)");
      this.databases.push(database);
    }
  }

  /** One turn in one database. Returns how long each commit took, ms. */
  turn(): number[] {
    const database = this.databases[this.written % this.databases.length] as DatabaseSync;
    const insert = database.prepare("INSERT INTO rows (n, text) VALUES (?, hex(randomblob(?)))");
    return Array.from({ length: COMMITS }, () => {
      this.written += 1;
      const begun = performance.now();
      insert.run(this.written, COMMIT_BYTES / 2);
      return performance.now() - begun;
    });
  }

  get bytes(): number {
    return this.databases.reduce((sum, _, n) => {
      return sum + statSync(join(this.dir, "agents", `a${n}`, "agent.sqlite")).size;
    }, 0);
  }

  remove(): void {
    for (const database of this.databases) database.close();
    rmSync(this.base, { recursive: true, force: true });
  }
}

interface Told {
  outcome: string;
  bytes: number;
  chunks: number;
  changes: number;
  cpuMs: number;
}

/** The replicator in its own process. */
class Child {
  readonly told: { at: number; step: Told }[] = [];
  readonly #child: ChildProcess;
  words = "";

  constructor(state: State, settings: ReplicationConfig) {
    const script = join(import.meta.dirname, "replica-child.ts");
    const args = [script, state.dir, join(state.base, "staging"), JSON.stringify(settings)];
    this.#child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "pipe"] });
    const { stdout, stderr } = this.#child;
    if (!stdout || !stderr) throw new Error("the replicator has no output");
    createInterface({ input: stdout }).on("line", (line) => {
      this.told.push({ at: performance.now(), step: JSON.parse(line) as Told });
    });
    stderr.on("data", (text) => {
      this.words += text;
    });
  }

  get last(): Told | undefined {
    return this.told.findLast(({ step }) => step.outcome === "replicated")?.step;
  }

  /** Waits until so many commits are in a manifest; returns when it was told, ms. */
  async until(changes: number, signal: AbortSignal): Promise<number> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      signal.throwIfAborted();
      const found = this.told.find(
        ({ step }) => step.outcome === "replicated" && step.changes >= changes,
      );
      if (found) return found.at;
      if (performance.now() > deadline || this.#child.exitCode !== null) {
        throw new Error(`${changes} changes were not replicated in time: ${this.words}`);
      }
      await sleep(2);
    }
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const gone = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.kill("SIGKILL");
    await gone;
  }
}

interface Measured {
  cpuMs: number;
  sentKiB: number;
  lagMs: number;
  worstLagMs: number;
  commitMs: number;
  bareCommitMs: number;
  copyMs: number;
  copyBytes: number;
}

async function measure(
  bench: BenchContext,
  size: { count: number; mib: number },
  settings: (base: string) => ReplicationConfig,
): Promise<Measured> {
  const state = new State(size.count, size.mib);
  const turns = bench.quick ? 3 : 40;
  let child: Child | null = null;
  try {
    const bare = await series(turns, () => state.turn());
    const begun = bootClock.now();
    for (const [n, database] of state.databases.entries()) {
      await backup(database, join(state.base, `copy-${n}`));
    }
    const copyMs = bootClock.now() - begun;
    child = new Child(state, settings(state.base));
    await child.until(0, bench.signal);
    // The first look counts nothing that was there before.
    await sleep(1_500);
    const base = child.last?.changes ?? 0;
    const before = { cpu: child.last?.cpuMs ?? 0, at: child.told.length };
    const lags: number[] = [];
    const commits: number[] = [];
    for (let turn = 1; turn <= turns; turn++) {
      commits.push(...state.turn());
      const done = performance.now();
      lags.push((await child.until(base + turn * COMMITS, bench.signal)) - done);
      await sleep(PAUSE_MS);
    }
    const steps = child.told.slice(before.at);
    const sent = steps.reduce((sum, { step }) => sum + step.bytes, 0);
    return {
      cpuMs: ((child.last?.cpuMs ?? 0) - before.cpu) / turns,
      sentKiB: sent / 1_024 / turns,
      lagMs: median(lags),
      worstLagMs: Math.max(...lags),
      commitMs: median(commits),
      bareCommitMs: median(bare),
      copyMs,
      copyBytes: state.bytes,
    };
  } finally {
    await child?.kill();
    state.remove();
  }
}

async function series(turns: number, turn: () => number[]): Promise<number[]> {
  const all: number[] = [];
  for (let n = 0; n < turns; n++) {
    all.push(...turn());
    await sleep(PAUSE_MS / 5);
  }
  return all;
}

/** Kills writer and replicator at a random moment. Returns the age of the oldest commit that is gone, ms; 0: none is. */
async function lossOnce(
  signal: AbortSignal,
  settings: (base: string) => ReplicationConfig,
): Promise<{ ageMs: number; commits: number; fault: string | null }> {
  const state = new State(1, 4);
  const child = new Child(state, settings(state.base));
  try {
    await child.until(0, signal);
    const times = new Map<number, number>();
    const end = performance.now() + 1_500 + Math.random() * 1_000;
    while (performance.now() < end) {
      for (const _ of state.turn()) times.set(state.written, performance.now());
      for (let n = state.written - COMMITS + 1; n <= state.written; n++)
        times.set(n, performance.now());
      await sleep(60);
    }
    const killedAt = performance.now();
    await child.kill();
    const there = await restored(state, settings(state.base));
    const gone = [...times.keys()].filter((n) => n > there.last);
    const oldest =
      gone.length === 0 ? 0 : killedAt - Math.min(...gone.map((n) => times.get(n) ?? 0));
    const whole = there.count === there.last;
    const fault = whole ? null : `${there.count} rows of ${there.last}: not a prefix`;
    return { ageMs: oldest, commits: gone.length, fault };
  } finally {
    await child.kill();
    state.remove();
  }
}

async function restored(
  state: State,
  settings: ReplicationConfig,
): Promise<{ last: number; count: number }> {
  const facts = { fleet: "bench", node: "n2", clock: bootClock, timers: systemTimers };
  const sites = openSites(settings, facts);
  const reader = new ReplicaReader(sites.source("s1", null), "bench", "s1");
  const { views } = await reader.directories();
  const view = views.at(-1);
  const place = { directory: view?.directory ?? "", seq: view?.manifests.at(-1) ?? 0 };
  const into = join(state.base, "restored");
  await restoreManifest(reader, place, into);
  await sites.close();
  const database = new DatabaseSync(join(into, "agents", "a0", "agent.sqlite"));
  const found = database
    .prepare("SELECT max(n) AS last, count(*) AS count FROM rows WHERE n > 0")
    .get();
  database.close();
  return { last: Number(found?.last ?? 0), count: Number(found?.count) };
}

const SIZES = [
  { count: 1, mib: 1 },
  { count: 10, mib: 1 },
  { count: 50, mib: 1 },
  { count: 1, mib: 100 },
];

async function run(bench: BenchContext): Promise<PartResult> {
  const rows: Row[] = [];
  const broken: string[] = [];
  const directory = (base: string): ReplicationConfig => ({
    target: { kind: "directory", path: join(base, "target") },
  });
  for (const size of bench.quick ? SIZES.slice(0, 2) : SIZES) {
    const name = `${some(size.count, "database")} of ${size.mib} MiB`;
    bench.say(`${name}, a directory`);
    rows.push(...rowsOf(name, await measure(bench, size, directory)));
  }
  const sshd = await TestSshd.start();
  const s3 = await TestS3.start();
  try {
    const sftp = () => ({
      target: {
        ...sshd.settings,
        folder: `${sshd.folder}/${Math.random()}`.replace("0.", ""),
        hosts: { n2: "127.0.0.1" },
      },
    });
    let bucket = 0;
    const s3Of = () => ({ target: { ...s3.settings, prefix: `${++bucket}/` } });
    const others: [string, () => ReplicationConfig][] = [
      ["SFTP", sftp],
      ["S3", s3Of],
    ];
    for (const [name, settings] of others) {
      bench.say(`10 databases of 1 MiB, ${name}`);
      const fixed = settings();
      const found = await measure(bench, { count: 10, mib: 1 }, () => fixed);
      rows.push(
        row(
          `${name}: lag behind a turn`,
          `${millis(found.lagMs)}, worst ${millis(found.worstLagMs)}`,
        ),
      );
      rows.push(row(`${name}: CPU a turn`, millis(found.cpuMs)));
    }
  } finally {
    await sshd.remove();
    await s3.remove();
  }
  const trials = bench.quick ? 2 : 20;
  const losses: { ageMs: number; commits: number }[] = [];
  for (let n = 1; n <= trials; n++) {
    bench.say(`kill ${n} of ${trials}`);
    const loss = await lossOnce(bench.signal, directory);
    losses.push(loss);
    if (loss.fault) broken.push(loss.fault);
  }
  const ages = losses.map(({ ageMs }) => ageMs);
  const worst = Math.max(...ages);
  rows.push(
    row(
      `host lost in the middle of turns (${trials} times): age of the oldest commit that is gone`,
      `${millis(median(ages))}, worst ${millis(worst)}`,
      "",
      {
        must: { text: "≤ 1 s", met: worst <= 1_000 },
        aim: { text: "≤ 0.3 s", met: worst <= 300 },
      },
    ),
  );
  return {
    rows,
    notes: [
      `A turn is ${COMMITS} commits of ${COMMIT_BYTES} bytes with an index, in one of the databases; its lag is from the last commit until the replicator was told that the manifest is in place.`,
      "CPU is that of the replicator's process; a plain copy is SQLite's own backup of all databases, without sending anything. Servers of SFTP and S3 are on the same machine.",
    ],
    laws: "Every replica restored to a prefix of what was written, and SQLite found it whole.",
    broken,
  };
}

function rowsOf(name: string, found: Measured): Row[] {
  const copy = `plain copy: ${millis(found.copyMs)}, ${(found.copyBytes / MIB).toFixed(0)} MiB`;
  return [
    row(`${name}: sent a turn`, `${found.sentKiB.toFixed(0)} KiB`, copy),
    row(`${name}: CPU a turn`, millis(found.cpuMs)),
    row(`${name}: lag behind a turn`, `${millis(found.lagMs)}, worst ${millis(found.worstLagMs)}`),
    row(
      `${name}: a commit while it is replicated`,
      millis(found.commitMs),
      `without: ${millis(found.bareCommitMs)}`,
    ),
  ];
}

function median(values: number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

export const replication: Part = {
  name: "replication",
  title: "What the replica of a shard costs, and what a loss takes",
  run,
};
