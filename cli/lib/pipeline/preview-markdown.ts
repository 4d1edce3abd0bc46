import { usd } from "../plan-text.ts";
import { type PolicyReport, resourceOf } from "../policy-report.ts";
import type { CostChange } from "./cost-change.ts";
import { EFFECT_TITLES, EFFECTS, type Effect, groupByEffect } from "./effects.ts";
import { code, fitted, inline, tableOf } from "./markdown.ts";
import type { Preview, Step } from "./steps.ts";

/** What is known of one stack's change. */
export interface StackChange {
  readonly stack: string;
  /** Null: nothing that decides it differs from the base, so it was not previewed. */
  readonly preview: Preview | null;
  /** Did Pulumi end well? */
  readonly failed: boolean;
  /** Does the stack exist already? */
  readonly exists: boolean;
  readonly cost: CostChange | null;
  readonly policies: PolicyReport | null;
  /** Variables that stood in for secrets which this run must not have. */
  readonly placeholders: readonly string[];
}

/** Changes that are listed by name in a group; of the rest their number is told. */
const LISTED = 20;
const MARKS: Readonly<Record<string, string>> = { create: "+", update: "~", delete: "−" };

/** The whole comment: the worst first, each stack a section. Values of properties are never shown. */
export function previewMarkdown(changes: readonly StackChange[], base: string | null): string {
  const sections = changes.map((change) => section(change, base).join("\n"));
  return fitted(["## What this change does", "", sections.join("\n\n")].join("\n"));
}

/** One sentence a stack: what a person must know before anything else. */
export function headline(change: StackChange): string {
  const { stack, preview, failed, exists, policies, cost } = change;
  if (preview === null) return `**${stack}**: nothing that decides it differs`;
  const refused = policies?.counts.refused ?? 0;
  const parts: string[] = [];
  if (refused > 0) parts.push(`**refused by ${count(refused, "policy finding")}**`);
  else if (failed) parts.push("**the preview failed**");
  if (!failed || preview.steps.length > 0) parts.push(effectWords(preview, exists));
  const money = moneyWords(cost);
  if (money !== "") parts.push(money);
  return `**${stack}**: ${parts.join("; ")}`;
}

function section(change: StackChange, base: string | null): string[] {
  const { preview, policies, cost, placeholders } = change;
  const lines = [`### ${inline(change.stack)}`, "", headline(change)];
  if (preview === null) return lines;
  if (preview.errors.length > 0 && (policies?.counts.refused ?? 0) === 0) {
    lines.push("", code(preview.errors.join("\n")));
  }
  if (placeholders.length > 0) {
    lines.push(
      "",
      `Placeholders stood in for ${placeholders.map((name) => `\`${name}\``).join(", ")}: this run has no secrets. What differs only because of them is shown as a change below, and is none.`,
    );
  }
  lines.push(...findings(policies), ...costs(cost, base), ...effects(preview));
  return lines;
}

function effectWords({ steps, unchanged }: Preview, exists: boolean): string {
  if (steps.length === 0) return "no changes";
  if (!exists) return `a new stack of ${count(steps.length, "resource")}`;
  const groups = groupByEffect(steps);
  const words: string[] = [];
  if (groups.data.length > 0) words.push(`**replaces or deletes data (${groups.data.length})**`);
  if (groups.restarts.length > 0) words.push(`restarts what serves (${groups.restarts.length})`);
  if (groups.reach.length > 0) words.push(`changes the way in (${groups.reach.length})`);
  if (words.length === 0) words.push("no effect on users");
  return `${words.join(", ")}, ${count(steps.length, "change")} in all, ${unchanged} unchanged`;
}

function moneyWords(cost: CostChange | null): string {
  if (cost?.after === null || cost?.after === undefined) return "";
  if (cost.before === null) return `${usd(cost.after)} a month`;
  const more = cost.after - cost.before;
  if (Math.abs(more) < 0.005) return `still ${usd(cost.after)} a month`;
  return `${usd(cost.before)} → ${usd(cost.after)} a month (${signed(more)})`;
}

const signed = (amount: number): string => `${amount < 0 ? "−" : "+"}${usd(Math.abs(amount))}`;

function findings(report: PolicyReport | null): string[] {
  const found = (report?.findings ?? []).filter(({ outcome }) => outcome === "found");
  if (found.length === 0) return [];
  return [
    "",
    `**Policies**: ${report?.counts.refused} refused, ${report?.counts.advisory} advisory`,
    "",
    ...found.flatMap((one) => [
      `- ${one.severity === "advisory" ? "advisory" : "**refused**"} \`${one.policy}\` at ${inline(resourceOf(one.urn))}: ${inline(one.sentence)}`,
      `  Found: ${inline(one.found)}.${one.setting ? ` Setting: \`${one.setting}\`.` : ""} Do: ${inline(one.fix)}.`,
    ]),
  ];
}

function costs(cost: CostChange | null, base: string | null): string[] {
  if (cost === null || cost.tiers.length === 0) return [];
  const amount = (value: number | null) => (value === null ? "–" : usd(value));
  const rows = cost.tiers.map((one) => [
    inline(one.tier),
    amount(one.before),
    amount(one.after),
    signed((one.after ?? 0) - (one.before ?? 0)),
  ]);
  rows.push([
    "**all**",
    amount(cost.before),
    amount(cost.after),
    cost.after === null || cost.before === null ? "–" : signed(cost.after - cost.before),
  ]);
  return [
    "",
    ...tableOf(["cost a month", base === null ? "before" : inline(base), "now", "more"], rows),
    "",
    [
      ...(cost.budgetUsd === null ? [] : [`Budget: ${usd(cost.budgetUsd)}.`]),
      ...(cost.basis === null ? [] : [inline(cost.basis)]),
    ].join(" "),
  ];
}

function effects({ steps }: Preview): string[] {
  const groups = groupByEffect(steps);
  return EFFECTS.filter((effect) => groups[effect].length > 0).flatMap((effect) =>
    group(effect, groups[effect]),
  );
}

function group(effect: Effect, steps: readonly Step[]): string[] {
  const title = `${EFFECT_TITLES[effect]} (${steps.length})`;
  const shown = steps.slice(0, LISTED).map(line);
  const rest = steps.length - shown.length;
  const list = [...shown, ...(rest > 0 ? [`- and ${rest} more`] : [])];
  if (effect !== "none") return ["", `**${title}**`, "", ...list];
  return ["", `<details><summary>${title}</summary>`, "", ...list, "", "</details>"];
}

function line({ op, type, name, changed, replacing }: Step): string {
  const why =
    op === "replace" && replacing.length > 0
      ? `: made anew because of ${replacing.map(property).join(", ")}`
      : changed.length > 0
        ? `: ${changed.map(property).join(", ")}`
        : "";
  return `- ${MARKS[op] ?? "±"} ${op} \`${type}\` **${inline(name)}**${why}`;
}

const property = (name: string): string => `\`${name}\``;
const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`;
