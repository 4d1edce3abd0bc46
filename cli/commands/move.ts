import type { Command } from "commander";
import { callJson } from "../lib/api.ts";
import { CommandFailed } from "../lib/errors.ts";
import { fleetAccess } from "../lib/fleet.ts";
import { known } from "../lib/nearest.ts";
import { stackOption, withJson, withStack } from "../lib/options.ts";
import { result } from "../lib/terminal.ts";
import { transfer } from "../lib/transfer.ts";
import { bringBack } from "../lib/verdict.ts";
import { fleetStatus } from "./status.ts";

interface Options {
  stack: string;
  json?: boolean;
  yes?: boolean;
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
  if (to === "auto") {
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
  const owner = before.shards.find((s) => s.id === shard)?.owner;
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
