import type { NodeId, ShardId } from "../contract.ts";
import type { StoreView } from "../leases/store.ts";
import type { LeasePort } from "./leases.ts";

/** A lease under a name that no shard can have; whoever holds it may recycle one gateway. */
export const RECYCLE_LEASE = "@recycle";

export interface RecycleDeps {
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
 * One gateway at a time in the whole fleet is recycled for its memory: two at once would halve a
 * small fleet for nothing. The turn is an ordinary lease, so a holder that dies blocks nobody.
 */
export class RecycleTurns {
  readonly #deps: RecycleDeps;
  #epoch = 0;

  constructor(deps: RecycleDeps) {
    this.#deps = deps;
  }

  /** What the lease thread must renew for a turn that is held. */
  held(): [ShardId, number][] {
    return this.#epoch === 0 ? [] : [[RECYCLE_LEASE, this.#epoch]];
  }

  async take(shard: ShardId, signal: AbortSignal): Promise<() => void> {
    for (;;) {
      signal.throwIfAborted();
      if (await this.#try()) return () => this.#giveBack(shard);
      await new Promise((resolve) => setTimeout(resolve, this.#deps.retryMs ?? RETRY_MS));
    }
  }

  async #try(): Promise<boolean> {
    const { leases, view, node, incarnation, bootId, release, abandoned } = this.#deps;
    const seen = view();
    if (this.#epoch !== 0 || !seen) return false;
    const lease = seen.leases[RECYCLE_LEASE];
    if (lease?.owner && !abandoned()) return false;
    const epoch = (lease?.epoch ?? 0) + 1;
    // Wanted from here on: what is granted and not wanted is dropped at the next event.
    this.#epoch = epoch;
    try {
      const got = await leases.acquire({
        shard: RECYCLE_LEASE,
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
      return false; // The store is away: nobody recycles meanwhile.
    }
  }

  #giveBack(shard: ShardId): void {
    const epoch = this.#epoch;
    this.#epoch = 0;
    const { leases, node, incarnation } = this.#deps;
    leases
      .release({
        shard: RECYCLE_LEASE,
        node,
        incarnation,
        epoch,
        position: null,
        handTo: null,
        reason: `recycled ${shard}`,
      })
      // Not released is expired a little later: it is renewed no more.
      .catch(() => {});
  }
}
