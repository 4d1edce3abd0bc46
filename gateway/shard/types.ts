import type { Clock } from "../clock.ts";
import type { ShardConfig } from "../config.ts";
import type { ShardId, ShardState } from "../contract.ts";
import type { KeeperPort } from "../keeper/port.ts";
import type { GatewayPort } from "../openclaw/port.ts";
import type { BootSlots } from "./boot-slots.ts";
import type { ShardEvent } from "./states.ts";
import type { Timers } from "./timers.ts";

/** How one OpenClaw gateway is started, and reached once it runs. */
export interface Launch {
  command: string;
  args: string[];
  cwd: string;
  /** The whole environment, secrets included; never part of argv. */
  env: Record<string, string>;
  /** Loopback port it listens on. */
  port: number;
  /** Its own token; never leaves the node. */
  token: string;
}

/** What `/startupz` said; `down`: no answer in time, or not OpenClaw's. */
export type ProbeResult = "started" | "starting" | "draining" | "down";

/** The gateway of a shard that serves, for routes. */
export interface Endpoint {
  host: string;
  port: number;
  token: string;
  gateway: GatewayPort;
}

/** Everything a node knows of one of its shards, as a snapshot. */
export interface RunnerReport {
  shard: ShardId;
  state: ShardState;
  /** 0 before the first start. */
  epoch: number;
  incarnation: string | null;
  /** Null unless serving or draining with a live gateway. */
  endpoint: Endpoint | null;
  /** False while a drain has closed admission: hold new requests, they would be refused. */
  admissionOpen: boolean;
  pid: number | null;
  cage: string | null;
  /** ISO 8601, for people; null while nothing runs. */
  startedAt: string | null;
  /** Restarts in place since the first start on this node. */
  restarts: number;
  /** Why the last restart, stop or failure happened; null when nothing did. */
  reason: string | null;
  memoryBytes: number | null;
}

export type RunnerEvent =
  /** Something in the report changed that routes or status show. */
  | { type: "changed"; report: RunnerReport }
  /** The process runs in this cage: record it beside the state before relying on it. */
  | { type: "started"; epoch: number; pid: number; cage: string }
  | { type: "serving"; epoch: number }
  /** A drain gave up `turns` that still ran, to leave or to restart in place. */
  | { type: "turns-cut"; epoch: number; turns: number }
  /** Admission is closed and no turn runs that was not given up. Call stop() next. */
  | { type: "drained"; epoch: number }
  /**
   * Nothing of this epoch is left and nothing will be started again without start().
   * `fenced`: the keeper did it, a deadline had passed. `clean`: it ended by itself after SIGTERM.
   */
  | { type: "emptied"; epoch: number; fenced: boolean; clean: boolean }
  /** It cannot run here; nothing of it is left. */
  | { type: "gave-up"; epoch: number; reason: string }
  /** Restarted in place. `reason`: crashed, hung, memory, or what restart() was told. */
  | { type: "restarted"; epoch: number; reason: RestartReason; detail: string };

export type RestartReason = "crashed" | "hung" | "memory" | "requested";

/** Permission to recycle, one gateway at a time in a fleet; resolves with how to give it back. */
export type RecycleTurn = (shard: ShardId, signal: AbortSignal) => Promise<() => void>;

export interface RunnerDeps {
  shard: ShardConfig;
  keeper: KeeperPort;
  /** Asked before each start, so that port, token and release are current. */
  launch: () => Launch | Promise<Launch>;
  /** Opens a client to a gateway that has started. */
  gateway: (port: number, token: string) => GatewayPort;
  probe: (port: number) => Promise<ProbeResult>;
  /** Clock.now() after which this node no longer holds the lease; read at each start of a process. */
  holdDeadline: () => number;
  /**
   * Resolves when a gateway that is ready may be shown to people: its replica has begun, and others can know
   * where it is. Never rejects. @default at once
   */
  mayServe?: (shard: ShardId) => Promise<void>;
  bootSlots: BootSlots;
  recycleTurn: RecycleTurn;
  clock: Clock;
  timers: Timers;
  /** [0, 1) */
  random: () => number;
  /** Wall clock for `startedAt`. @default () => new Date() */
  wallClock?: () => Date;
  log: (level: "info" | "warn" | "error", msg: string, fields?: Record<string, unknown>) => void;
  onEvent: (event: RunnerEvent) => void;
  /** Every transition of the state table, and every event that was refused (`to` null). */
  onTransition?: (
    shard: ShardId,
    from: ShardState,
    event: ShardEvent,
    to: ShardState | null,
  ) => void;
}

export interface DrainRequest {
  /** For logs and status. */
  why: string;
  /** From now; past it the remaining turns are given up. @default DRAIN.giveUpMs */
  giveUpMs?: number;
}

/** One shard on one node. Implemented by ShardRunner. */
export interface Runner {
  readonly shard: ShardId;
  report(): RunnerReport;
  /** Follows the supervisor through the states before a start; refused by the table when they do not fit. */
  note(event: "acquire" | "refused" | "restore" | "abort"): void;
  /** Starts the gateway under this epoch. It is restarted in place until stop, kill or gave-up. */
  start(epoch: number, incarnation: string): void;
  drain(request: DrainRequest): void;
  /** Ends a drain; admission is open again. */
  undrain(): void;
  /** SIGTERM, SIGKILL after the budget; `emptied` follows. */
  stop(why: string, budgetMs?: number): void;
  /** SIGKILL now; `emptied` follows. */
  kill(why: string): void;
  /**
   * Drains and restarts in place, for changes that a running gateway does not take.
   * @param giveUpMs turns that still run then are lost to it, and resumed by its next start. @default 600000
   */
  restart(why: string, giveUpMs?: number): void;
  /** New settings of the shard (memory limit). */
  configure(shard: ShardConfig): void;
  /** Drops timers and listeners; the gateway is left as it is. */
  close(): void;
}
