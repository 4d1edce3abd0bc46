import { confirm, isCancel } from "@clack/prompts";
import type { FleetStatus } from "../../gateway/contract.ts";
import type { HistoryEntry } from "../../gateway/leases/store.ts";
import type { PointInTime } from "../../gateway/replication/thread-protocol.ts";
import { callJson, ifAnswered } from "./api.ts";
import { CommandFailed, UsageError } from "./errors.ts";
import type { FleetAccess } from "./fleet.ts";
import { canAsk, duration, stackOption } from "./options.ts";
import { type Left, waiting } from "./waiting.ts";

export interface ShardMoments {
  id: string;
  points: PointInTime[];
}

/** Many manifests over a slow line take a while to read. */
const LIST_MS = 120_000;
const POLL_MS = 500;
/** A drain takes ten minutes at most; restoring a gigabyte takes about one. */
const REPLACE_MS = 1_200_000;
/** What came of a replacement is written down before the shard serves again; a store may be slow to show it. */
const TOLD_WITHIN_MS = 15_000;

/** The moments of one shard, or of all; newest first. */
export async function moments(access: FleetAccess, shard?: string): Promise<ShardMoments[]> {
  const query = shard === undefined ? "" : `?shard=${encodeURIComponent(shard)}`;
  const path = `/api/v1/fleet/backups${query}`;
  const options = { as: "admin", timeoutMs: LIST_MS } as const;
  return (await callJson<{ shards: ShardMoments[] }>(access, path, options)).shards;
}

/** The time that a person means: `2026-11-21T15:00`, with or without a zone (then UTC), or `10m` for so long ago. */
export function timeOf(text: string, now: number): number {
  const ago = duration(text);
  if (ago !== null) return now - ago;
  const zone = /(Z|[+-]\d\d:?\d\d)$/.test(text);
  const at = Date.parse(zone ? text : `${text.replace(" ", "T")}Z`);
  if (!/^\d{4}-\d\d-\d\d/.test(text) || Number.isNaN(at)) {
    throw new UsageError(`"${text}" is no time; write 10m, 2h or 2026-11-21T15:00 (UTC)`);
  }
  return at;
}

/** The newest moment that is not later than `at`. */
export function momentAt(shard: string, points: readonly PointInTime[], at: number): PointInTime {
  const found = points.find((point) => Date.parse(point.at) <= at);
  if (found) return found;
  const oldest = points.at(-1);
  throw new CommandFailed(
    `${shard} has no moment as early as ${utc(at)}`,
    oldest ? `its earliest is of ${utc(Date.parse(oldest.at))}` : "it has none at all",
    `./fleet backups ${shard} lists them`,
  );
}

/** `2026-11-21 15:00:03`, UTC, as all times in the terminal. */
export function utc(at: number | string): string {
  return new Date(at).toISOString().replace("T", " ").slice(0, 19);
}

/** Where a moment is kept, in a word: the host that has it, or the one place for all replicas. */
export function keptAt(
  { site }: Pick<PointInTime, "site">,
  { target }: Pick<FleetAccess, "target">,
): string {
  return site ?? (target === "ec2" ? "S3" : "target");
}

/** Asks, unless it was said already. Throws on "no", and where nobody is there to ask. */
export async function agree(question: string, yes: boolean): Promise<void> {
  if (yes) return;
  if (!canAsk()) throw new UsageError("There is no terminal to ask at: add --yes to go ahead");
  const answer = await confirm({ message: question, output: process.stderr });
  if (isCancel(answer) || !answer) throw new CommandFailed("Nothing was changed", "you said no");
}

export interface Replaced {
  readonly status: FleetStatus;
  /** When the state was exchanged, ISO 8601. */
  readonly at: string;
}

/**
 * How the state that was replaced is brought back, in a sentence: it was put into the replica last, after the shard had
 * drained. Null where that cannot be told.
 */
export async function wayBack(
  access: FleetAccess,
  shard: string,
  at: string,
): Promise<string | null> {
  const [found] = await moments(access, shard).catch((error: unknown) => {
    if (error instanceof CommandFailed) return [];
    throw error;
  });
  const before = found?.points.find((point) => Date.parse(point.at) <= Date.parse(at));
  if (!before) return null;
  const command = `./fleet restore ${shard} --at ${before.at}${stackOption(access.stack)}`;
  return `What it had before: ${command} (for ten minutes; after that moments are thinned out).`;
}

/**
 * Begins a replacement of a shard's state and waits until the shard serves again. Throws with the fleet's own words
 * when the state stayed as it was. `left` is what Ctrl-C leaves.
 */
export async function replaced(
  access: FleetAccess,
  shard: string,
  left: Omit<Left, "look" | "asks">,
  begin: () => Promise<unknown>,
): Promise<Replaced> {
  const history = () =>
    callJson<{ entries: HistoryEntry[] }>(access, "/api/v1/history?limit=100", { as: "admin" });
  const status = () => callJson<FleetStatus>(access, "/api/v1/fleet", { as: "admin" });
  const key = (entry: HistoryEntry) => JSON.stringify(entry);
  const before = new Set((await history()).entries.map(key));
  const shardIn = ({ shards }: FleetStatus) => shards.find(({ id }) => id === shard);
  const { epoch = 0 } = shardIn(await status()) ?? {};
  const look = `./fleet status --watch --stack ${access.stack}`;
  return await waiting({ ...left, asks: true, look }, async (tell, stored) => {
    tell(`${shard}: its owner is asked`);
    await begin();
    stored();
    const deadline = performance.now() + REPLACE_MS;
    /** When it last did not serve anew without a word. */
    let served = performance.now();
    for (;;) {
      // The state before the entries: what it shows is in them.
      const seen = await ifAnswered(async () => {
        const shown = await status();
        return { shown, entries: (await history()).entries };
      });
      const entries =
        seen?.entries.filter((entry) => entry.shard === shard && !before.has(key(entry))) ?? [];
      const failed = entries.find(({ event }) => event === "not replaced");
      if (failed) {
        throw new CommandFailed(
          `The state of ${shard} stays as it was`,
          failed.detail,
          `./fleet logs ${shard} --stack ${access.stack}`,
        );
      }
      const now = seen && shardIn(seen.shown);
      const done = entries.find(({ event }) => event === "replaced");
      if (done && seen && now?.state === "serving") return { status: seen.shown, at: done.at };
      const another = !done && now?.state === "serving" && now.epoch > epoch;
      if (!another) served = performance.now();
      // What it was asked for died with its owner.
      if (performance.now() - served > TOLD_WITHIN_MS) {
        throw new CommandFailed(
          `The state of ${shard} stays as it was`,
          "its owner ended before it began",
          "give the command again",
        );
      }
      const line = seen
        ? `${shard}: ${now?.state ?? "unknown"}${done ? ", its state is in place" : ""}`
        : `${shard}: waiting for a router to answer`;
      tell(line);
      if (performance.now() > deadline) {
        throw new CommandFailed(
          `Not finished after ${REPLACE_MS / 60_000} min: ${line}`,
          "the fleet may go on with it",
          `./fleet history --stack ${access.stack} tells when it is replaced`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  });
}
