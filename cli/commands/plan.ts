import type { Command } from "commander";
import { type FleetPlan, PRESETS, planFleet } from "../../stacks/presets.ts";
import { withJson, withStack } from "../lib/options.ts";
import { asCommandFailed, stackSettings } from "../lib/stack-settings.ts";
import { result, table } from "../lib/terminal.ts";
import { columnsOf, wrap } from "../lib/wrap.ts";

interface Options {
  stack: string;
  json?: boolean;
  compare?: boolean;
}

const gib = (mib: number) => `${(mib / 1024).toFixed(1)} GiB`;

function planOf(settings: Parameters<typeof planFleet>[0]): FleetPlan {
  try {
    return planFleet(settings);
  } catch (error) {
    throw asCommandFailed(error);
  }
}

/** What it costs: processes on machines that are there already cost nothing more. */
const COST = "nothing beyond the machines it runs on";

function text(plan: FleetPlan): string {
  const per = plan.target === "local" ? "this machine" : "each node";
  const lines = [
    `${plan.preset} · ${plan.target}: ${plan.nodes.length} nodes, ${plan.shards.length} shards${plan.users === null ? "" : `, for ${plan.users} users at once`}`,
    "",
    table(
      ["SHARD", "AGENTS", "MEMORY", "RECYCLED AT"],
      plan.shards.map((s) => [
        s.dedicated ? `${s.id} (dedicated)` : s.id,
        s.agents.join(" "),
        gib(s.memoryMiB),
        gib(s.recycleMiB),
      ]),
    ),
    "",
    table(
      ["WHAT", "VALUE"],
      [
        [`memory of ${per}`, gib(plan.machine.memoryMiB)],
        [`cores of ${per}`, String(plan.machine.cores)],
        [`disk of ${per}`, gib(plan.machine.diskMiB)],
        ["turns a second", String(plan.turnsPerSecond)],
        ["Redis", plan.redis],
        ["cost a month", COST],
      ],
    ),
    "",
    wrap(plan.loss.sentence, columnsOf()),
    "",
    "Where the numbers come from:",
    table(
      ["NUMBER", "VALUE", "SOURCE"],
      plan.numbers.map((n) => [
        n.name,
        `${n.value} ${n.value === 1 ? n.unit.replace(/s$/, "") : n.unit}`,
        n.source,
      ]),
    ),
  ];
  if (plan.notes.length > 0) {
    lines.push("", ...plan.notes.map((note) => wrap(`! ${note}`, columnsOf(), 2)));
  }
  return lines.join("\n");
}

function comparison(plans: FleetPlan[]): string {
  return table(
    ["PRESET", "USERS", "NODES", "SHARDS", "MEMORY/NODE", "CORES/NODE", "REDIS", "NODE LOST"],
    plans.map((plan) => [
      plan.preset,
      String(plan.users ?? "–"),
      String(plan.nodes.length),
      String(plan.shards.length),
      gib(plan.node.memoryMiB),
      String(plan.node.cores),
      plan.redis,
      plan.loss.survives ? "goes on" : "stops",
    ]),
  );
}

export function register(program: Command): void {
  withJson(withStack(program.command("plan")))
    .summary("sizes, what they rest on, and what a loss leaves")
    .option("--compare", "the four presets side by side")
    .addHelpText("after", "\nExamples:\n  ./fleet plan\n  ./fleet plan --compare --json")
    .action((options: Options) => {
      if (options.compare) {
        // On hosts, where a row stands for machines; on one machine all nodes share its memory.
        const plans = PRESETS.map(({ name }) => planOf({ target: "hosts", preset: name }));
        result(Boolean(options.json), { presets: plans }, () => comparison(plans));
        return;
      }
      const plan = planOf(stackSettings(options.stack));
      result(Boolean(options.json), plan, () => text(plan));
    });
}
