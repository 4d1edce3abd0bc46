import type { NodeConfig } from "../config.ts";
import { LEASE, SETTINGS_REFUSED, type ShardId } from "../contract.ts";
import { processStart, thisProcess } from "../keeper/process.ts";
import type { HistoryEntry, ShardReport } from "../leases/store.ts";
import type { NodeReport } from "../leases/thread-protocol.ts";
import { publishedState } from "../ownership/report.ts";
import type { OwnershipState } from "../ownership/state.ts";
import type { RunnerReport } from "../shard/types.ts";

/** What a node tells the others of itself, besides its beat. */
export function nodeReport(facts: {
  node: NodeConfig;
  incarnation: string;
  bootId: string;
  /** `host:port` of its router for peers. */
  address: string;
  shards: [ShardId, ShardReport][];
}): NodeReport {
  const { node, incarnation, address, shards } = facts;
  const { pid, pidStart } = thisProcess();
  return {
    id: node.id,
    incarnation,
    bootId: facts.bootId,
    pid,
    pidStart,
    keeperPid: process.ppid,
    keeperPidStart: processStart(process.ppid) ?? "",
    address,
    release: node.release.id,
    shards: Object.fromEntries(shards.filter(([, report]) => report.state !== "idle")),
  };
}

/** What a node tells the others of one of its shards. `refused`: why its newest settings are not in force. */
export function shardReport(
  report: RunnerReport,
  ownership: OwnershipState,
  refused: string | null,
): ShardReport {
  return {
    state: publishedState(ownership, report.shard, report.state),
    open: report.endpoint !== null && report.admissionOpen,
    epoch: report.epoch,
    pid: report.pid,
    startedAt: report.startedAt,
    restarts: report.restarts,
    memoryBytes: report.memoryBytes,
    reason: refused === null ? report.reason : SETTINGS_REFUSED + refused,
  };
}

/** Collects what happened and writes it in one go, so that history never holds anything up. */
export class HistoryWriter {
  readonly #append: (entries: HistoryEntry[]) => Promise<void>;
  readonly #node: string;
  #waiting: HistoryEntry[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(node: string, append: (entries: HistoryEntry[]) => Promise<void>) {
    this.#node = node;
    this.#append = append;
  }

  add(event: string, shard: ShardId | null, detail: string): void {
    this.#waiting.push({ at: new Date().toISOString(), shard, node: this.#node, event, detail });
    this.#timer ??= setTimeout(() => void this.flush(), LEASE.renewTimeoutMs / 4);
  }

  /** Entries that the store does not take are kept for the next try, the newest thousand. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const entries = this.#waiting;
    this.#waiting = [];
    if (entries.length === 0) return;
    try {
      await this.#append(entries);
    } catch {
      const KEPT = 1_000;
      this.#waiting = [...entries, ...this.#waiting].slice(-KEPT);
    }
  }
}
