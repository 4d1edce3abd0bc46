import { EventEmitter } from "node:events";
import { Worker } from "node:worker_threads";
import type { NodeId, ShardId } from "../contract.ts";
import { siblingEntry } from "../entry.ts";
import type { StateMarker } from "../state/store.ts";
import type { Condition, GoBack, Known, Opened, ReplicaPort } from "./port.ts";
import type {
  DrillResult,
  FromThread,
  PointInTime,
  ReplicationCalls,
  ReplicationThreadData,
  ToThread,
} from "./thread-protocol.ts";

export interface ReplicationAgentEvents {
  /** What a shard's replica says of itself changed. */
  condition: [ShardId];
  /** A later owner has the shard: its epoch must end here. */
  fenced: [ShardId, number, string];
  sent: [{ shard: ShardId; bytes: number; chunks: number }];
  log: ["info" | "warn" | "error", string, Record<string, unknown>];
  /** The thread is gone, which it never is by itself. Nothing is replicated any more. */
  ended: [string];
}

/** How long the thread may take to let go of everything, ms. */
const STOP_MS = 5_000;

/** The main thread's side of the replication thread. */
export class ReplicationAgent extends EventEmitter<ReplicationAgentEvents> implements ReplicaPort {
  readonly kind = "replicated";
  readonly #worker: Worker;
  readonly #calls = new Map<
    number,
    { resolve(value: unknown): void; reject(error: Error): void }
  >();
  readonly #conditions = new Map<ShardId, Condition>();
  #nextCall = 1;
  #preferred = "";
  #stopped = false;
  #ended = false;

  constructor(data: ReplicationThreadData) {
    super();
    const entry = siblingEntry(import.meta.url, "thread.ts", "replication-thread.js");
    this.#worker = new Worker(entry, { workerData: data, execArgv: [], name: "replication" });
    this.#worker.on("message", (message: FromThread) => this.#receive(message));
    this.#worker.on("error", (error) => this.#end(error.message));
    this.#worker.on("exit", () => this.#end("it ended"));
  }

  highestEpoch(shard: ShardId): Promise<number> {
    return this.#call("highestEpoch", shard);
  }

  marker(shard: ShardId): Promise<StateMarker | null> {
    return this.#call("marker", shard);
  }

  claim(marker: Omit<StateMarker, "final">): Promise<{ stateDir: string }> {
    return this.#call("claim", marker);
  }

  restore(shard: ShardId, epoch: number, known: Known): Promise<Opened> {
    return this.#call("restore", shard, epoch, known);
  }

  async open(marker: Omit<StateMarker, "final">): Promise<Opened> {
    const before = await this.highestEpoch(marker.shard);
    await this.claim(marker);
    return this.restore(marker.shard, marker.epoch, { before, published: null, release: "" });
  }

  replicate(shard: ShardId): void {
    // Its failures are the steps' own, and are logged where they happen.
    this.#call("replicate", shard).catch(() => {});
  }

  condition(shard: ShardId): Condition | null {
    return this.#conditions.get(shard) ?? null;
  }

  async setCage(shard: ShardId, epoch: number, cage: string): Promise<void> {
    await this.#call("setCage", shard, epoch, cage);
  }

  finish(shard: ShardId, epoch: number): Promise<string | null> {
    return this.#call("finish", shard, epoch);
  }

  async abandon(shard: ShardId): Promise<void> {
    await this.#call("abandon", shard);
  }

  discardAside(shard: ShardId): Promise<number> {
    return this.#call("discardAside", shard);
  }

  async remove(shard: ShardId, options?: { force?: boolean }): Promise<void> {
    await this.#call("remove", shard, options);
  }

  /** The moments of a shard that can be gone back to, newest first. */
  points(shard: ShardId): Promise<PointInTime[]> {
    return this.#call("points", shard);
  }

  /** Whether the shard can go back to this moment; {@link points} does not list all. */
  isPoint(shard: ShardId, where: GoBack): Promise<boolean> {
    return this.#call("isPoint", shard, where);
  }

  /** Restores the newest moment into a scratch directory, checks it, and removes it again. */
  drill(shard: ShardId): Promise<DrillResult> {
    return this.#call("drill", shard);
  }

  /** Puts an earlier moment in the place of the state, while nothing runs on it. */
  async goBack(shard: ShardId, epoch: number, where: GoBack): Promise<void> {
    await this.#call("goBack", shard, epoch, where);
  }

  /** Puts a copy of a directory in the place of the state, while nothing runs on it. */
  async adopt(shard: ShardId, epoch: number, directory: string): Promise<void> {
    await this.#call("adopt", shard, epoch, directory);
  }

  /** Brings the present state to the target and pauses, while nothing runs on it. */
  async hold(shard: ShardId, epoch: number, release: string): Promise<void> {
    await this.#call("hold", shard, epoch, release);
  }

  /** Where each shard's replica should be, best first. Of use where hosts keep each other's. */
  prefer(preferred: Record<ShardId, NodeId[]>): void {
    const text = JSON.stringify(preferred);
    if (text === this.#preferred) return;
    this.#preferred = text;
    this.#post({ type: "preferences", preferred });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#ended) return;
    const gone = new Promise<void>((resolve) => this.#worker.once("exit", () => resolve()));
    const force = setTimeout(() => void this.#worker.terminate(), STOP_MS);
    this.#post({ type: "stop" });
    await gone;
    clearTimeout(force);
  }

  #end(why: string): void {
    if (this.#ended) return;
    this.#ended = true;
    const error = new Error(`the replication thread is gone: ${why}`);
    for (const call of this.#calls.values()) call.reject(error);
    this.#calls.clear();
    if (!this.#stopped) this.emit("ended", error.message);
  }

  #receive(message: FromThread): void {
    switch (message.type) {
      case "condition":
        if (message.condition) this.#conditions.set(message.shard, message.condition);
        else this.#conditions.delete(message.shard);
        this.emit("condition", message.shard);
        return;
      case "sent": {
        const { shard, bytes, chunks } = message;
        this.emit("sent", { shard, bytes, chunks });
        return;
      }
      case "fenced":
        this.emit("fenced", message.shard, message.epoch, message.reason);
        return;
      case "log":
        this.emit("log", message.level, message.message, message.fields);
        return;
    }
    const call = this.#calls.get(message.id);
    this.#calls.delete(message.id);
    if (message.type === "answer") call?.resolve(message.value);
    else call?.reject(new Error(message.message));
  }

  #call<K extends keyof ReplicationCalls>(
    call: K,
    ...args: ReplicationCalls[K]["args"]
  ): Promise<ReplicationCalls[K]["result"]> {
    if (this.#ended) return Promise.reject(new Error("the replication thread is gone"));
    const id = this.#nextCall++;
    return new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve: resolve as (value: unknown) => void, reject });
      this.#post({ type: "call", id, call, args });
    });
  }

  #post(message: ToThread): void {
    if (!this.#ended) this.#worker.postMessage(message);
  }
}
