import type { Clock } from "../clock.ts";
import { Attempts, type RunState } from "./attempts.ts";
import { type HistoryRow, isContention, sumUsage, textOfRow } from "./history.ts";
import { asTurnError, Patience } from "./patience.ts";
import { type Reopenings, TurnError, type TurnRequest, type TurnResult } from "./port.ts";
import { CallTimeout, ConnectionLost, GatewayCallError, type GatewaySocket } from "./socket.ts";
import { isClosed, Successors } from "./successors.ts";
import { lookUp, MAX_ATTEMPTS, sessionKey } from "./transcript.ts";

/** What one run said so far, from events. */
interface Watch {
  emitted: string;
  /** The model was heard. */
  spoke: boolean;
  rows: HistoryRow[];
  onDelta?: (text: string) => void;
  settle: (outcome: Outcome) => void;
  /** Resolves with the first row that has usage, or a moment after the end. */
  counted: PromiseWithResolvers<void>;
}

type Outcome =
  | { end: "final"; text: string }
  | { end: "error"; message: string }
  | { end: "aborted" }
  | { end: "lost" };

/** How often a turn that OpenClaw itself will answer is looked at when no event tells. */
const LOOK_MS = 1_000;
/** A run's end is told before its answer's row is there; on a busy machine seconds before, ms. */
const ROW_MS = 5_000;
/** A run without its end for this long is asked for: an event may have been missed. */
const QUIET_MS = 15_000;
/** The row with a run's usage may come this much after its final event. */
const USAGE_MS = 300;

/** Turns of one gateway: at most one of ours at a time in a session, each run once. */
export class Turns {
  readonly #socket: Pick<GatewaySocket, "call">;
  readonly #clock: Clock;
  readonly #watches = new Map<string, Watch>();
  readonly #queues = new Map<string, Promise<void>>();
  readonly #listeners = new Map<string, Set<() => void>>();
  readonly #successors: Successors;

  constructor(
    socket: Pick<GatewaySocket, "call">,
    admin: Pick<GatewaySocket, "call">,
    clock: Clock,
  ) {
    this.#socket = socket;
    this.#successors = new Successors(socket, admin, clock);
    this.#clock = clock;
  }

  /**
   * A message that reaches a busy session is queued or merged by OpenClaw and answered under another
   * id, and a crash drops the queue. So turns of one session wait here for each other.
   */
  async run(request: TurnRequest): Promise<TurnResult> {
    const patience = new Patience(this.#clock, request);
    const session = sessionKey(request.agent, request.session);
    const before = this.#queues.get(session) ?? Promise.resolve();
    const mine = Promise.withResolvers<void>();
    const tail = before.then(() => mine.promise);
    this.#queues.set(session, tail);
    try {
      await patience.hold(before, request.mayHaveRun);
      return await this.#turn(request, session, patience);
    } finally {
      mine.resolve();
      // The last of a session forgets it; a later one has put its own tail there.
      if (this.#queues.get(session) === tail) this.#queues.delete(session);
    }
  }

  /** As GatewayPort has it. */
  async presentSession(key: string): Promise<string> {
    await this.#successors.follow(key);
    return this.#successors.of(key);
  }

  /** As GatewayPort has it. */
  reopenBots(all: boolean): Promise<Reopenings> {
    return this.#successors.reopenBots(all);
  }

  /** Feeds an event of the connection. */
  onEvent(event: string, payload: unknown): void {
    if (event !== "session.message" && event !== "chat") return;
    const data = payload as {
      runId?: string;
      sessionKey?: string;
      state?: string;
      message?: HistoryRow;
      errorMessage?: string;
    } | null;
    if (!data) return;
    if (event === "session.message") {
      const watch = this.#watches.get(data.message?.__openclaw?.runId ?? "");
      if (watch && data.message) {
        watch.rows.push(data.message);
        if (data.message.role === "assistant") watch.spoke = true;
        if (data.message.usage) watch.counted.resolve();
      }
      this.#touch(data.sessionKey);
      return;
    }
    if (data.state !== "delta" && data.state !== "status") this.#touch(data.sessionKey);
    const watch = this.#watches.get(data.runId ?? "");
    if (!watch) return;
    const text = data.message ? textOfRow(data.message) : "";
    if (text !== "") watch.spoke = true;
    if (data.state === "delta") emit(watch, text);
    else if (data.state === "final") {
      emit(watch, text);
      watch.settle({ end: "final", text });
    } else if (data.state === "error") {
      watch.settle({ end: "error", message: data.errorMessage ?? "the agent failed" });
    } else if (data.state === "aborted") watch.settle({ end: "aborted" });
  }

  /** The connection ended. */
  onDown(): void {
    for (const watch of this.#watches.values()) watch.settle({ end: "lost" });
    for (const session of [...this.#listeners.keys()]) this.#touch(session);
  }

  async #turn(request: TurnRequest, session: string, patience: Patience): Promise<TurnResult> {
    const attempts = new Attempts();
    let key = request.runId;
    if (request.mayHaveRun) {
      const found = await this.#settled(request, session, patience, attempts);
      if (found.result) return found.result;
      key = found.key;
    }
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const result = await this.#send(request, session, key, patience, attempts);
      if (result) return result;
      // Queued behind a run that is not ours, or its end was not its answer: the transcript tells.
      const found = await this.#settled(request, session, patience, attempts);
      if (found.result) return found.result;
      key = found.key;
      await attempts.pause(patience, attempt);
    }
    throw attempts.tooOften();
  }

  /** Looks at the transcript until it has an answer, or says under which key to send (again). */
  async #settled(
    request: TurnRequest,
    session: string,
    patience: Patience,
    attempts: Attempts,
  ): Promise<{ result: TurnResult | null; key: string }> {
    /** What was left of the turn's time when its run was first seen ended without an answer. */
    let endedAtLeft: number | null = null;
    for (;;) {
      const present = this.#successors.of(session);
      const moved = this.#nextMove(present);
      try {
        const look = lookUp(this.#socket, present, request.runId, attempts.burnt);
        const { trace, key } = await patience.hold(look, true);
        if (trace.state === "answered") {
          const { reply, usage } = trace;
          const recovered = trace.recovered || request.mayHaveRun;
          return { result: { reply, usage, recovered }, key };
        }
        if (attempts.ended) throw attempts.ended;
        if (trace.state === "failed") throw new TurnError("failed", trace.message, true);
        if (trace.state === "dropped") throw attempts.tooOften();
        if (trace.state === "abandoned") {
          await this.#goOn(session, patience);
          continue;
        }
        const late = trace.state === "unstarted" && trace.late === true;
        endedAtLeft = late ? (endedAtLeft ?? patience.left()) : null;
        const rowMayCome = endedAtLeft !== null && endedAtLeft - patience.left() < ROW_MS;
        if (trace.state !== "waiting" && !rowMayCome) return { result: null, key };
        const end = await patience.race(moved.promise, LOOK_MS);
        // The run's key is not known when OpenClaw took it up by itself: it goes on to its end.
        if (end.why === "cancelled") throw new TurnError("aborted", "the turn was cancelled", true);
      } catch (error) {
        // A gateway that boots on a busy machine stands still for half a minute at times.
        if (!(error instanceof CallTimeout) || patience.left() === 0)
          throw asTurnError(error, true);
      } finally {
        moved.stop();
      }
    }
  }

  /** Null: the run's own events do not tell its answer. */
  async #send(
    request: TurnRequest,
    session: string,
    key: string,
    patience: Patience,
    attempts: Attempts,
  ): Promise<TurnResult | null> {
    const outcome = Promise.withResolvers<Outcome>();
    const counted = Promise.withResolvers<void>();
    const settle = (value: Outcome) => {
      outcome.resolve(value);
      setTimeout(counted.resolve, USAGE_MS).unref();
    };
    const watch: Watch = {
      emitted: "",
      spoke: false,
      rows: [],
      onDelta: request.onDelta,
      settle,
      counted,
    };
    this.#watches.set(key, watch);
    const present = this.#successors.of(session);
    try {
      const ack = await patience.hold(
        this.#socket.call<{ status?: string }>(
          "chat.send",
          { sessionKey: present, message: request.message, idempotencyKey: key },
          { onSend: request.onReached, timeoutMs: patience.left() + 1 },
        ),
        true,
      );
      if (ack.status === "ok") {
        // Such a key is answered for without a word of the session that it ran in.
        await this.#inSuccessor(session, patience);
        return null;
      }
      for (;;) {
        const end = await patience.race(outcome.promise, QUIET_MS);
        if (end.why === "quiet") {
          if (await patience.hold(this.#ended(key), true)) return null;
        } else if (end.why === "value") {
          return await this.#answer(end.value, key, watch, patience, attempts);
        } else if (end.why === "cancelled") {
          this.#abort(present, key);
          throw new TurnError("aborted", "the turn was cancelled", true);
        } else throw new TurnError("timeout", "the turn's time is over; it may still run", true);
      }
    } catch (error) {
      if (error instanceof GatewayCallError && error.body.code === "UNAVAILABLE") {
        // So it answers too about a run under this key whose end it remembers, and when it was queued.
        const run = await this.#state(key).catch((): RunState => ({}));
        if (attempts.refused(key, error.body.message, run)) return null;
      }
      if (isClosed(error)) {
        await this.#goOn(session, patience);
        return null;
      }
      const unsent = error instanceof ConnectionLost && !error.sent;
      throw asTurnError(error, !unsent || request.mayHaveRun);
    } finally {
      this.#watches.delete(key);
    }
  }

  /** Null: what ended is not the answer, and the transcript tells more. */
  async #answer(
    outcome: Outcome,
    key: string,
    watch: Watch,
    patience: Patience,
    attempts: Attempts,
  ): Promise<TurnResult | null> {
    if (outcome.end === "final") {
      // Empty: queued behind another client's run (measured), or an agent with nothing to say.
      if (outcome.text === "") return null;
      if (sumUsage(watch.rows) === null) await watch.counted.promise;
      return { reply: outcome.text, usage: sumUsage(watch.rows), recovered: false };
    }
    if (outcome.end === "lost") {
      throw new TurnError("lost", "the connection to the gateway ended during the turn", true);
    }
    const error =
      outcome.end === "error"
        ? new TurnError("failed", outcome.message, true)
        : new TurnError("aborted", "the turn was aborted in OpenClaw", true);
    if (outcome.end === "error" && !isContention(outcome.message)) throw error;
    // Busy storage ends a run at any point, also after its answer was stored (both measured).
    const run = await patience.hold(this.#state(key), true);
    if (outcome.end === "error" || isContention(run.error ?? "")) {
      attempts.broken(key, run, watch.spoke, run.error ?? error.message);
    } else if (run.error !== undefined && run.stopReason === "stop") {
      // Nobody stopped it: so ends an agent that said nothing, with its error a moment later.
      attempts.end(new TurnError("failed", run.error, true));
    } else attempts.end(error);
    return null;
  }

  /** True when the session goes on in another one that was not known here. */
  async #inSuccessor(session: string, patience: Patience): Promise<boolean> {
    try {
      return await patience.hold(this.#successors.follow(session), true);
    } catch (error) {
      throw asTurnError(error, true);
    }
  }

  /** In a successor of a session that OpenClaw closed. */
  async #goOn(session: string, patience: Patience): Promise<void> {
    if (await this.#inSuccessor(session, patience)) return;
    throw new TurnError("failed", "OpenClaw gave the turn up and does not go on with it", true);
  }

  /** True once OpenClaw calls the run finished. */
  async #ended(key: string): Promise<boolean> {
    try {
      const { status } = await this.#state(key);
      return status === "ok" || status === "error";
    } catch (error) {
      if (error instanceof CallTimeout) return false;
      throw error;
    }
  }

  /** What the gateway remembers of a run that it was given itself. */
  #state(key: string): Promise<RunState> {
    return this.#socket.call<RunState>("agent.wait", { runId: key, timeoutMs: 0 });
  }

  #abort(session: string, key: string): void {
    // Best effort: the person is gone, and the run ends by itself otherwise.
    this.#socket.call("chat.abort", { sessionKey: session, runId: key }).catch(() => {});
  }

  #touch(session: string | undefined): void {
    if (session === undefined) return;
    for (const listener of [...(this.#listeners.get(session) ?? [])]) listener();
  }

  /** Resolves at the session's next event from now on. */
  #nextMove(session: string): { promise: Promise<void>; stop: () => void } {
    const { promise, resolve } = Promise.withResolvers<void>();
    const set = this.#listeners.get(session) ?? new Set();
    set.add(resolve);
    this.#listeners.set(session, set);
    const stop = () => {
      set.delete(resolve);
      if (set.size === 0) this.#listeners.delete(session);
    };
    return { promise, stop };
  }
}

/** Events carry the whole text so far; what was passed on already is not repeated. */
function emit(watch: Watch, text: string): void {
  if (!watch.onDelta || !text.startsWith(watch.emitted) || text === watch.emitted) return;
  watch.onDelta(text.slice(watch.emitted.length));
  watch.emitted = text;
}
