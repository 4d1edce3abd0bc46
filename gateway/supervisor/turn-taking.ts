import type { NodeId, ShardId } from "../contract.ts";
import type { StoreView } from "../leases/store.ts";
import type { LeasePort } from "./leases.ts";

/** Whether a lease's name is that of a turn: one that no shard can have. */
export const isTurn = (lease: string): boolean => lease.startsWith("@");

/** Whoever holds it may recycle one gateway. */
export const RECYCLE_LEASE = "@recycle";
/** May bring one shard to another OpenClaw. What came of the last one is the reason of its release. */
export const UPDATE_LEASE = "@update";

export interface FleetTurnDeps {
  /** Name of the lease. */
  lease: typeof RECYCLE_LEASE | typeof UPDATE_LEASE;
  node: NodeId;
  incarnation: string;
  bootId: string;
  release: string;
  leases: LeasePort;
  view: () => StoreView | null;
  /** True when the lease was watched for one TTL and nobody renewed it. */
  abandoned: () => boolean;
  /** Pause before asking again, ms. @default 2000 */
  retryMs?: number;
}

const RETRY_MS = 2_000;

/**
 * One at a time in the whole fleet: two gateways that are recycled for their memory at once would halve a
 * small fleet for nothing. The turn is an ordinary lease, so a holder that dies blocks nobody.
 */
export class FleetTurn {
  readonly #deps: FleetTurnDeps;
  #epoch = 0;

  constructor(deps: FleetTurnDeps) {
    this.#deps = deps;
  }

  /** What the lease thread must renew for a turn that is held. */
  held(): [ShardId, number][] {
    return this.#epoch === 0 ? [] : [[this.#deps.lease, this.#epoch]];
  }

  /** Waits for its turn; resolves with how to give it back, and with what reason. */
  async take(signal: AbortSignal): Promise<(reason: string) => void> {
    for (;;) {
      signal.throwIfAborted();
      const giveBack = await this.tryTake();
      if (giveBack) return giveBack;
      await new Promise((resolve) => setTimeout(resolve, this.#deps.retryMs ?? RETRY_MS));
    }
  }

  /** Its turn, if nobody has it and nobody had it since the last view; else null. */
  async tryTake(): Promise<((reason: string) => void) | null> {
    return (await this.#try()) ? (reason) => this.#giveBack(reason) : null;
  }

  async #try(): Promise<boolean> {
    const {
      lease: shard,
      leases,
      view,
      node,
      incarnation,
      bootId,
      release,
      abandoned,
    } = this.#deps;
    const seen = view();
    if (this.#epoch !== 0 || !seen) return false;
    const lease = seen.leases[shard];
    if (lease?.owner && !abandoned()) return false;
    const epoch = (lease?.epoch ?? 0) + 1;
    // Wanted from here on: what is granted and not wanted is dropped at the next event.
    this.#epoch = epoch;
    try {
      const got = await leases.acquire({
        shard,
        expected: lease ? { epoch: lease.epoch, beat: lease.beat, owner: lease.owner } : null,
        node,
        incarnation,
        bootId,
        epoch,
        release,
      });
      if (!got) this.#epoch = 0;
      return got !== null;
    } catch {
      this.#epoch = 0;
      return false; // The store is away: nobody gets a turn meanwhile.
    }
  }

  #giveBack(reason: string): void {
    const epoch = this.#epoch;
    this.#epoch = 0;
    const { lease: shard, leases, node, incarnation } = this.#deps;
    leases
      .release({ shard, node, incarnation, epoch, position: null, handTo: null, reason })
      // Not released is expired a little later: it is renewed no more.
      .catch(() => {});
  }
}
