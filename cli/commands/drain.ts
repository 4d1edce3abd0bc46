import { type Command, InvalidArgumentError, Option } from "commander";
import { callJson } from "../lib/api.ts";
import { fleetAccess } from "../lib/fleet.ts";
import { known } from "../lib/nearest.ts";
import { activeBeside, nextOwners } from "../lib/next-owner.ts";
import { duration, stackOption, withJson, withStack } from "../lib/options.ts";
import { result } from "../lib/terminal.ts";
import { transfer } from "../lib/transfer.ts";
import { fleetStatus } from "./status.ts";

interface Options {
  stack: string;
  json?: boolean;
  yes?: boolean;
  wait: number;
}

/** A drain ends by itself after ten minutes of turns; add the boots of the moved shards. */
const DEFAULT_WAIT = 720_000;

const wait = (text: string): number => {
  const ms = duration(text);
  if (ms === null) throw new InvalidArgumentError("a duration such as 90s, 5m or 1h");
  return ms;
};

async function drain(node: string, options: Options): Promise<void> {
  const access = await fleetAccess(options.stack);
  const status = () => fleetStatus(access);
  const before = await status();
  known(
    "node",
    node,
    before.nodes.map((n) => n.id),
  );
  const here = before.shards.filter((s) => s.owner === node);
  const others = activeBeside(before, node);
  const effect =
    here.length === 0
      ? [`\n${node} holds no shards; it will take none until resumed.`]
      : others.length === 0
        ? [
            `\nNo other node is active: ${here.map((s) => s.id).join(", ")} will STOP until ${node} is resumed.`,
          ]
        : here.map(
            (s) =>
              `\n${s.id}: ${node} → probably ${nextOwners(access, s.id, others).join(" or ")}, after its running turns, then one boot (about 10 s) during which requests wait`,
          );
  const after = await transfer({
    access,
    status,
    effect,
    question: `Drain ${node}?`,
    yes: Boolean(options.yes),
    json: Boolean(options.json),
    act: () =>
      callJson(access, "/api/v1/fleet/drain", { as: "admin", method: "POST", body: { node } }),
    done: (now) =>
      now.shards.every((s) => s.owner !== node) &&
      (others.length === 0 ||
        here.every((s) => now.shards.find((x) => x.id === s.id)?.state === "serving")),
    waiting: (now) =>
      here
        .map((s) => now.shards.find((x) => x.id === s.id))
        .filter((s) => s !== undefined)
        .map((s) => `${s.id}: ${s.state}${s.owner ? ` on ${s.owner}` : ""}`)
        .join(", "),
    left: {
      goesOn: `the fleet goes on emptying ${node}, which takes no shards from now on`,
      undo: `./fleet resume ${node}${stackOption(options.stack)}`,
    },
    timeoutMs: options.wait,
  });
  result(
    Boolean(options.json),
    after,
    () => `${node} is drained. ./fleet resume ${node}${stackOption(options.stack)} takes it back.`,
  );
}

async function resume(node: string, options: Options): Promise<void> {
  const access = await fleetAccess(options.stack);
  const before = await fleetStatus(access);
  known(
    "node",
    node,
    before.nodes.map((n) => n.id),
  );
  await callJson(access, "/api/v1/fleet/resume", { as: "admin", method: "POST", body: { node } });
  const after = await fleetStatus(access);
  result(Boolean(options.json), after, () =>
    before.nodes.find((n) => n.id === node)?.state === "maintenance"
      ? `${node} takes shards again: unowned ones at once, its own after ten quiet minutes.`
      : `${node} was not in maintenance; nothing changed.`,
  );
}

export function register(program: Command): void {
  withJson(withStack(program.command("drain")))
    .summary("empty a node for maintenance")
    .argument("<node>", "the node to empty")
    .option("-y, --yes", "do not ask")
    .addOption(
      new Option("--wait <duration>", "how long to wait for it")
        .argParser(wait)
        .default(DEFAULT_WAIT, "12m"),
    )
    .addHelpText("after", "\nExamples:\n  ./fleet drain a\n  ./fleet drain a --yes --wait 5m")
    .action(drain);
  withJson(withStack(program.command("resume")))
    .summary("end a node's maintenance")
    .argument("<node>", "the node to take back")
    .addHelpText("after", "\nExamples:\n  ./fleet resume a\n  ./fleet resume a --json")
    .action(resume);
}
