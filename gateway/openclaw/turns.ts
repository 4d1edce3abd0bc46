import type { Clock } from "../clock.ts";
import {
  type HistoryPage,
  type HistoryRow,
  sumUsage,
  type TurnTrace,
  textOfRow,
  traceTurn,
} from "./history.ts";
import { TurnError, type TurnRequest, type TurnResult } from "./port.ts";
import { CallTimeout, ConnectionLost, GatewayCallError, type GatewaySocket } from "./socket.ts";

/** What one run said so far, from events. */
interface Watch {
  emitted: string;
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
  | { end: "lost" }
  | { end: "deadline" }
  | { end: "cancelled" }
  /** No event for a while: ask. */
  | { end: "quiet" };

/** Rows of one page of history; OpenClaw's limit is 1,000. */
const PAGE_ROWS = 200;
/** Rows looked through for a key before it counts as absent. */
const MAX_ROWS = 10_000;
/** Longest text of a row that OpenClaw hands out; its default cuts long answers. */
const MAX_ROW_CHARS = 500_000;
/** How often a turn that OpenClaw itself will answer is looked at when no event tells. */
const LOOK_MS = 1_000;
/** A run without any event for this long is asked for: an event may have been missed. */
const QUIET_MS = 15_000;
/** The row with a run's usage may come this much after its final event. */
const USAGE_MS = 300;
/** Times a turn is sent under a new key because a crash ended the queue it waited in. */
const MAX_ATTEMPTS = 8;

export function sessionKey(agent: string, session: string): string {
  return `agent:${agent}:${session}`.toLowerCase();
}

/** Key of the n-th attempt (from 0). The first is the run id itself. */
export function attemptKey(runId: string, attempt: number): string {
  return attempt === 0 ? runId : `${runId}.${attempt + 1}`;
}

/** What a page tells of a run, and under which key it stands or is to be sent. */
export function traceRun(page: HistoryPage, runId: string): { trace: TurnTrace; key: string } {
  for (let attempt = 0; ; attempt++) {
    const key = attemptKey(runId, attempt);
    const trace = traceTurn(page, key);
    if (trace.state !== "dropped" || attempt === MAX_ATTEMPTS - 1) return { trace, key };
  }
}

/** Turns of one gateway: at most one of ours at a time in a session, each run once. */
export class Turns {
  readonly #socket: GatewaySocket;
  readonly #clock: Clock;
  readonly #watches = new Map<string, Watch>();
  readonly #queues = new Map<string, Promise<unknown>>();
  readonly #moved = new Map<string, Set<() => void>>();

  constructor(socket: GatewaySocket, clock: Clock) {
    this.#socket = socket;
    this.#clock = clock;
  }

  /**
   * A message that reaches a busy session is queued or merged by OpenClaw and answered under another
   * id, and a crash drops the queue. So turns of one session wait here for each other.
   */
  async run(request: TurnRequest): Promise<TurnResult> {
    const deadline = this.#clock.now() + request.budgetMs;
    const session = sessionKey(request.agent, request.session);
    const before = this.#queues.get(session) ?? Promise.resolve();
    let release = () => {};
    const mine = new Promise<void>((resolve) => {
      release = resolve;
    });
    const tail = before.then(() => mine);
    this.#queues.set(session, tail);
    try {
      await this.#orGivenUp(before, request, deadline, false);
      return await this.#turn(request, session, deadline);
    } finally {
      release();
      if (this.#queues.get(session) === tail) this.#queues.delete(session);
    }
  }

  /** Feeds an event of the connection. */
  onEvent(event: string, payload: unknown): void {
    const data = payload as {
      runId?: string;
      sessionKey?: string;
      state?: string;
      message?: HistoryRow;
      errorMessage?: string;
    } | null;
    if (!data) return;
    if (event === "session.message") {
      const run = data.message?.__openclaw?.runId;
      const watch = run === undefined ? undefined : this.#watches.get(run);
      if (watch && data.message) {
        watch.rows.push(data.message);
        if (data.message.usage) watch.counted.resolve();
      }
      this.#touch(data.sessionKey);
      return;
    }
    if (event !== "chat") return;
    const watch = data.runId === undefined ? undefined : this.#watches.get(data.runId);
    if (data.state === "final" || data.state === "error" || data.state === "aborted") {
      this.#touch(data.sessionKey);
    }
    if (!watch) return;
    const text = data.message ? textOfRow(data.message) : "";
    if (data.state === "delta") this.#emit(watch, text);
    else if (data.state === "final") {
      if (text !== "") this.#emit(watch, text);
      watch.settle({ end: "final", text });
    } else if (data.state === "error") {
      watch.settle({ end: "error", message: data.errorMessage ?? "the agent failed" });
    } else if (data.state === "aborted") watch.settle({ end: "aborted" });
  }

  /** The connection ended. */
  onDown(): void {
    for (const watch of this.#watches.values()) watch.settle({ end: "lost" });
    for (const session of this.#moved.keys()) this.#touch(session);
  }

  /** Deltas carry the whole text so far; what was passed on already is not repeated. */
  #emit(watch: Watch, text: string): void {
    if (!watch.onDelta || text.length <= watch.emitted.length) return;
    if (text.startsWith(watch.emitted)) watch.onDelta(text.slice(watch.emitted.length));
    else return;
    watch.emitted = text;
  }

  async #turn(request: TurnRequest, session: string, deadline: number): Promise<TurnResult> {
    let key = request.runId;
    if (request.mayHaveRun) {
      const found = await this.#settled(request, session, deadline, true);
      if (found.result) return found.result;
      key = found.key;
    }
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const done = await this.#send(request, session, key, deadline);
      if (done) return done;
      // Queued behind a run that is not ours, or finished unseen: the transcript tells.
      const found = await this.#settled(request, session, deadline, true);
      if (found.result) return found.result;
      key = found.key;
    }
    throw new TurnError("failed", "OpenClaw dropped the turn from its queue again and again", true);
  }

  /** Looks at the transcript until it has an answer, or says that the turn is to be sent (again). */
  async #settled(
    request: TurnRequest,
    session: string,
    deadline: number,
    reached: boolean,
  ): Promise<{ result: TurnResult | null; key: string }> {
    for (;;) {
      const moved = this.#onMoved(session);
      try {
        const { trace, key } = await this.#orGivenUp(
          this.#look(session, request.runId),
          request,
          deadline,
          reached,
        );
        if (trace.state === "answered") {
          const { reply, usage, recovered } = trace;
          return { result: { reply, usage, recovered: recovered || request.mayHaveRun }, key };
        }
        if (trace.state === "failed") throw new TurnError("failed", trace.message, true);
        if (trace.state !== "waiting") return { result: null, key };
        reached = true;
        await this.#orGivenUp(moved.wait(LOOK_MS), request, deadline, true);
      } catch (error) {
        throw asTurnError(error, reached);
      } finally {
        moved.stop();
      }
    }
  }

  async #look(session: string, runId: string): Promise<{ trace: TurnTrace; key: string }> {
    const keys = Array.from({ length: MAX_ATTEMPTS }, (_, n) => attemptKey(runId, n));
    const all: HistoryPage = { messages: [] };
    let offset = 0;
    for (;;) {
      const page = await this.#socket.call<
        HistoryPage & { hasMore?: boolean; nextOffset?: number }
      >("chat.history", {
        sessionKey: session,
        limit: PAGE_ROWS,
        maxChars: MAX_ROW_CHARS,
        ...(offset === 0 ? { inputRunIds: keys } : { offset }),
      });
      if (offset === 0) {
        all.pendingInputs = page.pendingInputs;
        all.inputReceipts = page.inputReceipts;
        all.sessionInfo = page.sessionInfo;
      }
      all.messages.unshift(...page.messages);
      const found = traceRun(all, runId);
      if (found.trace.state !== "absent") return found;
      if (!page.hasMore || page.nextOffset === undefined || all.messages.length >= MAX_ROWS) {
        return found;
      }
      offset = page.nextOffset;
    }
  }

  /** Null: the run's own events do not tell its answer. */
  async #send(
    request: TurnRequest,
    session: string,
    key: string,
    deadline: number,
  ): Promise<TurnResult | null> {
    const outcome = Promise.withResolvers<Outcome>();
    const watch: Watch = {
      emitted: "",
      rows: [],
      onDelta: request.onDelta,
      settle: (value) => {
        outcome.resolve(value);
        setTimeout(watch.counted.resolve, USAGE_MS).unref();
      },
      counted: Promise.withResolvers<void>(),
    };
    this.#watches.set(key, watch);
    try {
      const ack = await this.#orGivenUp(
        this.#socket.call<{ status?: string }>(
          "chat.send",
          { sessionKey: session, message: request.message, idempotencyKey: key },
          { onSend: request.onReached, timeoutMs: Math.max(1, deadline - this.#clock.now()) },
        ),
        request,
        deadline,
        true,
      );
      if (ack.status === "ok") return null;
      for (;;) {
        const value = await this.#outcome(outcome.promise, request, deadline);
        if (value.end === "quiet") {
          if (await this.#ended(key)) return null;
          continue;
        }
        if (value.end === "final") {
          // Empty: queued behind another client's run (measured), or an agent with nothing to say.
          if (value.text === "") return null;
          if (sumUsage(watch.rows) === null) await watch.counted.promise;
          return { reply: value.text, usage: sumUsage(watch.rows), recovered: false };
        }
        if (value.end === "error") throw new TurnError("failed", value.message, true);
        if (value.end === "lost") {
          throw new TurnError("lost", "the connection to the gateway ended during the turn", true);
        }
        if (value.end === "deadline") {
          throw new TurnError("timeout", "the turn's time is over; it may still run", true);
        }
        if (value.end === "cancelled") {
          this.#abort(session, key);
          throw new TurnError("aborted", "the turn was cancelled", true);
        }
        throw new TurnError("aborted", "the turn was aborted in OpenClaw", true);
      }
    } catch (error) {
      const unsent = error instanceof ConnectionLost && !error.sent;
      throw asTurnError(error, !unsent || request.mayHaveRun);
    } finally {
      this.#watches.delete(key);
    }
  }

  /** True once OpenClaw calls the run finished. */
  async #ended(key: string): Promise<boolean> {
    const status = await this.#socket.call<{ status?: string }>("agent.wait", {
      runId: key,
      timeoutMs: 0,
    });
    return status.status === "ok" || status.status === "error";
  }

  #abort(session: string, key: string): void {
    // Best effort: the person is gone, and the run ends by itself otherwise.
    this.#socket.call("chat.abort", { sessionKey: session, runId: key }).catch(() => {});
  }

  #outcome(events: Promise<Outcome>, request: TurnRequest, deadline: number): Promise<Outcome> {
    const left = deadline - this.#clock.now();
    const quiet = left > QUIET_MS;
    return new Promise((resolve) => {
      const cancelled = () => finish({ end: "cancelled" });
      const timer = setTimeout(
        () => finish({ end: quiet ? "quiet" : "deadline" }),
        Math.max(0, quiet ? QUIET_MS : left),
      );
      const finish = (outcome: Outcome) => {
        clearTimeout(timer);
        request.signal?.removeEventListener("abort", cancelled);
        resolve(outcome);
      };
      void events.then(finish);
      if (request.signal?.aborted) cancelled();
      else request.signal?.addEventListener("abort", cancelled);
    });
  }

  /** The promise, unless the turn's time or the caller's patience ends first. */
  #orGivenUp<T>(
    promise: Promise<T>,
    request: TurnRequest,
    deadline: number,
    reached: boolean,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const abort = () => give(new TurnError("aborted", "the turn was cancelled", reached));
      const timer = setTimeout(
        () => give(new TurnError("timeout", "the turn's time is over; it may still run", reached)),
        Math.max(0, deadline - this.#clock.now()),
      );
      const clean = () => {
        clearTimeout(timer);
        request.signal?.removeEventListener("abort", abort);
      };
      const give = (error: Error) => {
        clean();
        reject(error);
      };
      if (request.signal?.aborted) abort();
      else request.signal?.addEventListener("abort", abort);
      promise.then((value) => {
        clean();
        resolve(value);
      }, give);
    });
  }

  #touch(session: string | undefined): void {
    if (session === undefined) return;
    for (const listener of [...(this.#moved.get(session) ?? [])]) listener();
  }

  /** Notices events of a session from now on; `wait` ends at the first one, or after `ms`. */
  #onMoved(session: string): { wait: (ms: number) => Promise<void>; stop: () => void } {
    const moved = Promise.withResolvers<void>();
    const set = this.#moved.get(session) ?? new Set();
    const listener = () => moved.resolve();
    set.add(listener);
    this.#moved.set(session, set);
    return {
      wait: (ms) =>
        new Promise((resolve) => {
          const timer = setTimeout(resolve, ms);
          void moved.promise.then(() => {
            clearTimeout(timer);
            resolve();
          });
        }),
      stop: () => {
        set.delete(listener);
        if (set.size === 0 && this.#moved.get(session) === set) this.#moved.delete(session);
      },
    };
  }
}

/** OpenClaw's errors in the words of the port. */
export function asTurnError(error: unknown, reached: boolean): TurnError {
  if (error instanceof TurnError) return error;
  if (error instanceof ConnectionLost) {
    return new TurnError("lost", error.message, reached);
  }
  if (error instanceof CallTimeout) return new TurnError("timeout", error.message, reached);
  if (error instanceof GatewayCallError) {
    // UNAVAILABLE: admission is closed or its queue is full; the turn was not begun.
    if (error.body.code === "UNAVAILABLE")
      return new TurnError("refused", error.body.message, false);
    return new TurnError("failed", error.body.message, true);
  }
  return new TurnError("failed", error instanceof Error ? error.message : String(error), reached);
}
