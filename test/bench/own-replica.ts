import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { bootClock } from "../../gateway/clock.ts";
import { openSites } from "../../gateway/replication/open.ts";
import { ReplicaReader } from "../../gateway/replication/reader.ts";
import { restoreManifest } from "../../gateway/replication/restore.ts";
import type { ReplicationConfig } from "../../gateway/replication/settings.ts";
import { systemTimers } from "../../gateway/shard/timers.ts";
import { type Follower, PATIENCE_MS } from "./replication-runs.ts";
import { COMMITS, State, type Turn } from "./replication-state.ts";

/** After the first manifest: another look at what was there before, which counts as no change, ms. */
const SETTLE_MS = 1_500;
const LOOK_MS = 2;

/** A line of replica-child.ts. */
interface Told {
  outcome: string;
  bytes: number;
  changes: number;
}

/** The project's own replicator. */
export class OwnReplica implements Follower {
  readonly #told: { at: number; step: Told }[] = [];
  readonly #child: ChildProcess;
  readonly #state: State;
  readonly #settings: ReplicationConfig;
  #before = 0;
  #words = "";

  constructor(state: State, settings: ReplicationConfig) {
    this.#state = state;
    this.#settings = settings;
    const script = join(import.meta.dirname, "replica-child.ts");
    const args = [script, state.dir, join(state.base, "staging"), JSON.stringify(settings)];
    this.#child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "pipe"] });
    const { stdout, stderr } = this.#child;
    if (!stdout || !stderr) throw new Error("the replicator has no output");
    createInterface({ input: stdout }).on("line", (line) => {
      this.#told.push({ at: performance.now(), step: JSON.parse(line) as Told });
    });
    stderr.on("data", (text) => {
      this.#words += text;
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async settled(signal: AbortSignal): Promise<void> {
    await this.#until(0, signal);
    await sleep(SETTLE_MS);
    const newest = this.#told.findLast(({ step }) => step.outcome === "replicated");
    this.#before = newest?.step.changes ?? 0;
  }

  async arrivals(turns: readonly Turn[], signal: AbortSignal): Promise<number[]> {
    const all: number[] = [];
    for (const n of turns.keys()) {
      all.push(await this.#until(this.#before + (n + 1) * COMMITS, signal));
    }
    return all;
  }

  sent(): number {
    return this.#told.reduce((sum, { step }) => sum + step.bytes, 0);
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.kill("SIGKILL");
    await gone;
  }

  async restore(): Promise<string> {
    const facts = { fleet: "bench", node: "n2", clock: bootClock, timers: systemTimers };
    const sites = openSites(this.#settings, facts);
    try {
      const reader = new ReplicaReader(sites.source("s1", null), "bench", "s1");
      const { views } = await reader.directories();
      const view = views.at(-1);
      const place = { directory: view?.directory ?? "", seq: view?.manifests.at(-1) ?? 0 };
      const into = join(this.#state.base, "restored");
      await restoreManifest(reader, place, into);
      return join(into, State.path(0));
    } finally {
      await sites.close();
    }
  }

  /** Waits until so many commits are in a manifest; returns when it was told, ms. */
  async #until(changes: number, signal: AbortSignal): Promise<number> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      signal.throwIfAborted();
      const found = this.#told.find(
        ({ step }) => step.outcome === "replicated" && step.changes >= changes,
      );
      if (found) return found.at;
      if (performance.now() > deadline || this.#child.exitCode !== null) {
        throw new Error(`${changes} changes were not replicated in time: ${this.#words}`);
      }
      await sleep(LOOK_MS);
    }
  }
}
