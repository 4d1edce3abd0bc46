import type { NodeId, ShardId } from "../contract.ts";
import type { Expected, Renewal, StoreView } from "../leases/store.ts";

/**
 * The ownership rules as pure data: `step(state, event) → { state, effects }`. No clock, no I/O, no
 * randomness inside; the supervisor carries effects out and feeds events back, and the randomised
 * test does the same with a simulated world. In words: docs/ownership.md.
 *
 * `now` and `sentAt` are the node's own Clock (it counts suspend). `now` is when the event was seen,
 * never earlier than what it tells of; `sentAt` is taken *before* the call to the store begins.
 *
 * Which event answers which effect:
 *
 * | effect    | answered by             | when no answer comes                               |
 * |-----------|-------------------------|----------------------------------------------------|
 * | `acquire` | `acquired` or `refused` | asked anew after `askMs`, if still wished          |
 * | `clear`   | `cleared`               | repeated every `repeatMs`                          |
 * | `start`   | `serving`, `gave-up`    | not repeated; the shard runner retries by itself   |
 * | `drain`   | `drained`               | not repeated, unless `why` or `to` changes         |
 * | `undrain` | nothing                 | not repeated; always leads back to admitting       |
 * | `stop`    | `emptied`               | `kill` after `stopMs`                              |
 * | `kill`    | `emptied`               | repeated every `repeatMs`                          |
 * | `release` | `released`              | repeated every `repeatMs`                          |
 *
 * Effects of one shard are carried out in the order given. All may come twice and must be idempotent;
 * one about an epoch that the supervisor has no process of is answered as if it were done. Only
 * `start` may bring a process to life, and never again for an epoch that was told `kill` or `stop`.
 * Answers about another epoch than the current one are ignored here.
 */
export type OwnershipEvent =
  /**
   * Fleet membership changed: shards to place, and how they prefer nodes. `revision` names this
   * version of the fleet's settings, the same on every node (a hash of fleet.json); a new one gives
   * failed shards a new chance.
   */
  | {
      type: "configured";
      now: number;
      shards: ShardId[];
      bound: Record<ShardId, NodeId>;
      revision: string;
    }
  /** The store was read. */
  | { type: "view"; now: number; view: StoreView }
  /** A renewal was answered; `held` is exactly what that renewal had sent. */
  | {
      type: "renewed";
      now: number;
      sentAt: number;
      held: Renewal["held"];
      kept: ShardId[];
      lost: ShardId[];
      view: StoreView;
    }
  /**
   * The store gave the lease, and the epoch is written to the shard's disk (synced) before this event
   * is sent: whoever takes over after a loss of the store must find it there.
   */
  | { type: "acquired"; now: number; sentAt: number; shard: ShardId; epoch: number }
  /** Somebody else was faster, the store did not answer, or the disk knows a later epoch. */
  | { type: "refused"; now: number; shard: ShardId }
  /** Everything an earlier owner of the shard left on this machine is gone. */
  | { type: "cleared"; now: number; shard: ShardId; epoch: number }
  /** The shard answers requests for the first time under this epoch. */
  | { type: "serving"; now: number; shard: ShardId; epoch: number }
  /**
   * The end of this epoch here: its cage is empty and the supervisor will never start it again. Sent
   * as the answer to `stop` and `kill`, and unasked when the keeper fenced the cage by itself. Not
   * sent when a crashed gateway is about to be restarted in place.
   */
  | { type: "emptied"; now: number; shard: ShardId; epoch: number }
  /** The shard has no running turn and its admission is closed, or its time is over. */
  | { type: "drained"; now: number; shard: ShardId; epoch: number }
  /** The store answered a release, true or false: either way the lease is not this epoch's now. */
  | { type: "released"; now: number; shard: ShardId; epoch: number }
  /** The shard cannot run here (exit 78, start failed again and again). */
  | { type: "gave-up"; now: number; shard: ShardId; epoch: number; reason: string }
  /**
   * The kernel says that the supervisor and the keeper of exactly this incarnation are gone (same
   * machine only), so nothing can extend or start its gateways any more. A supervisor that replaces
   * an older one of its own node sends this too, after it made sure.
   */
  | { type: "node-dead"; now: number; node: NodeId; incarnation: string }
  /** This node was asked to stop. */
  | { type: "stop"; now: number }
  /** At least every 250 ms. */
  | { type: "tick"; now: number };

export type OwnershipEffect =
  /**
   * Look for the shard's highest epoch on disk and in the replica. Higher than `diskAtMost` (null: no
   * limit): the store has forgotten an owner, do not ask, answer `refused`. Else ask the store, with
   * epoch 1 + max(`epochAbove`, what was found). Only the store named by `storeId` may grant it, and
   * in the same atomic step as it compares: a question that is carried out late could otherwise find
   * what it expects in an old copy that has taken the store's place.
   */
  | {
      do: "acquire";
      shard: ShardId;
      storeId: string;
      expected: Expected;
      epochAbove: number;
      diskAtMost: number | null;
    }
  /** Kill what an earlier owner left here and wait until it is gone. */
  | { do: "clear"; shard: ShardId; epoch: number }
  /** Restore, start, serve; crashes are restarted in place under the same epoch. */
  | { do: "start"; shard: ShardId; epoch: number }
  /** The deadline passed, the lease is lost, or the shard gave up: kill now, for good. */
  | { do: "kill"; shard: ShardId; epoch: number; why: string }
  /** Planned: find a moment without a running turn and close admission then. */
  | { do: "drain"; shard: ShardId; epoch: number; why: LeaveWhy; to: NodeId | null }
  /** The reason to leave is gone: admit again, also if `drained` was already sent. */
  | { do: "undrain"; shard: ShardId; epoch: number }
  /** Drained: end the gateway politely, for good. */
  | { do: "stop"; shard: ShardId; epoch: number }
  /** The cage is empty: write the last manifest and FINAL if there is a replica, then release. */
  | { do: "release"; shard: ShardId; epoch: number; handTo: NodeId | null; reason: string };

/** Why a healthy shard leaves its node. */
export type LeaveWhy = "stop" | "removed" | "maintenance" | "move" | "homecoming";
