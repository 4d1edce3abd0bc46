import type { Command } from "commander";
import type { FleetStatus } from "../../gateway/contract.ts";
import type { DrillResult } from "../../gateway/replication/thread-protocol.ts";
import { callJson } from "../lib/api.ts";
import { CommandFailed, UsageError } from "../lib/errors.ts";
import { type FleetAccess, fleetAccess } from "../lib/fleet.ts";
import {
  agree,
  keptAt,
  momentAt,
  moments,
  replaced,
  timeOf,
  utc,
  wayBack,
} from "../lib/moments.ts";
import { known } from "../lib/nearest.ts";
import { stackOption, withJson, withStack } from "../lib/options.ts";
import { age, result, say, table } from "../lib/terminal.ts";
import { waiting } from "../lib/waiting.ts";
import { fleetStatus } from "./status.ts";

interface Options {
  stack: string;
  json?: boolean;
  yes?: boolean;
  at?: string;
  to?: string;
  drill?: boolean;
}

/** A restore of a gigabyte with its check takes about a minute. */
const DRILL_MS = 900_000;

async function restore(shard: string | undefined, options: Options): Promise<void> {
  const access = await fleetAccess(options.stack);
  const { shards, nodes } = await fleetStatus(access);
  const ids = shards.map(({ id }) => id);
  if (shard !== undefined) known("shard", shard, ids);
  if (options.drill) {
    if (options.at !== undefined || options.to !== undefined) {
      throw new UsageError(
        "--drill tries the newest moment and changes nothing: leave --at and --to out",
      );
    }
    await drill(access, shard === undefined ? ids : [shard], Boolean(options.json));
    return;
  }
  if (shard === undefined) throw new UsageError("Which shard? Name it, or say --drill to try all");
  if (options.to !== undefined) mayTake(options.to, shard, nodes);
  const now = Date.now();
  const [found] = await moments(access, shard);
  const at = options.at === undefined ? now : timeOf(options.at, now);
  const point = momentAt(shard, found?.points ?? [], at);
  const minutes = Math.round((now - Date.parse(point.at)) / 60_000);
  const undo = `./fleet restore ${shard} --at ${new Date(now).toISOString().slice(0, 19)}Z${stackOption(options.stack)}`;
  say(
    `${shard} goes back to ${utc(point.at)} UTC. What was said since then (${minutes} min) is gone from its conversations; the present state becomes a moment itself, to which you can go back. Requests wait while it drains and boots.`,
  );
  await agree(`Bring ${shard} back to ${utc(point.at)} UTC?`, Boolean(options.yes));
  const left = {
    goesOn: `${shard} goes on to ${utc(point.at)} UTC`,
    ...(options.to === undefined
      ? {}
      : {
          open: `./fleet move ${shard} ${options.to}${stackOption(options.stack)}, once it serves`,
        }),
    undo,
  };
  const done = await replaced(access, shard, left, () =>
    callJson(access, "/api/v1/fleet/restore", {
      as: "admin",
      method: "POST",
      body: { shard, place: point.place, site: point.site },
      timeoutMs: 120_000,
    }),
  );
  let { status } = done;
  const back = await wayBack(access, shard, done.at);
  if (back) say(back);
  if (options.to !== undefined) {
    await moveRestored(access, shard, options.to);
    status = await fleetStatus(access);
  }
  const moved = options.to === undefined ? "" : ` It moves to ${options.to} now.`;
  result(
    Boolean(options.json),
    { shard, point, status },
    () => `${shard} serves from ${utc(point.at)} UTC.${moved}`,
  );
}

/** Asked before anything changes: after the restore it is too late to say no. */
function mayTake(node: string, shard: string, nodes: FleetStatus["nodes"]): void {
  known(
    "node",
    node,
    nodes.map(({ id }) => id),
  );
  const state = nodes.find(({ id }) => id === node)?.state;
  if (state === "active") return;
  throw new CommandFailed(
    `${node} cannot take ${shard}: it is ${state}`,
    "only an active node takes shards; nothing was changed",
    `name another one, or leave --to out`,
  );
}

/** A failure must not be taken for one of the restore: a second one would go back again. */
async function moveRestored(access: FleetAccess, shard: string, to: string): Promise<void> {
  try {
    await callJson(access, "/api/v1/fleet/move", {
      as: "admin",
      method: "POST",
      body: { shard, to },
    });
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    throw new CommandFailed(
      `${shard} was restored and serves; it could not be moved to ${to}`,
      error.message,
      `do not restore it again: ./fleet move ${shard} ${to}${stackOption(access.stack)}`,
    );
  }
}

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;

/** What was tried, and what of it failed. Plain data. */
interface Drilled {
  shards: ({ shard: string } & DrillResult)[];
  faults: { shard: string; message: string }[];
}

async function drill(access: FleetAccess, shards: string[], json: boolean): Promise<void> {
  const drilled: Drilled = { shards: [], faults: [] };
  const left = {
    goesOn: "the node ends what it has begun, and removes it; no shard was touched",
    look: `./fleet logs --stack ${access.stack}`,
  };
  await waiting(left, async (tell) => {
    for (const shard of shards) {
      tell(`${shard}: restoring into a scratch directory`);
      try {
        drilled.shards.push(
          await callJson<{ shard: string } & DrillResult>(access, "/api/v1/fleet/restore", {
            as: "admin",
            method: "POST",
            body: { shard, drill: true },
            timeoutMs: DRILL_MS,
          }),
        );
      } catch (error) {
        if (!(error instanceof CommandFailed)) throw error;
        drilled.faults.push({ shard, message: error.message });
      }
    }
  });
  result(json, drilled, () => drillText(drilled, access));
  const { faults } = drilled;
  if (faults.length > 0) {
    throw new CommandFailed(
      `${faults.length} of ${shards.length} shards could not be restored`,
      faults.map(({ shard, message }) => `${shard}: ${message}`).join("; "),
      `the shards themselves are well; ./fleet backups SHARD --stack ${access.stack} lists their other moments, ./fleet logs tells what their replicas lack`,
    );
  }
}

/** A line a shard that came back whole, and how long all took. */
export function drillText(
  { shards }: Pick<Drilled, "shards">,
  access: Pick<FleetAccess, "target">,
): string {
  if (shards.length === 0) return "No shard was restored.";
  const rows = shards.map(({ shard, point, ageMs, bytes, sessions, tookMs }) => [
    shard,
    utc(point.at),
    age(ageMs),
    keptAt(point, access),
    `${(bytes / 2 ** 20).toFixed(1)} MiB`,
    `${point.databases} whole`,
    sessions === null ? "unknown" : String(sessions),
    seconds(tookMs),
  ]);
  const total = shards.reduce((sum, { tookMs }) => sum + tookMs, 0);
  return [
    table(
      ["SHARD", "MOMENT (UTC)", "AGE", "KEPT AT", "SIZE", "DATABASES", "SESSIONS", "TOOK"],
      rows,
    ),
    "",
    `${shards.length} restored, checked and removed again in ${seconds(total)}.`,
  ].join("\n");
}

export function register(program: Command): void {
  withJson(withStack(program.command("restore")))
    .summary("bring a shard back to an earlier moment, or try whether one could")
    .argument("[shard]", "the shard")
    .option("--at <time>", "the last moment before this: 10m, 2h, 2026-11-21T15:00 (UTC)")
    .option("--to <node>", "move the shard there afterwards")
    .option("--drill", "restore the newest moment beside everything, check it, throw it away")
    .option("-y, --yes", "do not ask")
    .addHelpText(
      "after",
      "\nExamples:\n  ./fleet restore s1 --at 10m\n  ./fleet restore s1 --at 2026-11-21T15:00 --to n2\n  ./fleet restore --drill",
    )
    .action(restore);
}
