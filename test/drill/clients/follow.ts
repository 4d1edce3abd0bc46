import { Attempts, type RunState } from "../../../gateway/openclaw/attempts.ts";
import { TurnError } from "../../../gateway/openclaw/port.ts";
import type { GatewaySocket } from "../../../gateway/openclaw/socket.ts";
import { type Successors, saysClosed } from "../../../gateway/openclaw/successors.ts";
import { lookUp } from "../../../gateway/openclaw/transcript.ts";
import { Refusal } from "./types.ts";

/** A turn whose connection ended before its answer came. */
export interface LostTurn {
  /** `agent:<agent>:<session>`. */
  session: string;
  message: string;
  /** `idempotencyKey` of its `chat.send`. */
  runId: string;
}

export type End =
  | { end: "answered"; reply: string }
  /** OpenClaw ended it without an answer. */
  | { end: "failed"; message: string }
  /** The question never got there. */
  | { end: "absent" };

/** Looks, a second apart, before such an end is believed. */
const DOUBTS = 5;

/**
 * What a client of the raw protocol has to do about a lost turn (docs/api.md): read the history, wait
 * for a run that goes on, ask again where OpenClaw wrote the question down and forgot it, and go on in
 * the successor of a session that OpenClaw closed.
 */
export class FollowUp {
  readonly #turn: LostTurn;
  readonly #successors: Successors;
  readonly #attempts = new Attempts();
  /** OpenClaw knew of the turn once: from then on it is followed to its end. */
  #seen: boolean;
  /** Looks in a row that found its run ended without an answer. */
  #doubts = 0;

  /** @param taken OpenClaw has said that it has the turn. */
  constructor(turn: LostTurn, successors: Successors, taken = false) {
    this.#turn = turn;
    this.#successors = successors;
    this.#seen = taken;
  }

  /**
   * One look, and at most one `chat.send`. Null: nothing is decided, look again in a moment.
   *
   * All calls must go over one connection, so that the gateway that is asked again is the one that
   * was looked at: its successor might be taking up a run that began after the look.
   */
  async step(connection: Pick<GatewaySocket, "call">): Promise<End | null> {
    const { message, runId } = this.#turn;
    const session = this.#successors.of(this.#turn.session);
    const { trace, key } = await lookUp(connection, session, runId, this.#attempts.burnt);
    if (trace.state === "answered") return { end: "answered", reply: trace.reply };
    if (this.#attempts.ended) return { end: "failed", message: this.#attempts.ended.message };
    if (trace.state === "failed") return { end: "failed", message: trace.message };
    if (trace.state === "dropped") {
      return { end: "failed", message: this.#attempts.tooOften().message };
    }
    if (trace.state === "absent" && key === runId && !this.#seen) return { end: "absent" };
    this.#seen = true;
    if (trace.state === "waiting") return null;
    if (trace.state === "abandoned") return await this.#goOn();
    // Its run may have ended a moment ago, with the answer's row still to come.
    this.#doubts = trace.state === "unstarted" && trace.late ? this.#doubts + 1 : 0;
    if (this.#doubts > 0 && this.#doubts <= DOUBTS) return null;
    try {
      // A gateway that still has the run says `in_flight`, one that ended it `ok`: no second run.
      await connection.call("chat.send", { sessionKey: session, message, idempotencyKey: key });
    } catch (error) {
      if (isClosed(error)) return await this.#goOn();
      if (!(error instanceof Refusal) || error.code !== "UNAVAILABLE") throw error;
      const run = await connection
        .call<RunState>("agent.wait", { runId: key, timeoutMs: 0 })
        .catch((): RunState => ({}));
      this.#attempts.refused(key, error.message, run);
    }
    return null;
  }

  /** In the successor of a session that OpenClaw closed: the next look is there. */
  async #goOn(): Promise<End | null> {
    try {
      if (await this.#successors.follow(this.#turn.session)) return null;
      return { end: "failed", message: "OpenClaw gave the turn up and does not go on with it" };
    } catch (error) {
      if (error instanceof TurnError) return { end: "failed", message: error.message };
      throw error;
    }
  }
}

/** True when a turn was refused, and nothing of it begun, because its session is closed. */
export function isClosed(error: unknown): boolean {
  return error instanceof Refusal && saysClosed(error.message);
}
