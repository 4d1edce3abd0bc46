import type { Clock } from "../clock.ts";
import { HOLD, type NodeId, type ShardId } from "../contract.ts";
import { TurnError, type TurnResult } from "../openclaw/port.ts";
import type { Log } from "./deps.ts";
import { ClientGone, RouterError } from "./errors.ts";
import type { Gate, LiveRoute, Slot } from "./gate.ts";
import { onPeer } from "./turn-peer.ts";
import type { TurnListener, TurnOrder, TurnRunner } from "./turn-runner.ts";
import type { Upstreams } from "./upstream.ts";
import type { FleetView } from "./view.ts";

export interface TurnDeps {
  view: FleetView;
  gate: Gate;
  upstreams: Upstreams;
  runner: TurnRunner;
  clock: Clock;
  log: Log;
  peerToken: () => string;
  /** How often a peer that runs a turn says so, ms. */
  aliveMs: number;
}

export interface Turn {
  runId: string;
  shard: ShardId;
  agent: string;
  session: string;
  message: string;
  /** True when the run id may be older than this request (it has an Idempotency-Key). */
  mayHaveRun: boolean;
  budgetMs: number;
  requestId: string;
  /** An attempt on this owner begins. */
  onOwner?: (node: NodeId, epoch: number) => void;
  onDelta?: (text: string) => void;
  /** What was streamed so far is void: the whole answer follows. */
  onResumed?: () => void;
}

export interface TurnAnswer extends TurnResult {
  node: NodeId;
  epoch: number;
}

/** OpenClaw refused the turn (closing, busy): pause before the next try, ms. */
const REFUSED_PAUSE_MS = 250;

/**
 * Runs one turn to its end, over as many owners as it takes. The run id stays the same; once a turn
 * may have begun, every further attempt says so (`mayHaveRun`), and the gateway's history decides.
 * `signal` is the client's wish to cancel, not the loss of its connection.
 * Throws RouterError or ClientGone.
 */
export async function runTurn(
  deps: TurnDeps,
  turn: Turn,
  signal: AbortSignal,
): Promise<TurnAnswer> {
  const deadline = deps.clock.now() + turn.budgetMs;
  const state: Progress = {
    mayHaveRun: turn.mayHaveRun,
    reached: false,
    streamed: false,
    resumed: false,
  };
  let slot: Slot | null = null;
  try {
    slot = await deps.gate.enter({
      shard: turn.shard,
      session: `${turn.agent}\0${turn.session}`,
      bytes: Buffer.byteLength(turn.message),
      waitMs: Math.min(HOLD.requestMs, turn.budgetMs),
      signal,
    });
    for (;;) {
      const budgetMs = deadline - deps.clock.now();
      if (budgetMs <= 0) throw budgetOver(state.mayHaveRun, turn);
      const { route } = slot;
      const node = route.at === "here" ? deps.view.node : route.node;
      turn.onOwner?.(node, route.epoch);
      const order: TurnOrder = {
        runId: turn.runId,
        shard: turn.shard,
        agent: turn.agent,
        session: turn.session,
        message: turn.message,
        mayHaveRun: state.mayHaveRun,
        budgetMs,
      };
      try {
        const listener = listen(turn, state, slot);
        const result = await onOwner(deps, order, route, listener, turn.requestId, signal);
        if (state.resumed && state.streamed) turn.onResumed?.();
        return { ...result, node, epoch: route.epoch };
      } catch (error) {
        const turnError = asTurnError(error, state.mayHaveRun);
        if (signal.aborted) throw new ClientGone("the client left");
        if (turnError.reached) {
          state.mayHaveRun = true;
          state.reached = true;
        }
        if (state.streamed) state.resumed = true;
        slot = await next(deps, turn, turnError, state, slot, deadline);
      }
    }
  } finally {
    slot?.done();
  }
}

interface Progress {
  /** Some owner may have begun it: history decides from here on. */
  mayHaveRun: boolean;
  /** This request itself reached a gateway. */
  reached: boolean;
  /** Parts of the answer went to the client. */
  streamed: boolean;
  /** They are void: an attempt ended after them. */
  resumed: boolean;
}

/** What follows a failed attempt: a place in line for the next, or the end. */
async function next(
  deps: TurnDeps,
  turn: Turn,
  error: TurnError,
  state: Progress,
  slot: Slot,
  deadline: number,
): Promise<Slot> {
  switch (error.kind) {
    case "failed":
      throw new RouterError("model_error", error.message);
    case "timeout":
      throw budgetOver(true, turn);
    case "aborted":
      throw new RouterError("conflict", `the turn was cancelled on its gateway: ${error.message}`);
    case "refused":
    case "lost":
      break;
  }
  if (error.kind === "lost") {
    deps.log.info(
      { shard: turn.shard, agent: turn.agent, requestId: turn.requestId, reached: error.reached },
      "a turn lost its owner and waits for the next",
    );
  }
  const afterMs = error.kind === "refused" ? REFUSED_PAUSE_MS : 0;
  if (!state.reached) return slot.again(error.message, afterMs);
  try {
    // A turn that may run already is waited for as long as it may take.
    return await slot.again(error.message, afterMs, Math.max(0, deadline - deps.clock.now()));
  } catch (failure) {
    if (!(failure instanceof RouterError)) throw failure;
    if (failure.code === "no_owner") throw budgetOver(true, turn);
    throw new RouterError(
      "owner_lost",
      `the turn was begun, then its shard was lost: ${failure.message}`,
    );
  }
}

function listen(turn: Turn, state: Progress, slot: Slot): TurnListener {
  return {
    onReached: () => {
      state.mayHaveRun = true;
      state.reached = true;
      slot.reached();
    },
    onDelta: (text) => {
      // After a loss the parts would repeat what the client has; the whole answer comes at the end.
      if (!turn.onDelta || state.resumed) return;
      state.streamed = true;
      turn.onDelta(text);
    },
  };
}

function onOwner(
  deps: TurnDeps,
  order: TurnOrder,
  route: LiveRoute,
  listener: TurnListener,
  requestId: string,
  signal: AbortSignal,
): Promise<TurnResult> {
  if (route.at === "peer") return onPeer(deps, order, route, listener, requestId, signal);
  const cancel = () => deps.runner.abort(order.runId);
  signal.addEventListener("abort", cancel, { once: true });
  return deps.runner
    .run(route, order, listener)
    .finally(() => signal.removeEventListener("abort", cancel));
}

function asTurnError(error: unknown, reached: boolean): TurnError {
  if (error instanceof TurnError) return error;
  return new TurnError("lost", error instanceof Error ? error.message : String(error), reached);
}

function budgetOver(begun: boolean, turn: Turn): RouterError {
  if (!begun) {
    return new RouterError("no_owner", `shard ${turn.shard} had no ready owner in time`, 5);
  }
  return new RouterError(
    "in_progress",
    `the turn took longer than its budget of ${turn.budgetMs / 1000} s and may still run; with an Idempotency-Key the same request fetches its answer`,
    30,
  );
}
