import type { Command } from "commander";
import { callJson } from "../lib/api.ts";
import { CommandFailed } from "../lib/errors.ts";
import { fleetAccess } from "../lib/fleet.ts";
import { known } from "../lib/nearest.ts";
import { activeBeside, nextOwners } from "../lib/next-owner.ts";
import { stackOption, withJson, withStack } from "../lib/options.ts";
import { result, say } from "../lib/terminal.ts";
import { showStatus, transfer } from "../lib/transfer.ts";
import { bringBack } from "../lib/verdict.ts";
import { columnsOf, wrap } from "../lib/wrap.ts";
import { fleetStatus } from "./status.ts";

interface Options {
  stack: string;
  json?: boolean;
  yes?: boolean;
}

/** What `auto` does: it takes a wish back, and what follows is the fleet's own going home. */
export function autoEffect(shard: string, owner: string | null, next: readonly string[]): string {
  if (next.length === 0) return `${shard}: no node is active; the first that comes back takes it`;
  if (next.length === 1 && next[0] === owner)
    return `${shard}: stays on ${owner}, its first by rank`;
  if (owner === null) return `${shard}: nobody → ${next.join(" or ")}, by rank`;
  const others = next.filter((id) => id !== owner).join(" or ");
  const stays = next.includes(owner) ? ", or it stays, since channels are bound to nodes" : "";
  return `${shard}: ${owner} → ${others}, by rank${stays}; not before that node has been there for ten minutes and nothing else moves`;
}

async function move(shard: string, to: string, options: Options): Promise<void> {
  const access = await fleetAccess(options.stack);
  const before = await fleetStatus(access);
  known(
    "shard",
    shard,
    before.shards.map((s) => s.id),
  );
  const act = () =>
    callJson(access, "/api/v1/fleet/move", { as: "admin", method: "POST", body: { shard, to } });
  const owner = before.shards.find((s) => s.id === shard)?.owner;
  if (to === "auto") {
    const next = nextOwners(access, shard, activeBeside(before));
    if (!options.json) say(`${showStatus(access, before)}\n`);
    say(wrap(autoEffect(shard, owner ?? null, next), columnsOf(process.stderr), 2));
    await act();
    result(
      Boolean(options.json),
      await fleetStatus(access),
      () => `${shard} is placed by rank again.`,
    );
    return;
  }
  known(
    "node",
    to,
    before.nodes.map((n) => n.id),
  );
  const target = before.nodes.find((n) => n.id === to);
  if (target?.state !== "active") {
    throw new CommandFailed(
      `${to} cannot take ${shard}: it is ${target?.state}`,
      undefined,
      target?.state === "maintenance"
        ? `./fleet resume ${to}${stackOption(options.stack)}`
        : bringBack(to, options.stack, access.target),
    );
  }
  const after = await transfer({
    access,
    status: () => fleetStatus(access),
    effect: [
      owner === to
        ? `\n${shard} is on ${to} already; it will be kept there.`
        : `\n${shard}: ${owner ?? "nobody"} → ${to}, after its running turns, then one boot (about 10 s) during which requests wait`,
    ],
    question: `Move ${shard} to ${to}?`,
    yes: Boolean(options.yes),
    json: Boolean(options.json),
    act,
    done: (now) => {
      const s = now.shards.find((x) => x.id === shard);
      return s?.owner === to && s.state === "serving";
    },
    waiting: (now) => {
      const s = now.shards.find((x) => x.id === shard);
      return `${shard}: ${s?.state ?? "unknown"}${s?.owner ? ` on ${s.owner}` : ""}`;
    },
    left: {
      goesOn: `the fleet goes on moving ${shard} to ${to}`,
      undo: `./fleet move ${shard} ${owner && owner !== to ? owner : "auto"}${stackOption(options.stack)}`,
    },
    timeoutMs: 720_000,
  });
  result(
    Boolean(options.json),
    after,
    () =>
      `${shard} is on ${to}, and stays there until ./fleet move ${shard} auto${stackOption(options.stack)}.`,
  );
}

export function register(program: Command): void {
  withJson(withStack(program.command("move")))
    .summary("bring a shard to a node and keep it there")
    .argument("<shard>", "the shard to move")
    .argument("<node|auto>", "its new owner, or auto to let rank decide again")
    .option("-y, --yes", "do not ask")
    .addHelpText("after", "\nExamples:\n  ./fleet move s1 b\n  ./fleet move s1 auto")
    .action(move);
}
