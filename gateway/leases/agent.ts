import { EventEmitter } from "node:events";
import { Worker } from "node:worker_threads";
import { bootClock, type Clock } from "../clock.ts";
import { LEASE, type NodeId, type ShardId } from "../contract.ts";
import { siblingEntry } from "../entry.ts";
import { Deadlines } from "./deadlines.ts";
import {
  type AcquireRequest,
  type HistoryEntry,
  type Lease,
  type ReleaseRequest,
  StoreUnavailable,
  type StoreView,
} from "./store.ts";
import type {
  FromThread,
  LeaseCalls,
  LeaseStoreOptions,
  LeaseThreadData,
  LeaseTimings,
  NodeReport,
  ToThread,
} from "./thread-protocol.ts";

export interface LeaseAgentOptions {
  store: LeaseStoreOptions;
  /** The keeper's pipe (fd 4); null: nobody is told of deadlines. */
  extendFd: number | null;
  /** @default LEASE and the values in LeaseTimings */
  timings?: Partial<LeaseTimings>;
  /** Pause between two signs of life of the main thread, ms. @default 500 */
  signOfLifeMs?: number;
}

export interface HeldShard {
  shard: ShardId;
  epoch: number;
  /** Replication position to publish with the next renewal. */
  position: string | null;
}

export interface LeaseAgentEvents {
  /** A renewal went well. For `lost` shards the deadline is over already. */
  renewed: [Omit<Extract<FromThread, { type: "renewed" }>, "type">];
  /** The store was read between renewals. */
  view: [StoreView];
  /** The store did not answer; repeated with every failed try. */
  unavailable: [string];
  /** The keeper's pipe is closed or full: deadlines are not extended any more. */
  "keeper-lost": [string];
  log: ["warn" | "error", string];
}

interface Grant extends HeldShard {
  /** What it runs, published with each renewal; missing: as it was acquired. */
  release?: string;
  slot: number;
  grant: number;
  storeId: string | undefined;
}

/**
 * The main thread's side of the lease thread.
 *
 * The held set changes only here: by a successful {@link acquire}, {@link setHeld}, {@link drop} and
 * {@link release}. The thread renews what is held and moves the deadlines, which {@link deadline}
 * reads at once, from shared memory. A main thread that hangs loses its leases: it gives its signs of
 * life by a timer.
 */
export class LeaseAgent extends EventEmitter<LeaseAgentEvents> {
  readonly #options: LeaseAgentOptions;
  readonly #timings: LeaseTimings;
  readonly #clock: Clock = bootClock;
  readonly #deadlines = new Deadlines();
  readonly #grants = new Map<ShardId, Grant>();
  readonly #freeSlots = Array.from({ length: Deadlines.SLOTS }, (_, i) => Deadlines.SLOTS - 1 - i);
  readonly #calls = new Map<
    number,
    { resolve(value: unknown): void; reject(error: Error): void }
  >();
  #worker: Worker | null = null;
  #report: NodeReport | null = null;
  #lifeTimer: NodeJS.Timeout | undefined;
  #restartTimer: NodeJS.Timeout | undefined;
  #nextCall = 1;
  #nextGrant = 1;
  #viewStoreId: string | undefined;
  #stopped = false;
  #heardAt = 0;

  constructor(options: LeaseAgentOptions) {
    super();
    this.#options = options;
    this.#timings = {
      renewEveryMs: LEASE.renewEveryMs,
      renewTimeoutMs: LEASE.renewTimeoutMs,
      holdMs: LEASE.holdMs,
      retryEveryMs: 500,
      viewEveryMs: 500,
      mainSilenceMs: 10_000,
      ...options.timings,
    };
  }

  /** Starts the thread. Renewals begin with the first {@link setReport}. */
  start(): void {
    if (this.#lifeTimer) throw new Error("LeaseAgent was started before");
    const beat = () => this.#deadlines.signOfLife(this.#clock.now());
    beat();
    this.#lifeTimer = setInterval(beat, this.#options.signOfLifeMs ?? 500);
    this.#startThread();
  }

  /** How long the thread has said nothing, ms. A thread that is well looks at the store all the time. */
  get silentMs(): number {
    return this.#clock.now() - this.#heardAt;
  }

  /** What the node says of itself, from the next renewal on. */
  setReport(report: NodeReport): void {
    this.#report = report;
    this.#post({ type: "report", report });
  }

  /**
   * The shards held from now on: updates positions, and drops what is missing here. A shard that was
   * not acquired through this agent, or under another epoch, cannot be added: that is an error.
   */
  setHeld(held: HeldShard[]): void {
    const named = new Map(held.map((one) => [one.shard, one]));
    for (const one of held) {
      const grant = this.#grants.get(one.shard);
      if (grant?.epoch !== one.epoch) {
        throw new Error(
          `shard ${one.shard} is not held under epoch ${one.epoch}; acquire it through this agent`,
        );
      }
      grant.position = one.position;
    }
    for (const shard of [...this.#grants.keys()]) if (!named.has(shard)) this.#revoke(shard);
    this.#postHeld();
  }

  /** Says with the next renewal that a held shard runs another release from now on. */
  setRelease(shard: ShardId, epoch: number, release: string): void {
    const grant = this.#grants.get(shard);
    if (grant?.epoch !== epoch) return;
    grant.release = release;
    this.#postHeld();
  }

  /** The held set as it is now. */
  held(): HeldShard[] {
    return [...this.#grants.values()].map(({ shard, epoch, position }) => ({
      shard,
      epoch,
      position,
    }));
  }

  /** Ends a shard's deadline here and now. When this returns, no extension for it follows. */
  drop(shard: ShardId): void {
    if (this.#revoke(shard)) this.#postHeld();
  }

  /** Clock.now() until which this node may serve the shard; 0 when it does not hold it. */
  deadline(shard: ShardId): number {
    const grant = this.#grants.get(shard);
    return grant ? this.#deadlines.deadline(grant.slot) : 0;
  }

  /**
   * Takes a lease; null when it is not as expected, or the store is not the one of the last view. On
   * success the shard is held at once, with a deadline counted from when the request was sent.
   */
  async acquire(request: AcquireRequest): Promise<{ lease: Lease; sentAt: number } | null> {
    const storeId = request.storeId ?? this.#viewStoreId;
    const slot = this.#freeSlots.pop();
    if (slot === undefined) {
      throw new Error(`this node holds ${Deadlines.SLOTS} shards, its limit`);
    }
    let taken = false;
    try {
      const { lease, sentAt } = await this.#call("acquire", { ...request, storeId });
      if (!lease || this.#stopped) return null;
      this.#revoke(lease.shard);
      const grant = { slot, grant: this.#nextGrant++, storeId };
      this.#deadlines.grant(slot, grant.grant, sentAt + this.#timings.holdMs);
      const { shard, epoch, position } = lease;
      // Also for a store that forgets it meanwhile.
      const release = lease.release === null ? {} : { release: lease.release };
      this.#grants.set(shard, { shard, epoch, position, ...release, ...grant });
      taken = true;
      this.#postHeld();
      return { lease, sentAt };
    } finally {
      if (!taken) this.#freeSlots.push(slot);
    }
  }

  /** Drops the shard, then gives its lease up. Only when its cage is empty. */
  async release(request: ReleaseRequest): Promise<boolean> {
    if (this.#grants.get(request.shard)?.epoch === request.epoch) this.drop(request.shard);
    return this.#call("release", request);
  }

  async read(): Promise<StoreView> {
    return this.#call("read");
  }

  async setPin(shard: ShardId, node: NodeId | null): Promise<void> {
    await this.#call("setPin", shard, node);
  }

  async setMaintenance(node: NodeId, on: boolean): Promise<void> {
    await this.#call("setMaintenance", node, on);
  }

  async forgetNode(node: NodeId): Promise<void> {
    await this.#call("forgetNode", node);
  }

  async appendHistory(entries: HistoryEntry[]): Promise<void> {
    await this.#call("appendHistory", entries);
  }

  async history(limit: number): Promise<HistoryEntry[]> {
    return this.#call("history", limit);
  }

  /** Ends the thread and closes the store. Leases that are still held run out. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#lifeTimer);
    clearTimeout(this.#restartTimer);
    for (const shard of [...this.#grants.keys()]) this.#revoke(shard);
    const worker = this.#worker;
    if (!worker) return;
    const ended = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
    const force = setTimeout(() => void worker.terminate(), STOP_MS);
    this.#post({ type: "stop" });
    await ended;
    clearTimeout(force);
  }

  #startThread(): void {
    const data: LeaseThreadData = {
      store: this.#options.store,
      deadlines: this.#deadlines.buffer,
      extendFd: this.#options.extendFd,
      timings: this.#timings,
    };
    const entry = siblingEntry(import.meta.url, "thread.ts", "lease-thread.js");
    const worker = new Worker(entry, { workerData: data, execArgv: [], name: "leases" });
    this.#worker = worker;
    this.#heardAt = this.#clock.now();
    worker.on("message", (message: FromThread) => this.#receive(message));
    worker.on("error", (error) => this.emit("log", "error", `lease thread: ${error.stack}`));
    worker.on("exit", () => this.#threadEnded());
    this.#postHeld();
    if (this.#report) this.#post({ type: "report", report: this.#report });
  }

  /** The thread never ends by itself. Should it, a new one goes on; the leases have seconds left. */
  #threadEnded(): void {
    this.#worker = null;
    this.#deadlines.unlock();
    const ended = new StoreUnavailable("the lease thread ended");
    for (const call of this.#calls.values()) call.reject(ended);
    this.#calls.clear();
    if (this.#stopped) return;
    this.emit("unavailable", ended.message);
    this.#restartTimer = setTimeout(() => this.#startThread(), this.#timings.retryEveryMs);
  }

  #receive(message: FromThread): void {
    this.#heardAt = this.#clock.now();
    switch (message.type) {
      case "renewed": {
        this.#viewStoreId = message.view.storeId;
        const { type: _, ...renewed } = message;
        this.emit("renewed", renewed);
        return;
      }
      case "view":
        this.#viewStoreId = message.view.storeId;
        this.emit("view", message.view);
        return;
      case "unavailable":
        this.emit("unavailable", message.message);
        return;
      case "keeper-lost":
        this.emit("keeper-lost", message.message);
        return;
      case "log":
        this.emit("log", message.level, message.message);
        return;
    }
    const call = this.#calls.get(message.id);
    this.#calls.delete(message.id);
    if (message.type === "answer") call?.resolve(message.value);
    else
      call?.reject(
        message.unavailable ? new StoreUnavailable(message.message) : new Error(message.message),
      );
  }

  #call<K extends keyof LeaseCalls>(
    call: K,
    ...args: LeaseCalls[K]["args"]
  ): Promise<LeaseCalls[K]["result"]> {
    if (!this.#worker)
      return Promise.reject(new StoreUnavailable("the lease thread is not running"));
    const id = this.#nextCall++;
    return new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve: resolve as (value: unknown) => void, reject });
      this.#post({ type: "call", id, call, args });
    });
  }

  #revoke(shard: ShardId): boolean {
    const grant = this.#grants.get(shard);
    if (!grant) return false;
    this.#grants.delete(shard);
    this.#deadlines.revoke(grant.slot);
    this.#deadlines.barrier();
    this.#freeSlots.push(grant.slot);
    return true;
  }

  #postHeld(): void {
    this.#post({ type: "held", held: [...this.#grants.values()] });
  }

  #post(message: ToThread): void {
    this.#worker?.postMessage(message);
  }
}

/** A thread that waits for a locked file answers within the renewal timeout. */
const STOP_MS = 3_000;
