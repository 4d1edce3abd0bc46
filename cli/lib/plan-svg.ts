import { monthlyUsd, type Tier } from "../../components/cost.ts";
import type { StackPlan } from "../../stacks/plan.ts";
import { usd } from "./plan-text.ts";

/** Width of the picture, and of the room for a bar's name and its sum. */
const WIDTH = 960;
const NAME = 215;
const SUM = 120;
const ROW = 34;
const BAR = 20;
const TOP = 76;
/** Colour of the n-th of so many tiers. Light and dark alternate, for readers who see no colour. */
const colourOf = (n: number, of: number): string =>
  `hsl(${Math.round((360 * n) / Math.max(1, of))} 55% ${n % 2 === 0 ? 38 : 68}%)`;

const escaped = (text: string): string =>
  text.replace(
    /[&<>"]/g,
    (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c] as string,
  );

/** Bars of what each preset costs a month on each target, tier by tier. Self-contained. */
export function comparisonSvg(plans: readonly StackPlan[]): string {
  const rows = plans.filter(({ cost }) => cost !== null);
  const most = Math.max(1, ...rows.map(({ cost }) => cost?.monthlyUsd ?? 0));
  const tiers = [...new Set(rows.flatMap((plan) => plan.tiers.map(({ tier }) => tier)))];
  const colour = (tier: string) => colourOf(tiers.indexOf(tier), tiers.length);
  const scale = (WIDTH - NAME - SUM) / most;
  const legendTop = TOP + rows.length * ROW + 16;
  const height = legendTop + Math.ceil(tiers.length / 5) * 22 + 16;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="system-ui, sans-serif" font-size="13">`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    `<text x="16" y="28" font-size="18" font-weight="600">What each preset costs a month</text>`,
    `<text x="16" y="50" fill="#555">${escaped(priceNote(rows))}</text>`,
    ...rows.map((plan, i) => bar(plan, TOP + i * ROW, scale, colour)),
    ...tiers.map((tier, i) =>
      legend(tier, 16 + (i % 5) * 185, legendTop + Math.floor(i / 5) * 22, colour),
    ),
    "</svg>",
    "",
  ].join("\n");
}

/** Where the prices are from: of the rows with prices of their own, not the person's. */
function priceNote(rows: readonly StackPlan[]): string {
  const listed = rows.find(({ aws }) => aws !== null) ?? rows[0];
  return listed?.cost?.basis ?? "";
}

function bar(plan: StackPlan, y: number, scale: number, colour: (tier: string) => string): string {
  const { preset, target, nodes } = plan.fleet;
  let x = NAME;
  const parts = plan.tiers.map((tier: Tier) => {
    const width = monthlyUsd(tier.costs) * scale;
    const title = `${tier.tier}: ${usd(monthlyUsd(tier.costs))}`;
    const drawn = `<rect x="${x.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" fill="${colour(tier.tier)}"><title>${escaped(title)}</title></rect>`;
    x += width;
    return drawn;
  });
  const sum = usd(plan.cost?.monthlyUsd ?? 0);
  return [
    `<text x="16" y="${y + 15}">${preset} on ${target}, ${nodes.length} node${nodes.length === 1 ? "" : "s"}</text>`,
    ...parts,
    `<text x="${(x + 8).toFixed(1)}" y="${y + 15}">${sum}</text>`,
  ].join("\n");
}

function legend(tier: string, x: number, y: number, colour: (tier: string) => string): string {
  return `<rect x="${x}" y="${y}" width="12" height="12" fill="${colour(tier)}"/><text x="${x + 18}" y="${y + 11}">${escaped(tier)}</text>`;
}
