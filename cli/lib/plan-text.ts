import { monthlyUsd, type Tier } from "../../components/cost.ts";
import type { StackPlan } from "../../stacks/plan.ts";
import type { FleetPlan } from "../../stacks/presets.ts";
import { table } from "./terminal.ts";
import { columnsOf, wrap } from "./wrap.ts";

export const gib = (mib: number): string => `${(mib / 1024).toFixed(1)} GiB`;

/** US dollars with thousands apart, to the cent. */
export const usd = (amount: number): string =>
  `$${amount.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;

/** What `fleet plan --json` prints: the fleet's own numbers, then what is made for it. */
export function planFacts({ fleet, tiers, cost, budgetMonthlyUsd, notes }: StackPlan) {
  const priced = tiers.map((tier) => ({ ...tier, monthlyUsd: monthlyUsd(tier.costs) }));
  return { ...fleet, tiers: priced, cost, budgetMonthlyUsd, notes: [...fleet.notes, ...notes] };
}

/** What `fleet plan` prints. */
export function planText(plan: StackPlan): string {
  const { fleet } = plan;
  const lines = [heading(fleet), "", shardTable(fleet), "", sizeTable(fleet)];
  if (plan.tiers.length > 0) lines.push("", tierTable(plan.tiers));
  lines.push("", wrap(costSentence(plan), columnsOf()), "", wrap(fleet.loss.sentence, columnsOf()));
  lines.push("", "Where the numbers come from:", numberTable(fleet));
  const notes = [...fleet.notes, ...plan.notes];
  if (notes.length > 0) lines.push("", ...notes.map((note) => wrap(`! ${note}`, columnsOf(), 2)));
  return lines.join("\n");
}

function heading({ preset, target, nodes, shards, users }: FleetPlan): string {
  const people = users === null ? "" : `, for ${users} users at once`;
  return `${preset} · ${target}: ${count(nodes.length, "node")}, ${count(shards.length, "shard")}${people}`;
}

const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`;

/** Shards that are alike share a row, so that a large fleet still fits a screen. */
function shardTable({ shards }: FleetPlan): string {
  const rows = new Map<string, string[]>();
  for (const s of shards) {
    const rest = [s.agents.join(" "), gib(s.memoryMiB), gib(s.recycleMiB)];
    const key = JSON.stringify([s.dedicated, rest]);
    rows.set(key, [...(rows.get(key) ?? []), s.id]);
  }
  return table(
    ["SHARD", "AGENTS", "MEMORY", "RECYCLED AT"],
    [...rows].map(([key, ids]) => {
      const [dedicated, rest] = JSON.parse(key) as [boolean, string[]];
      const name = ids.length > 2 ? `${ids[0]} … ${ids.at(-1)} (${ids.length})` : ids.join(" ");
      return [dedicated ? `${name} (dedicated)` : name, ...rest];
    }),
  );
}

function sizeTable(fleet: FleetPlan): string {
  const per = fleet.target === "local" ? "this machine" : "each node";
  return table(
    ["WHAT", "VALUE"],
    [
      [`memory of ${per}`, gib(fleet.machine.memoryMiB)],
      [`cores of ${per}`, String(fleet.machine.cores)],
      [`disk of ${per}`, gib(fleet.machine.diskMiB)],
      ["turns a second", String(fleet.turnsPerSecond)],
      ["Redis", fleet.redis],
    ],
  );
}

function tierTable(tiers: readonly Tier[]): string {
  const costs = table(
    ["TIER", "COUNT", "A MONTH", "SIZE"],
    tiers.map(({ tier, size, count, costs }) => [
      tier,
      String(count),
      costs.length === 0 ? "–" : usd(monthlyUsd(costs)),
      size,
    ]),
  );
  const reasons = table(
    ["TIER", "SURVIVES; WHY THIS SIZE"],
    tiers.map(({ tier, survives, why }) => [tier, `${survives}; ${why}`]),
  );
  return `${costs}\n\n${reasons}`;
}

function costSentence({ fleet, cost, budgetMonthlyUsd }: StackPlan): string {
  if (fleet.target === "local") return "Cost: nothing beyond the machine it runs on.";
  if (cost === null) return "Cost: not known; the plan says below what to set.";
  const budget =
    budgetMonthlyUsd === undefined
      ? "no budgetMonthlyUsd is set"
      : `budgetMonthlyUsd is ${usd(budgetMonthlyUsd)}, which leaves ${usd(budgetMonthlyUsd - cost.monthlyUsd)}`;
  return `Cost: ${usd(cost.monthlyUsd)} a month; ${budget}. ${cost.basis}`;
}

function numberTable({ numbers }: FleetPlan): string {
  return table(
    ["NUMBER", "VALUE", "SOURCE"],
    numbers.map((n) => [
      n.name,
      `${n.value} ${n.value === 1 ? n.unit.replace(/s$/, "") : n.unit}`,
      n.source,
    ]),
  );
}

/** What `fleet plan --compare` prints: a row a preset and target. */
export function comparisonText(plans: readonly StackPlan[]): string {
  return table(
    ["PRESET", "TARGET", "USERS", "NODES", "SHARDS", "NODE", "REDIS", "NODE LOST", "A MONTH"],
    plans.map(({ fleet, cost }) => [
      fleet.preset,
      fleet.target,
      String(fleet.users ?? "–"),
      String(fleet.nodes.length),
      String(fleet.shards.length),
      `${gib(fleet.node.memoryMiB)}, ${fleet.node.cores} cores`,
      fleet.redis,
      fleet.loss.survives ? "goes on" : "stops",
      cost === null ? "your hosts' price" : usd(cost.monthlyUsd),
    ]),
  );
}
