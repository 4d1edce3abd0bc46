import type { Command } from "commander";
import { CommandFailed } from "../lib/errors.ts";
import { type FleetAccess, fleetAccess } from "../lib/fleet.ts";
import { moments, utc } from "../lib/moments.ts";
import { withJson, withStack } from "../lib/options.ts";
import { result, table } from "../lib/terminal.ts";
import { waiting } from "../lib/waiting.ts";
import { fleetStatus } from "./status.ts";

const POLL_MS = 500;
const WAIT_MS = 300_000;

/** Shards of which something is not in their replica, in words. */
async function behind(access: FleetAccess): Promise<string[]> {
  const { shards } = await fleetStatus(access);
  return shards.flatMap(({ id, state, replica }) => {
    if (!replica) return [`${id} ${state === "serving" ? "has no replica" : `is ${state}`}`];
    return replica.lagMs === 0 ? [] : [`${id} is ${(replica.lagMs / 1_000).toFixed(1)} s behind`];
  });
}

async function backup(options: { stack: string; json?: boolean }): Promise<void> {
  const access = await fleetAccess(options.stack);
  // Refuses with the fleet's words where shards are not replicated.
  await moments(access);
  const left = {
    goesOn: "nodes bring their shards into the replicas by themselves, and go on with it",
    look: `./fleet status --watch --stack ${options.stack}`,
  };
  await waiting(left, async (tell) => {
    const deadline = performance.now() + WAIT_MS;
    for (;;) {
      const missing = await behind(access);
      if (missing.length === 0) return;
      const line = missing.join(", ");
      tell(line);
      if (performance.now() > deadline) {
        throw new CommandFailed(
          `Not everything is in the replicas after ${WAIT_MS / 60_000} min: ${line}`,
          "the target does not answer, or is slower than what is written",
          `./fleet logs --stack ${options.stack}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  });
  const newest = (await moments(access)).map(({ id, points }) => ({ id, ...points[0] }));
  result(Boolean(options.json), { shards: newest }, () =>
    [
      table(
        ["SHARD", "NEWEST MOMENT (UTC)", "WRITTEN BY"],
        newest.map(({ id, at, node }) => [id, at === undefined ? "–" : utc(at), node ?? "–"]),
      ),
      "",
      "Everything is in the replicas. A shard that changed since has a moment every minute.",
    ].join("\n"),
  );
}

export function register(program: Command): void {
  withJson(withStack(program.command("backup")))
    .summary("wait until everything is in the replicas, and say which moments that are")
    .addHelpText(
      "after",
      "\nWho owns what is not in it, and needs no copy to go on. On hosts each member of etcd keeps a snapshot\nan hour of the last day on its own disk: /var/lib/openclaw-fleet-etcd/snapshots\n\nExamples:\n  ./fleet backup\n  ./fleet backup --stack prod --json",
    )
    .action(backup);
}
