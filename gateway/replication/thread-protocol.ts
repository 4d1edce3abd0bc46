import type { NodeId, ShardId } from "../contract.ts";
import type { StateMarker } from "../state/store.ts";
import type { Condition, GoBack, Known, Opened } from "./port.ts";
import type { ReplicationConfig } from "./settings.ts";

/** What the replication thread is started with. */
export interface ReplicationThreadData {
  fleet: string;
  node: NodeId;
  dataDir: string;
  bootId: string;
  replication: ReplicationConfig;
}

type Marker = Omit<StateMarker, "final">;

/** Calls that the thread answers, by name: arguments and result. */
export interface ReplicationCalls {
  highestEpoch: { args: [ShardId]; result: number };
  marker: { args: [ShardId]; result: StateMarker | null };
  claim: { args: [Marker]; result: { stateDir: string } };
  restore: { args: [ShardId, number, Known]; result: Opened };
  replicate: { args: [ShardId]; result: undefined };
  setCage: { args: [ShardId, number, string]; result: undefined };
  finish: { args: [ShardId, number]; result: string | null };
  abandon: { args: [ShardId]; result: undefined };
  discardAside: { args: [ShardId]; result: number };
  remove: { args: [ShardId, { force?: boolean } | undefined]; result: undefined };
  points: { args: [ShardId]; result: PointInTime[] };
  isPoint: { args: [ShardId, GoBack]; result: boolean };
  drill: { args: [ShardId]; result: DrillResult };
  adopt: { args: [ShardId, number, string]; result: undefined };
  hold: { args: [ShardId, number, string]; result: undefined };
  goBack: { args: [ShardId, number, GoBack]; result: undefined };
}

/** A moment of a shard that can be gone back to. Plain data. */
export interface PointInTime {
  /** ISO 8601, by the clock of who wrote it. */
  at: string;
  epoch: number;
  node: NodeId;
  /** `<directory>/<number>`: names it among all of the shard. */
  place: string;
  /** Host that keeps it; null: the fleet's one target. */
  site: NodeId | null;
  release: string;
  bytes: number;
  databases: number;
}

/** A restore that was tried and thrown away. */
export interface DrillResult {
  point: PointInTime;
  /** How old the moment was when the drill began, by the clocks of who wrote it and who tried it. */
  ageMs: number;
  /** Written and checked, bytes. */
  bytes: number;
  /** Conversations in it; null: this OpenClaw keeps them otherwise than is known here. */
  sessions: number | null;
  /** From the first chunk to the last check. */
  tookMs: number;
}

export type ToThread =
  | { type: "call"; id: number; call: keyof ReplicationCalls; args: unknown[] }
  /** Hosts of each shard's replica, best first; of use where hosts keep each other's. */
  | { type: "preferences"; preferred: Record<ShardId, NodeId[]> }
  | { type: "stop" };

export type FromThread =
  | { type: "answer"; id: number; value: unknown }
  | { type: "fault"; id: number; message: string }
  /** Null: it is not open any more. */
  | { type: "condition"; shard: ShardId; condition: Condition | null }
  | { type: "sent"; shard: ShardId; bytes: number; chunks: number }
  | { type: "fenced"; shard: ShardId; epoch: number; reason: string }
  | {
      type: "log";
      level: "info" | "warn" | "error";
      message: string;
      fields: Record<string, unknown>;
    };
