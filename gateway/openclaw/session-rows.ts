import type { GatewaySocket } from "./socket.ts";

/** Rows of one page of the session list. */
const PAGE_ROWS = 5_000;
/** OpenClaw's name for its own web page, which is no bot. */
const WEB_PAGE = "webchat";

/** What OpenClaw says of a session (`sessions.describe`, `sessions.list`), as far as it is read here. */
export interface SessionRow {
  key: string;
  sessionId?: string;
  /** Of the session that this one goes on from. */
  previousSessionId?: string;
  /** Of the session whose transcript this one began with. */
  parentSessionKey?: string;
  archived?: boolean;
  /** Why it is in the archive. */
  archiveReason?: string;
  restartRecoveryStatus?: string;
  /** Where its answers go to, when a channel asked last. */
  deliveryContext?: { channel?: string };
}

export interface ListOptions {
  /** What is in the archive, and nothing else. */
  archived: boolean;
  /** Only what changed in these minutes. @default everything */
  activeMinutes?: number;
}

/** The sessions of people and bots; without those of cron jobs and of sub-agents. */
export async function* listSessions(
  socket: Pick<GatewaySocket, "call">,
  { archived, activeMinutes }: ListOptions,
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
      ...(activeMinutes === undefined ? {} : { activeMinutes }),
      offset,
    });
    yield* page.sessions;
    if (!page.hasMore || typeof page.nextOffset !== "number") return;
    offset = page.nextOffset;
  }
}

/** True for a session in which OpenClaw takes no turn more, because restarts ended its recovery too often. */
export function isTombstoned(row: SessionRow): boolean {
  return row.restartRecoveryStatus === "tombstoned";
}

/** True for a session that a bot serves: its channel asks for this key, whatever goes on under another one. */
export function isBots(row: SessionRow): boolean {
  const channel = row.deliveryContext?.channel;
  return channel !== undefined && channel !== WEB_PAGE;
}
