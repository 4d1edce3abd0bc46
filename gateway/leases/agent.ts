import { EventEmitter } from "node:events";
import { bootClock, type Clock } from "../clock.ts";
import { LEASE, type NodeId, type ShardId } from "../contract.ts";
import { Deadlines } from "./deadlines.ts";
import type { AcquireRequest, HistoryEntry, Lease, ReleaseRequest, StoreView } from "./store.ts";
import { LeaseThread, type Said } from "./thread-link.ts";
import type { FromThread, LeaseStoreOptions, LeaseTimings, NodeReport } from "./thread-protocol.ts";

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
  readonly #thread: LeaseThread;
  #report: NodeReport | null = null;
  #lifeTimer: NodeJS.Timeout | undefined;
  #nextGrant = 1;
  #viewStoreId: string | undefined;
  #stopped = false;

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
    this.#thread = new LeaseThread({
      data: {
        store: options.store,
        deadlines: this.#deadlines.buffer,
        extendFd: options.extendFd,
        timings: this.#timings,
      },
      clock: this.#clock,
      onStarted: () => {
        this.#postHeld();
        if (this.#report) this.#thread.post({ type: "report", report: this.#report });
      },
      onEnded: (error, again) => {
        this.#deadlines.unlock();
        if (again) this.emit("unavailable", error.message);
      },
      onSaid: (said) => this.#hear(said),
    });
  }

  /** Starts the thread. Renewals begin with the first {@link setReport}. */
  start(): void {
    if (this.#lifeTimer) throw new Error("LeaseAgent was started before");
    const beat = () => this.#deadlines.signOfLife(this.#clock.now());
    beat();
    this.#lifeTimer = setInterval(beat, this.#options.signOfLifeMs ?? 500);
    this.#thread.start();
  }

  /** How long the thread has said nothing, ms. A thread that is well looks at the store all the time. */
  get silentMs(): number {
    return this.#thread.silentMs;
  }

  /** What the node says of itself, from the next renewal on. */
  setReport(report: NodeReport): void {
    this.#report = report;
    this.#thread.post({ type: "report", report });
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
      const { lease, sentAt } = await this.#thread.call("acquire", { ...request, storeId });
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
    return this.#thread.call("release", request);
  }

  async read(): Promise<StoreView> {
    return this.#thread.call("read");
  }

  async setPin(shard: ShardId, node: NodeId | null): Promise<void> {
    await this.#thread.call("setPin", shard, node);
  }

  async setMaintenance(node: NodeId, on: boolean): Promise<void> {
    await this.#thread.call("setMaintenance", node, on);
  }

  async forgetNode(node: NodeId): Promise<void> {
    await this.#thread.call("forgetNode", node);
  }

  async appendHistory(entries: HistoryEntry[]): Promise<void> {
    await this.#thread.call("appendHistory", entries);
  }

  async history(limit: number): Promise<HistoryEntry[]> {
    return this.#thread.call("history", limit);
  }

  /** Ends the thread and closes the store. Leases that are still held run out. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#lifeTimer);
    for (const shard of [...this.#grants.keys()]) this.#revoke(shard);
    await this.#thread.stop();
  }

  #hear(said: Said): void {
    switch (said.type) {
      case "renewed": {
        this.#viewStoreId = said.view.storeId;
        const { type: _, ...renewed } = said;
        this.emit("renewed", renewed);
        return;
      }
      case "view":
        this.#viewStoreId = said.view.storeId;
        this.emit("view", said.view);
        return;
      case "unavailable":
        this.emit("unavailable", said.message);
        return;
      case "keeper-lost":
        this.emit("keeper-lost", said.message);
        return;
      case "log":
        this.emit("log", said.level, said.message);
        return;
    }
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
    this.#thread.post({ type: "held", held: [...this.#grants.values()] });
  }
}
