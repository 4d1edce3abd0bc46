import { existsSync } from "node:fs";
import { resolve } from "node:path";
import type { Command } from "commander";
import { callJson } from "../lib/api.ts";
import { CommandFailed } from "../lib/errors.ts";
import { fleetAccess } from "../lib/fleet.ts";
import { agree, replaced, wayBack } from "../lib/moments.ts";
import { known } from "../lib/nearest.ts";
import { withJson, withStack } from "../lib/options.ts";
import { result, say } from "../lib/terminal.ts";
import { fleetStatus } from "./status.ts";

interface Options {
  stack: string;
  json?: boolean;
  yes?: boolean;
  shard?: string;
  force?: boolean;
}

async function adopt(given: string, options: Options): Promise<void> {
  const access = await fleetAccess(options.stack);
  const { shards } = await fleetStatus(access);
  const ids = shards.map(({ id }) => id);
  const empty = shards.find((shard) => shard.sessions === 0 && shard.state === "serving");
  const shard = options.shard ?? empty?.id;
  if (shard === undefined) {
    throw new CommandFailed(
      "No shard is empty",
      `each of ${ids.join(", ")} has conversations, which would be replaced`,
      "Name one with --shard and --force, or add a shard: ./fleet up after raising openclaw-fleet:shards",
    );
  }
  known("shard", shard, ids);
  // Where the nodes are on this machine a name from here is one there; elsewhere it must be whole already.
  const directory = existsSync(resolve(given)) ? resolve(given) : given;
  say(
    `${shard} takes over a copy of ${directory}: its conversations, memory and channel logins; settings stay the fleet's. The original is only read. Stop its gateway for good: two on one bot both answer.`,
  );
  await agree(`Adopt ${directory} into ${shard}?`, Boolean(options.yes));
  const before = new Date().toISOString().slice(0, 19);
  const left = {
    goesOn: `${shard} goes on taking over a copy of ${directory}`,
    // Without replicas there are no moments to go back to.
    undo:
      access.dataDir === null
        ? `./fleet restore ${shard} --at ${before}Z --stack ${options.stack}`
        : `none by a command; what ${shard} had stays in ${access.dataDir}/shards/${shard}/aside-*`,
  };
  const { status, at } = await replaced(access, shard, left, () =>
    callJson(access, "/api/v1/fleet/adopt", {
      as: "admin",
      method: "POST",
      body: { shard, directory, force: Boolean(options.force) },
      timeoutMs: 60_000,
    }),
  );
  const back = access.dataDir === null ? await wayBack(access, shard, at) : null;
  if (back) say(back);
  result(
    Boolean(options.json),
    { shard, directory, status },
    () => `${shard} serves with the state of ${directory}.`,
  );
}

export function register(program: Command): void {
  withJson(withStack(program.command("adopt")))
    .summary("take over the state of an OpenClaw that ran alone")
    .argument(
      "<directory>",
      "its state directory on the shard's node; on this machine usually ~/.openclaw",
    )
    .option("--shard <shard>", "the shard that takes it (default: one without conversations)")
    .option("--force", "also replace a shard that has conversations")
    .option("-y, --yes", "do not ask")
    .addHelpText(
      "after",
      "\nExamples:\n  ./fleet adopt ~/.openclaw\n  ./fleet adopt /srv/openclaw --shard s2 --stack prod",
    )
    .action(adopt);
}
