import { setTimeout as pause } from "node:timers/promises";
import { bootClock } from "../clock.ts";
import {
  CONTINUATION,
  type HistoryPage,
  type HistoryRow,
  isAnswered,
  isClosing,
} from "./history.ts";
import { isTombstoned, type SessionRow } from "./session-rows.ts";
import type { GatewaySocket } from "./socket.ts";

/** Key of the copy by which a closed session is opened again; it names what it is a copy of. */
const COPY = /^agent:[^:]+:openclaw-fleet:closed:([^:]+)$/;
/** OpenClaw's own words to a session that goes on from a closed one (`sessions.recover`, 2026.9). */
const GO_ON = `${CONTINUATION} and finish the interrupted work.`;
/** Rows of one page of history, and rows looked through for the closing at most. */
const PAGE_ROWS = 50;
const MAX_ROWS = 10_000;
/** How long one question about a run waits for its end, ms. */
const WAIT_MS = 10_000;
/** Pause before a question that would be answered at once, as of a run in a queue, ms. */
const AGAIN_MS = 1_000;
/** Nobody waits longer for a run of which OpenClaw tells no end, ms. */
const MOST_MS = 3_600_000;
const ARCHIVED_BY_RECOVERY = "restart-recovery";

/** What is left to do of a session that is open again. */
export interface Reopened {
  key: string;
  copy: string;
}

/**
 * Opens closed sessions again under their own keys, with their history. OpenClaw has no call for that; a session that
 * is made anew from another one's transcript is open, so it is made from a copy of its own. The copy stays until the
 * interrupted turn was gone on with: whoever finds one finishes what somebody else began (decision 259).
 */
export class Reopening {
  readonly #socket: Pick<GatewaySocket, "call">;

  /** @param socket one that may delete sessions (operator.admin) */
  constructor(socket: Pick<GatewaySocket, "call">) {
    this.#socket = socket;
  }

  /** True when the session is closed, or was opened again and is not out of the archive yet. */
  static needs(row: SessionRow): boolean {
    return (
      isTombstoned(row) || (row.archived === true && row.archiveReason === ARCHIVED_BY_RECOVERY)
    );
  }

  /** True for the key of a copy; it may be left of an opening that was cut off. */
  static isCopy(key: string): boolean {
    return COPY.test(key);
  }

  /** Opens a session that has no successor. Throws what a call throws; called again, it goes on. */
  async open(row: SessionRow): Promise<Reopened> {
    const copy = `agent:${row.key.split(":")[1]}:openclaw-fleet:closed:${row.sessionId}`;
    await this.#make(copy, row.key);
    await this.#make(row.key, copy);
    return { key: row.key, copy };
  }

  /** Opens one whose successor has gone on with the interrupted turn, with what was said there. */
  async openFrom(row: SessionRow, successor: string): Promise<void> {
    const { sessionId: made } = isTombstoned(row) ? await this.#make(row.key, successor) : row;
    await this.#socket.call("sessions.patch", {
      key: row.key,
      archived: false,
      expectedSessionId: made,
    });
  }

  /** Has the interrupted turn gone on with, once, its answer sent where the bot's go; resolves when it is over. */
  async goOn({ key, copy }: Reopened): Promise<void> {
    const runId = `reopened:${COPY.exec(copy)?.[1]}`;
    const rows = await this.#sinceClosing(key);
    const asked = rows.some((row) => row.idempotencyKey === `${runId}:user`);
    if (!asked && !isAnswered(rows)) {
      await this.#socket.call("agent", {
        sessionKey: key,
        message: GO_ON,
        deliver: true,
        channel: "last",
        bestEffortDeliver: true,
        idempotencyKey: runId,
      });
      await ended(this.#socket, runId);
    }
    await this.#socket.call("sessions.delete", { key: copy });
  }

  /** The last rows, back to before the closing: a run that was begun since may have written very many. */
  async #sinceClosing(key: string): Promise<HistoryRow[]> {
    const rows: HistoryRow[] = [];
    for (let offset = 0; ; ) {
      const page = await this.#socket.call<
        HistoryPage & { hasMore?: boolean; nextOffset?: number }
      >("chat.history", {
        sessionKey: key,
        limit: PAGE_ROWS,
        ...(offset === 0 ? {} : { offset }),
      });
      rows.unshift(...page.messages);
      const enough = rows.findIndex(isClosing) > 0 || rows.length >= MAX_ROWS;
      if (enough || !page.hasMore || page.nextOffset === undefined) return rows;
      offset = page.nextOffset;
    }
  }

  #make(key: string, from: string): Promise<SessionRow> {
    return this.#socket.call("sessions.create", { key, parentSessionKey: from, fork: true });
  }
}

/** Resolves when OpenClaw calls a run that it was given finished, or has told nothing of an end for an hour. */
export async function ended(
  socket: Pick<GatewaySocket, "call">,
  runId: string | undefined,
): Promise<void> {
  const over = bootClock.now() + MOST_MS;
  for (let begun = bootClock.now(); begun < over; begun = bootClock.now()) {
    const { status, endedAt } = await socket.call<{ status?: string; endedAt?: number }>(
      "agent.wait",
      { runId, timeoutMs: WAIT_MS },
      { timeoutMs: 2 * WAIT_MS },
    );
    // A run that its own timeout ended is called `timeout`, as a wait is that was too short; that one has no end.
    if (status === "ok" || status === "error" || endedAt !== undefined) return;
    if (bootClock.now() - begun < WAIT_MS / 2) await pause(AGAIN_MS, undefined, { ref: false });
  }
}
