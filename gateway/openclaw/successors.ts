import { bootClock, type Clock } from "../clock.ts";
import { type Reopenings, TurnError } from "./port.ts";
import { ended, type Reopened, Reopening } from "./reopening.ts";
import { isBots, isTombstoned, listSessions, type SessionRow } from "./session-rows.ts";
import { GatewayCallError, type GatewaySocket } from "./socket.ts";

/** OpenClaw's words for a session that its recovery closed: crashes ended it too often (docs/openclaw.md). */
const CLOSED = /ended during restart recovery/;
/** What was closed a moment ago changed in these minutes. */
const LATELY_MINUTES = 5;
/** A session that OpenClaw does not open is tried again after this, ms: its reasons seldom go away. */
const REFUSED_MS = 600_000;

/** True when a turn was refused, and nothing of it begun, because its session is closed. */
export function isClosed(error: unknown): boolean {
  return error instanceof GatewayCallError && saysClosed(error.body.message);
}

/** The same by OpenClaw's words, for clients that make their own errors of these. */
export function saysClosed(message: string): boolean {
  return CLOSED.test(message);
}

/**
 * Where the conversations of one gateway go on that its OpenClaw closed: it takes nothing more in a session whose
 * recovery restarts ended too often. Asked to, it makes a successor with the same transcript, takes up the interrupted
 * turn there, and puts the closed one into its archive. A bot's is opened again under its own key, for its channel
 * knows no other. All of this is in OpenClaw's own store, so nothing has to be remembered beyond this process.
 */
export class Successors {
  readonly #socket: Pick<GatewaySocket, "call">;
  readonly #reopening: Reopening | null;
  readonly #clock: Clock;
  readonly #next = new Map<string, string>();
  readonly #following = new Map<string, Promise<boolean>>();
  /** Sessions that are open again, and whose interrupted turn is being gone on with. */
  readonly #goingOn = new Map<string, Promise<void>>();
  /** Bots' sessions that OpenClaw would not open, by key. */
  readonly #refused = new Map<string, { until: number; why: string }>();

  /** @param admin opens bots' sessions again (operator.admin); null: they get successors, as all others */
  constructor(
    socket: Pick<GatewaySocket, "call">,
    admin: Pick<GatewaySocket, "call"> | null = null,
    clock: Clock = bootClock,
  ) {
    this.#socket = socket;
    this.#clock = clock;
    this.#reopening = admin && new Reopening(admin);
  }

  /** The key under which a session goes on, as far as it is known here; its own unless it was closed. */
  of(session: string): string {
    let key = session;
    for (let next = this.#next.get(key); next !== undefined; next = this.#next.get(key)) key = next;
    return key;
  }

  /**
   * Finds the successor of a session if it is closed, or has it made; the interrupted turn is then over. False: it is
   * open, as far as OpenClaw says. Throws TurnError when OpenClaw does not go on with it, and what a call throws.
   */
  async follow(session: string): Promise<boolean> {
    const followed = await this.#settle(session);
    const goingOn = this.#goingOn.get(this.of(session));
    await goingOn;
    return followed || goingOn !== undefined;
  }

  /**
   * Opens the sessions again that OpenClaw closed and a bot serves; the interrupted turns go on behind.
   * @param all also those that were closed long ago, or whose opening was cut off; a look at every session
   * One that OpenClaw refuses to open keeps no other one closed. Throws what a call throws that never arrived.
   */
  async reopenBots(all: boolean): Promise<Reopenings> {
    const found: Reopenings = { opened: [], refused: [] };
    for (const archived of all ? [false, true] : [false]) {
      const rows = listSessions(this.#socket, {
        archived,
        ...(all ? {} : { activeMinutes: LATELY_MINUTES }),
      });
      for await (const row of rows) {
        if (isBots(row) && Reopening.needs(row)) await this.#reopenBot(row, found);
        else this.#finish(row);
      }
    }
    return found;
  }

  async #reopenBot({ key }: SessionRow, found: Reopenings): Promise<void> {
    const known = this.#refused.get(key);
    if (known && this.#clock.now() < known.until) return;
    try {
      if (await this.#settle(key, true)) found.opened.push(key);
      this.#refused.delete(key);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      const why = error.message;
      this.#refused.set(key, { until: this.#clock.now() + REFUSED_MS, why });
      if (why !== known?.why) found.refused.push({ key, why });
    }
  }

  async #settle(session: string, always = false): Promise<boolean> {
    // Two that make a successor at once would have the interrupted turn taken up twice.
    let following = this.#following.get(session);
    if (!following) {
      following = this.#follow(session, always).finally(() => this.#following.delete(session));
      this.#following.set(session, following);
    }
    return await following;
  }

  /** @param always also a successor is no way on: the session's own key is wanted */
  async #follow(session: string, always: boolean): Promise<boolean> {
    let followed = false;
    let reopened = false;
    let refused = false;
    for (;;) {
      const present = always ? session : this.of(session);
      const { session: row } = await this.#socket.call<{ session?: SessionRow | null }>(
        "sessions.describe",
        { key: present },
      );
      if (!row) return followed;
      const opens = isBots(row) && (always || !row.archived) && Reopening.needs(row);
      if (this.#reopening && opens && !refused) {
        try {
          if (reopened) throw new TurnError("failed", `OpenClaw keeps ${present} closed`, true);
          await this.#reopen(this.#reopening, row);
          reopened = followed = true;
          continue;
        } catch (error) {
          // A bot has no other way on. Whoever asks here has: the successor.
          if (always || !isRefusal(error)) throw error;
          refused = true;
        }
      }
      if (!isTombstoned(row)) return followed;
      // Made a second time, a successor of an earlier start would take up the interrupted turn once more.
      this.#next.set(present, row.archived ? await this.#made(row) : await this.#make(present));
      followed = true;
    }
  }

  async #reopen(reopening: Reopening, row: SessionRow): Promise<void> {
    if (row.archived) {
      await reopening.openFrom(row, isTombstoned(row) ? await this.#made(row) : row.key);
      this.#next.delete(row.key);
    } else this.#goOn(reopening, await reopening.open(row));
  }

  /** Of a session that was opened again: what an earlier process, or a call that failed, left to do. */
  #finish({ key: copy, parentSessionKey: key }: SessionRow): void {
    if (!this.#reopening || key === undefined || !Reopening.isCopy(copy)) return;
    if (!this.#following.has(key)) this.#goOn(this.#reopening, { key, copy });
  }

  #goOn(reopening: Reopening, reopened: Reopened): void {
    const { key } = reopened;
    if (this.#goingOn.has(key)) return;
    const goingOn = reopening.goOn(reopened).finally(() => this.#goingOn.delete(key));
    // Whoever waits for it is told; its copy is found again by a later look.
    goingOn.catch(() => {});
    this.#goingOn.set(key, goingOn);
  }

  async #make(closed: string): Promise<string> {
    const { key, continuation } = await this.#socket.call<{
      key: string;
      continuation?: { status: string; runId?: string };
    }>("sessions.recover", { key: closed });
    // Nothing in its transcript tells of that run before it has begun.
    if (continuation?.status === "started") await ended(this.#socket, continuation.runId);
    return key;
  }

  async #made(closed: SessionRow): Promise<string> {
    for (const archived of [false, true]) {
      for await (const row of listSessions(this.#socket, { archived })) {
        if (row.previousSessionId === closed.sessionId) return row.key;
      }
    }
    throw new TurnError("failed", "OpenClaw closed the session, and what went on is gone", true);
  }
}

/** True when OpenClaw was asked, and said no. */
function isRefusal(error: unknown): error is Error {
  return error instanceof GatewayCallError || error instanceof TurnError;
}
