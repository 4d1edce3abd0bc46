import type { ChannelsReport } from "../contract.ts";

/** What came of opening the conversations of bots again; keys are `agent:<agent>:<session>`. */
export interface Reopenings {
  opened: string[];
  /** Those that OpenClaw would not open, each told once as long as its reason is the same; tried again later. */
  refused: { key: string; why: string }[];
}

/**
 * What the runtime wants from one running OpenClaw gateway, over its WebSocket protocol on loopback.
 * One client per gateway and node; it reconnects by itself until closed.
 */
export interface GatewayPort {
  /** Resolves once connected, or throws when `signal` fires. */
  ready(signal?: AbortSignal): Promise<void>;
  readonly connected: boolean;

  /**
   * Runs one turn and returns its answer. `runId` is the turn's identity (a UUID).
   * With `mayHaveRun` an earlier gateway may have seen it: the history decides between returning the
   * stored answer, waiting for OpenClaw's own recovery, and sending; it is never run twice.
   * Throws TurnError.
   */
  runTurn(request: TurnRequest): Promise<TurnResult>;
  /**
   * The session in which a conversation goes on: the one with this key (`agent:<agent>:<session>`), or the successor of
   * it that OpenClaw was made to open because it had closed it; the turn that was interrupted there is then over.
   * Throws TurnError when OpenClaw does not go on with it, and what a call throws.
   */
  presentSession(key: string): Promise<string>;

  /** Turns running and waiting now. */
  turns(): Promise<{ active: number; queued: number }>;
  /**
   * When a bot got its newest message, by the gateway's own wall clock; null: none has since it started. It is no
   * turn yet for a moment after that, on a busy machine for a second or two.
   */
  lastInbound(): Promise<number | null>;
  /** Closes admission and lets running turns finish. The suspension lapses unless renewed: this renews it. */
  suspend(): Promise<void>;
  /** True when suspended and empty. */
  suspended(): Promise<boolean>;
  resume(): Promise<void>;

  /** All sessions the gateway knows, as agent and short session name. */
  sessions(): Promise<{ agent: string; session: string }[]>;
  /** Makes the gateway's cron jobs of this project equal to `jobs` (others, OpenClaw's own included, stay). */
  syncCron(
    jobs: {
      agent: string;
      name: string;
      schedule: string;
      timezone?: string;
      message: string;
      enabled: boolean;
      /** Where the answer is sent; it is sent nowhere when missing. */
      deliver?: { channel: string; to: string; account?: string };
    }[],
  ): Promise<void>;
  /**
   * Starts the bots that OpenClaw keeps down although its configuration wants them: after three
   * starts without a clean end within five minutes it starts none by itself. Returns the bots that
   * run now, as `channel/account`; those that would not are tried again by the next call.
   */
  ensureChannels(): Promise<string[]>;
  /**
   * Opens the conversations of bots again that OpenClaw closed, because restarts ended its recovery too often: under
   * their own keys, with their history; an interrupted turn is gone on with behind, and its answer sent to its channel.
   * @param all also those that were closed longer than minutes ago, or whose opening was cut off
   * Throws what a call throws that never arrived.
   */
  reopenBots(all: boolean): Promise<Reopenings>;
  /** The bots that the settings want, and what keeps those that reach nobody. */
  channels(): Promise<ChannelsReport>;
  /** Totals since the gateway started, per agent; fields OpenClaw does not give are missing. */
  onUsage(listener: (usage: UsageEvent) => void): () => void;
  close(): void;
}

export interface TurnRequest {
  runId: string;
  agent: string;
  /** Short name, lower-cased; the full key is agent:<agent>:<session>. */
  session: string;
  message: string;
  mayHaveRun: boolean;
  /** Milliseconds from now. */
  budgetMs: number;
  onDelta?: (text: string) => void;
  /**
   * Called right before the request's bytes go out; from then on it may have had an effect on the
   * gateway ("reached"). If it throws a TurnError nothing goes out and the turn ends with that error.
   */
  onReached?: () => void;
  signal?: AbortSignal;
}

export interface TurnResult {
  reply: string;
  usage: { input: number; output: number; total: number } | null;
  /** The answer came from history or from OpenClaw's own recovery after a crash. */
  recovered: boolean;
}

/**
 * - `lost`: the connection ended; `reached` says whether the turn may have begun.
 * - `refused`: OpenClaw refused before running (admission closed, busy): may be sent again.
 * - `failed`: OpenClaw ran it and the model or agent failed; `message` is its own.
 * - `timeout`: the budget is over; the turn may still run.
 */
export class TurnError extends Error {
  readonly kind: "lost" | "refused" | "failed" | "timeout" | "aborted";
  readonly reached: boolean;
  constructor(kind: TurnError["kind"], message: string, reached: boolean) {
    super(message);
    this.name = "TurnError";
    this.kind = kind;
    this.reached = reached;
  }
}

/** A delta, not a total. */
export interface UsageEvent {
  agent: string;
  input?: number;
  output?: number;
  cacheRead?: number;
  cacheWrite?: number;
  toolCalls?: { kind: string; count: number }[];
}
