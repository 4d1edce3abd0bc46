import type { NodeId, ShardId } from "../contract.ts";
import type { Expected, StoreView } from "../leases/store.ts";

/**
 * The ownership rules as pure data: `step(state, event) → { state, effects }`. No clock, no I/O, no
 * randomness inside; the supervisor carries effects out and feeds events back, and the randomised
 * test does the same with a simulated world.
 */
export type OwnershipEvent =
  /** Fleet membership changed: shards to place, and how they prefer nodes. */
  | { type: "configured"; now: number; shards: ShardId[]; bound: Record<ShardId, NodeId> }
  /** The store was read, or a renewal came back with a view. */
  | { type: "view"; now: number; view: StoreView }
  | {
      type: "renewed";
      now: number;
      sentAt: number;
      kept: ShardId[];
      lost: ShardId[];
      view: StoreView;
    }
  | { type: "acquired"; now: number; sentAt: number; shard: ShardId; epoch: number }
  /** Somebody else was faster, or the store did not answer. */
  | { type: "refused"; now: number; shard: ShardId }
  /** Everything an earlier owner of the shard left on this machine is gone. */
  | { type: "cleared"; now: number; shard: ShardId; epoch: number }
  /** The cage of this epoch is empty. */
  | { type: "emptied"; now: number; shard: ShardId; epoch: number }
  /** The shard has no running turn and its admission is closed, or its time is over. */
  | { type: "drained"; now: number; shard: ShardId; epoch: number }
  | { type: "released"; now: number; shard: ShardId; epoch: number }
  /** The shard cannot run here (exit 78, start failed again and again). */
  | { type: "gave-up"; now: number; shard: ShardId; epoch: number; reason: string }
  /** The kernel says that this node's processes are gone (same machine only). */
  | { type: "node-dead"; now: number; node: NodeId; incarnation: string }
  /** This node was asked to stop. */
  | { type: "stop"; now: number }
  | { type: "tick"; now: number };

export type OwnershipEffect =
  | { do: "acquire"; shard: ShardId; expected: Expected; epochAbove: number }
  /** Kill what an earlier owner left here and wait until it is gone; answers `cleared`. */
  | { do: "clear"; shard: ShardId; epoch: number }
  | { do: "start"; shard: ShardId; epoch: number }
  /** The deadline passed or the lease is lost: kill now, answers `emptied`. */
  | { do: "kill"; shard: ShardId; epoch: number; why: string }
  /** Planned: let turns finish, then stop; answers `drained`, then `emptied`. */
  | { do: "drain"; shard: ShardId; epoch: number; why: string; to: NodeId | null }
  | { do: "release"; shard: ShardId; epoch: number; handTo: NodeId | null; reason: string };
