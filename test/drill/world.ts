import type { AgentConfig } from "../../gateway/config.ts";
import type { FleetStatus } from "../../gateway/contract.ts";
import type { Target } from "./clients/types.ts";
import type { FaultName } from "./fault-names.ts";
import type { History } from "./history.ts";
import type { ProcessPlaces, ProcessWatch } from "./processes.ts";
import type { Planned } from "./schedule.ts";

/** A lease as it stands in the store itself. */
export interface LeaseSight {
  shard: string;
  owner: string | null;
  epoch: number;
  state: string;
  pid: number | null;
}

/** A fleet that a drill may break: how it is reached, watched, started and taken away. */
export interface World {
  readonly target: Target;
  /** Folder of the drill's own on this machine; the history is kept in it. */
  readonly dataDir: string;
  readonly nodes: readonly string[];
  readonly shards: readonly string[];
  /** As a router answers it. @throws when none answers */
  status(): Promise<FleetStatus>;
  /** Leases as they stand in the store now, without a word from the fleet; null: not readable. */
  leases(): LeaseSight[] | null | Promise<LeaseSight[] | null>;
  /** Shard that a process with this state directory works for; null: of no shard of this fleet. */
  shardOf(stateDir: string, pid: number): string | null;
  /** Starts what does not run yet. Resolves before all shards serve. */
  start(): Promise<void>;
  /** Does a fault. @throws FaultImpossible */
  apply(context: FaultContext, planned: Planned, status: FleetStatus): Promise<Applied>;
  /** Ends every process of the fleet at once. */
  stop(): Promise<void>;
  /** Removes what `stop` left. `keep`: what shows why the drill failed stays in {@link dataDir}. */
  remove(keep: boolean): Promise<void> | void;
}

/** What a world's agent must have, for a drill to see what it does. */
export interface Wiring {
  /** Base URL of the model that records; ends in `/v1`. */
  modelUrl: string;
  /** The default agent's channels and cron. */
  agent: Pick<AgentConfig, "channels" | "cron">;
}

export interface CreateOptions {
  /** One line of progress, for people. */
  say(line: string): void;
  signal: AbortSignal;
}

/** Makes one kind of world. */
export interface Driver {
  readonly nodes: readonly string[];
  readonly shards: readonly string[];
  /** How the command line asks for it, without its length and seed. */
  readonly command: string;
  /** Longest wait for a fleet to be whole again after a fault was healed, ms. */
  readonly wholeMs: number;
  /** Address of this machine at which the fleet reaches the model and the Bot API. Called first, once. */
  address(): Promise<string>;
  /** Where processes run that are not this machine's own. */
  readonly places: ProcessPlaces;
  /** Rejects with the signal's reason when it fires meanwhile. */
  create(wiring: Wiring, options: CreateOptions): Promise<World>;
  /** Takes away what `address` made, also when `create` failed. */
  close(): Promise<void>;
}

/** What a fault needs to do its work, beside the world that it breaks. */
export interface FaultTools {
  history: History;
  watch: ProcessWatch;
  /** A session that lives on the shard. */
  sessionOf(shard: string): string;
  /** Sends one turn into a session; nothing is awaited, the history has its outcome. */
  send(session: string, turnMs: number): Promise<unknown>;
  /** Says that the fault happens now: called right before the first signal. */
  mark?(): void;
  /** Longest wait for the fleet to be whole again, ms. */
  wholeMs: number;
  signal: AbortSignal;
}

export interface FaultContext extends FaultTools {
  world: World;
}

/** A fault that was done. */
export interface Applied {
  /** Whom it hit, for people. */
  target: string;
  /** Shards that it may take away for a while. */
  shards: string[];
  detail: string;
  heal(): Promise<string>;
}

/** A fault could not be done: the drill says so and fails. */
export class FaultImpossible extends Error {
  override readonly name = "FaultImpossible";
}

/** Does a fault. `C` is what it needs beside the common. */
export type Apply<C = FaultContext> = (
  context: C,
  planned: Planned,
  status: FleetStatus,
) => Promise<Applied>;

export type Faults<C = FaultContext> = Partial<Record<FaultName, Apply<C>>>;

export const NOTHING_TO_HEAL = async (): Promise<string> => "nothing to heal";
