import type { ShardId } from "../contract.ts";
import type { KeeperEvent, StartCommand } from "./protocol.ts";

/** What the supervisor wants from its keeper. Implemented by {@link KeeperClient}, faked in tests. */
export interface KeeperPort {
  /** Starts a gateway in a cage of its own. Rejects with {@link KeeperRefused}. */
  start(command: Omit<StartCommand, "op">): Promise<{ pid: number; cage: string }>;
  /** To the gateway's own process; ignored when it is gone. */
  signal(shard: ShardId, epoch: number, signal: NodeJS.Signals): void;
  /** Kills everything in the cage; resolves when nothing is left, at once when nothing ran. */
  kill(shard: ShardId, epoch: number, why: string): Promise<void>;
  /**
   * Kills what an earlier owner left in the named cage on this machine (`StateMarker.cage`), also
   * one of another node; resolves when nothing is left. Rejects with {@link KeeperRefused} on a name
   * that this project cannot have given.
   */
  clear(shard: ShardId, cage: string): Promise<void>;
  /** Hears every event of the keeper; returns how to stop hearing. */
  on(listener: (event: KeeperEvent) => void): () => void;
}

/** The keeper would not: no such program, no cage, it already runs, a foreign cage, or it is lost. */
export class KeeperRefused extends Error {
  override readonly name = "KeeperRefused";
}
