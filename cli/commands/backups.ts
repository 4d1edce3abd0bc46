import { type Command, InvalidArgumentError } from "commander";
import { type FleetAccess, fleetAccess } from "../lib/fleet.ts";
import { keptAt, moments, type ShardMoments, utc } from "../lib/moments.ts";
import { known } from "../lib/nearest.ts";
import { withJson, withStack } from "../lib/options.ts";
import { result, table } from "../lib/terminal.ts";
import { fleetStatus } from "./status.ts";

interface Options {
  stack: string;
  json?: boolean;
  limit: number;
}

const count = (text: string): number => {
  const n = Number(text);
  if (!Number.isInteger(n) || n < 1 || n > 500) throw new InvalidArgumentError("1 to 500");
  return n;
};

const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

async function backups(shard: string | undefined, options: Options): Promise<void> {
  const access = await fleetAccess(options.stack);
  if (shard !== undefined) {
    const { shards } = await fleetStatus(access);
    known(
      "shard",
      shard,
      shards.map(({ id }) => id),
    );
  }
  const found = await moments(access, shard);
  result(Boolean(options.json), { shards: found }, () =>
    shard === undefined ? summary(found) : listing(access, found[0], options.limit),
  );
}

function summary(shards: ShardMoments[]): string {
  const time = (at: string | undefined) => (at === undefined ? "–" : utc(at));
  return [
    table(
      ["SHARD", "NEWEST (UTC)", "EARLIEST", "MOMENTS", "SIZE"],
      shards.map(({ id, points }) => [
        id,
        time(points[0]?.at),
        time(points.at(-1)?.at),
        String(points.length),
        points[0] ? mib(points[0].bytes) : "–",
      ]),
    ),
    "",
    "./fleet backups SHARD lists the moments of one.",
  ].join("\n");
}

function listing(access: FleetAccess, shard: ShardMoments | undefined, limit: number): string {
  const points = shard?.points ?? [];
  if (points.length === 0) return "There are no moments to go back to yet.";
  const rows = points
    .slice(0, limit)
    .map((p) => [utc(p.at), mib(p.bytes), String(p.epoch), p.node, keptAt(p, access), p.release]);
  const left = points.length - rows.length;
  return [
    table(["TIME (UTC)", "SIZE", "EPOCH", "WRITTEN BY", "KEPT AT", "RELEASE"], rows),
    ...(left > 0 ? [`(${left} earlier ones; --limit shows more)`] : []),
  ].join("\n");
}

export function register(program: Command): void {
  withJson(withStack(program.command("backups")))
    .summary("the moments that shards can go back to")
    .argument("[shard]", "only this shard, each moment")
    .option("-n, --limit <count>", "how many moments", count, 20)
    .addHelpText("after", "\nExamples:\n  ./fleet backups\n  ./fleet backups s1 --limit 100")
    .action(backups);
}
