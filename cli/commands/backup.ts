import type { Command } from "commander";
import { CommandFailed } from "../lib/errors.ts";
import { type EtcdSnapshots, saveEtcdSnapshots } from "../lib/etcd-snapshots.ts";
import { type FleetAccess, fleetAccess } from "../lib/fleet.ts";
import { recordedHosts } from "../lib/host-logs.ts";
import { sessionsMissing } from "../lib/host-sessions.ts";
import { moments, utc } from "../lib/moments.ts";
import { withJson, withStack } from "../lib/options.ts";
import { result, say, table } from "../lib/terminal.ts";
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

/** Who owns what, on the disks of etcd's members; null: this fleet's leases are elsewhere than on hosts. */
async function etcdSnapshots(stack: string): Promise<EtcdSnapshots | null> {
  const { hosts } = await recordedHosts(stack);
  if (hosts.length === 0) return null;
  const tools = sessionsMissing(stack);
  if (tools) {
    return { taken: [], missing: hosts.map(({ name: host }) => ({ host, why: tools.text })) };
  }
  // Loaded here: no other target needs it.
  const { openSsh } = await import("../../plugin/host/ssh.ts");
  return saveEtcdSnapshots(hosts, openSsh);
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
  const etcd = await etcdSnapshots(options.stack);
  for (const { host, why } of etcd?.missing ?? []) {
    say(`fleet: no snapshot of etcd from ${host}: ${why}`);
  }
  const newest = (await moments(access)).map(({ id, points }) => ({ id, ...points[0] }));
  result(Boolean(options.json), { shards: newest, ...(etcd ? { etcd } : {}) }, () =>
    [
      table(
        ["SHARD", "NEWEST MOMENT (UTC)", "WRITTEN BY"],
        newest.map(({ id, at, node }) => [id, at === undefined ? "–" : utc(at), node ?? "–"]),
      ),
      "",
      ...(etcd && etcd.taken.length > 0
        ? [
            table(
              ["HOST", "SNAPSHOT OF ETCD"],
              etcd.taken.map(({ host, path }) => [host, path]),
            ),
            "",
          ]
        : []),
      "Everything is in the replicas. A shard that changed since has a moment every minute.",
    ].join("\n"),
  );
}

export function register(program: Command): void {
  withJson(withStack(program.command("backup")))
    .summary(
      "wait until everything is in the replicas, snapshot etcd, and say which moments that are",
    )
    .addHelpText(
      "after",
      "\nOn hosts each member of etcd saves a snapshot as well, which holds who owns what, pins and history; it stays\non the member's disk with the hourly ones of the last day: /var/lib/openclaw-fleet-etcd/snapshots\n\nExamples:\n  ./fleet backup\n  ./fleet backup --stack prod --json",
    )
    .action(backup);
}
