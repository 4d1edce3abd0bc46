import { TurnError } from "./port.ts";
import { GatewayCallError, type GatewaySocket } from "./socket.ts";

/** OpenClaw's words for a session that its recovery closed: crashes ended it too often (docs/openclaw.md). */
const CLOSED = /ended during restart recovery/;
/** How long one question about a run waits for its end, ms. */
const WAIT_MS = 10_000;
/** Rows of one page of the session list. */
const PAGE_ROWS = 5_000;

/** What a description of a session and its row in the list say of this. */
interface SessionRow {
  key: string;
  sessionId?: string;
  /** Of the session that this one goes on from. */
  previousSessionId?: string;
  archived?: boolean;
  restartRecoveryStatus?: string;
}

/** True when a turn was refused, and nothing of it begun, because its session is closed. */
export function isClosed(error: unknown): boolean {
  return error instanceof GatewayCallError && saysClosed(error.body.message);
}

/** The same by OpenClaw's words, for clients that make their own errors of these. */
export function saysClosed(message: string): boolean {
  return CLOSED.test(message);
}

/**
 * Sessions of one gateway that go on under another key. OpenClaw takes nothing more in a session that its recovery
 * closed. Asked to, it makes a successor with the same transcript, takes up the interrupted turn there, and puts the
 * closed one into its archive. All of this is in its own store, so nothing has to be remembered beyond this process.
 */
export class Successors {
  readonly #socket: Pick<GatewaySocket, "call">;
  readonly #next = new Map<string, string>();
  readonly #following = new Map<string, Promise<boolean>>();

  constructor(socket: Pick<GatewaySocket, "call">) {
    this.#socket = socket;
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
    // Two that make a successor at once would have the interrupted turn taken up twice.
    let following = this.#following.get(session);
    if (!following) {
      following = this.#follow(session).finally(() => this.#following.delete(session));
      this.#following.set(session, following);
    }
    return await following;
  }

  async #follow(session: string): Promise<boolean> {
    let followed = false;
    for (;;) {
      const present = this.of(session);
      const { session: row } = await this.#socket.call<{ session?: SessionRow | null }>(
        "sessions.describe",
        { key: present },
      );
      if (row?.restartRecoveryStatus !== "tombstoned") return followed;
      // Made a second time, a successor of an earlier start would take up the interrupted turn once more.
      this.#next.set(present, row.archived ? await this.#made(row) : await this.#make(present));
      followed = true;
    }
  }

  async #make(closed: string): Promise<string> {
    const { key, continuation } = await this.#socket.call<{
      key: string;
      continuation?: { status: string; runId?: string };
    }>("sessions.recover", { key: closed });
    // Nothing in its transcript tells of that run before it has begun.
    if (continuation?.status === "started") await this.#ended(continuation.runId);
    return key;
  }

  async #ended(runId: string | undefined): Promise<void> {
    for (;;) {
      const { status } = await this.#socket.call<{ status?: string }>(
        "agent.wait",
        { runId, timeoutMs: WAIT_MS },
        { timeoutMs: 2 * WAIT_MS },
      );
      if (status === "ok" || status === "error") return;
    }
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

/** The sessions of people and bots; without those of cron jobs and of sub-agents. */
export async function* listSessions(
  socket: Pick<GatewaySocket, "call">,
  { archived }: { archived: boolean },
): AsyncGenerator<SessionRow> {
  for (let offset = 0; ; ) {
    const page = await socket.call<{
      sessions: SessionRow[];
      hasMore?: boolean;
      nextOffset?: number | null;
    }>("sessions.list", {
      limit: PAGE_ROWS,
      excludeCron: true,
      excludeSubagents: true,
      ...(archived ? { archived } : {}),
      offset,
    });
    yield* page.sessions;
    if (!page.hasMore || typeof page.nextOffset !== "number") return;
    offset = page.nextOffset;
  }
}
