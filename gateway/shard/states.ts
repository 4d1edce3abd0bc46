import { SHARD_STATES, type ShardState } from "../contract.ts";

/** What moves a shard from one state to another on the node that looks after it. */
export const SHARD_EVENTS = [
  /** The node tries to get the lease. */
  "acquire",
  /** Somebody else got it, or the store did not answer. */
  "refused",
  /** The lease is ours; state is being made available. */
  "restore",
  /** The lease or the state was lost before anything ran. */
  "abort",
  /** The gateway is to run. */
  "start",
  /** It answers `/startupz` and its WebSocket. */
  "ready",
  /** It died or was killed as hung, and runs again in place. */
  "restart",
  "drain",
  /** A drain was called off while the gateway serves. */
  "undrain",
  /** A drain was called off, or ended for a restart in place, while the gateway does not serve. */
  "reboot",
  /** Everything of it is to end: a planned stop, a lost lease, or its cage was fenced. */
  "stop",
  /** Nothing of it is left. */
  "emptied",
  /** It cannot run here; nothing of it is left. */
  "give-up",
] as const;
export type ShardEvent = (typeof SHARD_EVENTS)[number];

type Row = Partial<Record<ShardEvent, ShardState>>;

/**
 * State × event → next state; what is not here is illegal. `failed` can be tried again from the start,
 * and every state in which something may run leads to `idle` through `stopping` only.
 */
export const TRANSITIONS: Record<ShardState, Row> = {
  idle: { acquire: "acquiring", start: "starting" },
  acquiring: { refused: "idle", restore: "restoring", abort: "idle", start: "starting" },
  restoring: { abort: "idle", start: "starting", "give-up": "failed" },
  starting: {
    ready: "serving",
    restart: "starting",
    drain: "draining",
    stop: "stopping",
    "give-up": "failed",
  },
  serving: { restart: "starting", drain: "draining", stop: "stopping", "give-up": "failed" },
  draining: {
    undrain: "serving",
    reboot: "starting",
    stop: "stopping",
    "give-up": "failed",
  },
  stopping: { stop: "stopping", emptied: "idle" },
  failed: { acquire: "acquiring", start: "starting", abort: "idle" },
};

/** States in which a process of the shard may exist on this node. */
export const RUNNING: readonly ShardState[] = ["starting", "serving", "draining", "stopping"];

/** Thrown by a strict machine; a bug of the caller. */
export class IllegalTransition extends Error {
  override readonly name = "IllegalTransition";
}

/** The next state, or null when the event does not fit. */
export function nextState(state: ShardState, event: ShardEvent): ShardState | null {
  return TRANSITIONS[state][event] ?? null;
}

export interface MachineOptions {
  /** Throw on an illegal transition instead of reporting and ignoring it. @default false */
  strict?: boolean;
  /** Called after each event; `to` null: it was illegal and ignored. */
  onTransition?: (from: ShardState, event: ShardEvent, to: ShardState | null) => void;
}

/** Holds one shard's state and lets it change by the table only. */
export class ShardMachine {
  #state: ShardState = SHARD_STATES[0];
  readonly #options: MachineOptions;

  constructor(options: MachineOptions = {}) {
    this.#options = options;
  }

  get state(): ShardState {
    return this.#state;
  }

  /** True when the event fitted. Throws {@link IllegalTransition} when strict and it did not. */
  apply(event: ShardEvent): boolean {
    const from = this.#state;
    const to = nextState(from, event);
    if (to !== null) this.#state = to;
    this.#options.onTransition?.(from, event, to);
    if (to === null && this.#options.strict) {
      throw new IllegalTransition(`event ${event} does not fit state ${from}`);
    }
    return to !== null;
  }
}
