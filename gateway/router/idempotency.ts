import { createHash } from "node:crypto";
import type { Clock } from "../clock.ts";
import { IDEMPOTENCY } from "../contract.ts";
import type { SessionStore, StoredAnswer } from "../sessions/store.ts";
import type { Log } from "./deps.ts";
import { ClientGone, RouterError } from "./errors.ts";

/** A claim lapses this long after its router died, ms. */
const CLAIM_MS = 15_000;
const REFRESH_MS = 5_000;
/** How often a repeat looks whether the first one is done, ms. */
const POLL_MS = 250;

/** Parts cannot run into each other: each is written with its length. */
function digest(...parts: string[]): Buffer {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(`${Buffer.byteLength(part)}:${part};`);
  return hash.digest();
}

/** Identity of a keyed request; the same client, agent, session and key give the same one anywhere. */
export interface KeyedIdentity {
  /** UUID (version 8: made from a hash). */
  runId: string;
  /** Key in the session store. */
  storeKey: string;
}

export function keyedIdentity(
  tokenId: string,
  agent: string,
  session: string,
  key: string,
): KeyedIdentity {
  const bytes = digest("run", tokenId, agent, session, key);
  return { runId: uuidOf(bytes), storeKey: `answer:${bytes.toString("hex")}` };
}

/** Conversation of a keyed request that named none: repeats must meet in the same one. */
export function keyedSession(tokenId: string, agent: string, key: string): string {
  return uuidOf(digest("session", tokenId, agent, key));
}

export function bodyHash(message: string): string {
  return digest("body", message).toString("hex");
}

function uuidOf(bytes: Buffer): string {
  const own = Buffer.from(bytes.subarray(0, 16));
  own[6] = ((own[6] as number) & 0x0f) | 0x80;
  own[8] = ((own[8] as number) & 0x3f) | 0x80;
  const hex = own.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** A header's value as a key: 1 to 255 printable characters. */
export function parseIdempotencyKey(value: string | string[] | undefined): string | null {
  if (value === undefined) return null;
  if (typeof value === "string" && /^[\x21-\x7e]{1,255}$/.test(value)) return value;
  throw new RouterError(
    "bad_request",
    "Idempotency-Key must be one value of 1 to 255 printable characters without spaces",
  );
}

export interface KeyedWork extends KeyedIdentity {
  bodyHash: string;
  budgetMs: number;
  /**
   * Does the work. Throws RouterError for what shall not be stored (it may succeed later); a final
   * failure is a StoredAnswer as well.
   */
  run(): Promise<StoredAnswer>;
  /** Fires when this client stopped waiting; the work itself goes on. */
  signal: AbortSignal;
}

export interface IdempotencyDeps {
  sessions: SessionStore;
  clock: Clock;
  log: Log;
}

/**
 * One answer per key: the first request works, repeats wait for it and get the same answer for 24 h.
 * Without the store the gateways' own histories still keep a turn from running twice.
 */
export async function withKey(
  deps: IdempotencyDeps,
  work: KeyedWork,
): Promise<{ answer: StoredAnswer; replayed: boolean }> {
  const { sessions, clock, log } = deps;
  const deadline = clock.now() + work.budgetMs;
  for (;;) {
    if (work.signal.aborted) throw new ClientGone("the client left");
    let claim: Awaited<ReturnType<SessionStore["claim"]>>;
    try {
      claim = await sessions.claim(work.storeKey, work.bodyHash, work.runId, CLAIM_MS);
    } catch (error) {
      log.warn(
        { error: String(error) },
        "session store is away: answering without a stored answer",
      );
      return { answer: await work.run(), replayed: false };
    }
    if (claim.outcome === "mismatch") {
      throw new RouterError("key_reused", "this Idempotency-Key came before with another message");
    }
    if (claim.outcome === "done") return { answer: claim.answer, replayed: true };
    if (claim.outcome === "claimed") {
      return { answer: await claimed(deps, work), replayed: false };
    }
    if (clock.now() >= deadline) {
      throw new RouterError("in_progress", "the first request with this key still runs", 30);
    }
    await pause(POLL_MS, work.signal);
  }
}

async function claimed(deps: IdempotencyDeps, work: KeyedWork): Promise<StoredAnswer> {
  const { sessions, log } = deps;
  const ignore = (error: unknown) =>
    log.warn({ error: String(error) }, "session store is away: a stored answer may be missing");
  const timer = setInterval(() => {
    sessions.refresh(work.storeKey, work.runId, CLAIM_MS).catch(ignore);
  }, REFRESH_MS);
  try {
    const answer = await work.run();
    if (Buffer.byteLength(answer.body) <= IDEMPOTENCY.maxAnswerBytes) {
      await sessions.finish(work.storeKey, work.runId, answer, IDEMPOTENCY.keepMs).catch(ignore);
    }
    return answer;
  } catch (error) {
    // Whatever was begun is found by its run id; the next repeat may look for it at once.
    await sessions.abandon(work.storeKey, work.runId).catch(ignore);
    throw error;
  } finally {
    clearInterval(timer);
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const finish = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", finish);
      resolve();
    };
    const timer = setTimeout(finish, ms);
    signal.addEventListener("abort", finish, { once: true });
  });
}
