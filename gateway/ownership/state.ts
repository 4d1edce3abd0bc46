import { DRAIN, LEASE, type NodeId, type ShardId } from "../contract.ts";
import type { StoreView } from "../leases/store.ts";
import type { FailureRecord } from "./failure.ts";
import type { LeaveWhy } from "./types.ts";

/** What the rules know and wait for, on one node. Plain data; never changed in place. */
export interface OwnershipState {
  readonly self: Self;
  readonly timing: Timing;
  /** The latest `now` of any event. */
  readonly now: number;
  readonly config: {
    shards: readonly ShardId[];
    bound: Readonly<Record<ShardId, NodeId>>;
    revision: string;
  };
  /**
   * The store being watched, and since when; null before its first answer. `first`: no other one was
   * seen in this supervisor's life.
   */
  readonly store: { id: string; since: number; first: boolean } | null;
  readonly view: StoreView | null;
  /** When the newest good renewal of this node was sent; null before the first. */
  readonly renewedAt: number | null;
  readonly leaseWatch: Readonly<Record<ShardId, Watch>>;
  readonly nodeWatch: Readonly<Record<NodeId, NodeWatch>>;
  /** Incarnations that the kernel reported dead, and when; newest last. */
  readonly dead: readonly { node: NodeId; incarnation: string; at: number }[];
  /** Shards this node has a lease of, or had one and is not done with it. */
  readonly holds: Readonly<Record<ShardId, Hold>>;
  /** Acquisitions asked for; kept without an answer, since a lost answer may hide a lease. */
  readonly asks: Readonly<Record<ShardId, Ask>>;
  /** The homecoming this node has announced and not begun. */
  readonly intent: { shard: ShardId; to: NodeId; since: number } | null;
  /** No new announcement before this. */
  readonly intentNotBefore: number;
  readonly stopping: boolean;
  /** True once a stopping node holds nothing and waits for nothing. */
  readonly stopped: boolean;
}

export interface Self {
  node: NodeId;
  incarnation: string;
  bootId: string;
  /** All nodes run on this machine (target `local`): another boot id then means dead at once. */
  sameMachine: boolean;
}

/** A value, and since when on this node's clock it has stood unchanged. */
export interface Watch {
  key: string;
  since: number;
}

export interface NodeWatch extends Watch {
  incarnation: string;
  /** Since when this incarnation was seen without a pause of one TTL. */
  activeSince: number;
}

/**
 * `clearing`: acquired, what older owners left is being removed. `running`: started.
 * `draining`: asked to finish its turns. `stopping`: drained, being ended. `killing`: being killed.
 * `releasing`: cage empty, the store is being told.
 */
export type HoldPhase = "clearing" | "running" | "draining" | "stopping" | "killing" | "releasing";

export interface Hold {
  readonly phase: HoldPhase;
  readonly epoch: number;
  /** It must be dead by then unless a renewal moves it. */
  readonly deadline: number;
  /** The store says it is not ours any more; never released, only dropped. */
  readonly lost: boolean;
  /** Set from `draining` on: why it leaves and to whom. */
  readonly leave: { why: LeaveWhy; to: NodeId | null } | null;
  /** Why it was killed. */
  readonly killed: string | null;
  /** Why it cannot run here; becomes part of the release. */
  readonly gaveUp: string | null;
  /** It answered requests under this epoch. */
  readonly served: boolean;
  /** Failures of the shard before this epoch; forgotten once it served. */
  readonly failures: FailureRecord | null;
  /** Nodes it failed on before it came here: no planned move goes back to them. */
  readonly avoid: readonly NodeId[];
  /** A pin that could not be followed when it was taken: a preference, while a new pin is a command. */
  readonly weighedPin: NodeId | null;
  /** When the outstanding effect is repeated, or `stop` becomes `kill`. */
  readonly repeatAt: number;
}

export interface Ask {
  /** The store that was asked: only there can a lost answer hide a lease of ours. */
  storeId: string;
  /** Not asked again before this. */
  until: number;
  /** An answer can still come. */
  pending: boolean;
  failures: FailureRecord | null;
  /** A pin to a node that could not take it then. */
  weighedPin: NodeId | null;
}

/** Milliseconds. Tests shorten or break them; see docs/ownership.md for what ties them together. */
export interface Timing {
  ttlMs: number;
  holdMs: number;
  rankDelayMs: number;
  homecomingMs: number;
  /** An unanswered acquisition is asked anew after this: the store's timeout, twice, and transport. */
  askMs: number;
  /** Pause after a refusal: one more view will have come. */
  refusedMs: number;
  /** Effects whose answer is missing are repeated this often. */
  repeatMs: number;
  /** A polite stop that takes longer becomes a kill; so long after its deadline a release is not tried any more by a node that stops. */
  stopMs: number;
  /** A shard that failed on two nodes is tried again this often. */
  failedRetryMs: number;
}

export const TIMING: Timing = {
  ttlMs: LEASE.ttlMs,
  holdMs: LEASE.holdMs,
  rankDelayMs: LEASE.rankDelayMs,
  homecomingMs: LEASE.homecomingMs,
  askMs: 3 * LEASE.renewTimeoutMs,
  refusedMs: LEASE.renewTimeoutMs,
  repeatMs: LEASE.renewEveryMs,
  stopMs: DRAIN.termReleaseMs,
  failedRetryMs: 300_000,
};
