import type { ShardId } from "../contract.ts";

/**
 * Between the supervisor and its keeper. The keeper is the parent: it starts the supervisor, holds
 * each gateway with everything it started in one cage, and kills a cage when its deadline passes or
 * the supervisor's end of a pipe closes. Two channels: Node's IPC channel for commands and events,
 * and fd 4, a plain pipe on which the lease thread writes `Extend` lines without any event loop.
 */
export interface StartCommand {
  op: "start";
  shard: ShardId;
  epoch: number;
  command: string;
  args: string[];
  cwd: string;
  env: Record<string, string>;
  /** Clock.now() after which the keeper kills it, unless extended. */
  deadline: number;
  /** Memory that the kernel lets its cage have, bytes; where no controller is ours: not enforced. */
  memoryMaxBytes?: number;
}
export interface SignalCommand {
  op: "signal";
  shard: ShardId;
  epoch: number;
  signal: NodeJS.Signals;
}
/** Kill everything in the cage, now; `empty` follows when nothing is left. */
export interface KillCommand {
  op: "kill";
  shard: ShardId;
  epoch: number;
  why: string;
}
/** Kill what an earlier owner left in the named cage; `cleared` follows when nothing is left. */
export interface ClearCommand {
  op: "clear";
  shard: ShardId;
  cage: string;
}
export interface PingCommand {
  op: "ping";
  n: number;
}
/** How the node is, for the service manager; see `service-manager.ts`. The first one says that it is up. */
export interface ConditionCommand {
  op: "condition";
  /** Every part of it makes progress. A store that is away is no fault of the node. */
  healthy: boolean;
  /** For people, one line. */
  text: string;
}
/** Planned stop of the whole node: the supervisor is done, do not start it again. */
export interface QuitCommand {
  op: "quit";
}
export type KeeperCommand =
  | StartCommand
  | SignalCommand
  | KillCommand
  | ClearCommand
  | PingCommand
  | ConditionCommand
  | QuitCommand;

export type KeeperEvent =
  | { event: "started"; shard: ShardId; epoch: number; pid: number; cage: string }
  /** It could not be started at all. */
  | { event: "refused"; shard: ShardId; epoch: number; message: string }
  /** The gateway's own process ended; helpers may still live until `empty`. */
  | {
      event: "exit";
      shard: ShardId;
      epoch: number;
      code: number | null;
      signal: string | null;
      /** The last lines it printed, oldest first, secrets of its environment taken out. */
      tail: string[];
    }
  /** Nothing of the cage is left. `fenced`: its deadline had passed, nobody asked for it. */
  | { event: "empty"; shard: ShardId; epoch: number; fenced: boolean }
  | { event: "cleared"; shard: ShardId; cage: string }
  /** The name is none that this project gives; nothing was killed. */
  | { event: "not-cleared"; shard: ShardId; cage: string; message: string }
  | { event: "memory"; bytes: Record<ShardId, number> }
  | { event: "pong"; n: number }
  /** The node was asked to stop: drain, release, then `quit` and exit within the budget. */
  | { event: "stop"; budgetMs: number };

/** One line on fd 4: `{"deadline": ms, "shards": {"s1": epoch}}`. Only later deadlines count. */
export interface Extend {
  deadline: number;
  shards: Record<ShardId, number>;
}
