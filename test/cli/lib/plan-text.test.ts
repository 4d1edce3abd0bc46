import { describe, expect, test } from "vitest";
import { comparisonSvg } from "../../../cli/lib/plan-svg.ts";
import { comparisonText, planFacts, planText, usd } from "../../../cli/lib/plan-text.ts";
import { monthlyUsd } from "../../../components/cost.ts";
import { comparedPlans } from "../../../stacks/compare.ts";

const plans = comparedPlans({ region: "eu-central-1", hostMonthlyUsd: 15 });

describe("a plan for people", () => {
  test.each(plans.map((plan) => [`${plan.fleet.preset} on ${plan.fleet.target}`, plan] as const))(
    "%s says each tier with its cost, and a sum that is theirs",
    (_, plan) => {
      const text = planText(plan);
      const sum = plan.tiers.reduce((total, { costs }) => total + monthlyUsd(costs), 0);
      expect(text).toContain(usd(sum));
      for (const { tier, survives } of plan.tiers) {
        expect(text).toContain(tier);
        expect(text).toContain(survives);
      }
    },
  );

  test("the document has the same sum, tier by tier", () => {
    for (const plan of plans) {
      const { tiers, cost } = planFacts(plan);
      const sum = tiers.reduce((total, tier) => total + tier.monthlyUsd, 0);
      expect(sum).toBeCloseTo(cost?.monthlyUsd ?? Number.NaN, 6);
    }
  });
});

describe("presets and targets side by side", () => {
  test("hosts without a price have no sum and are not drawn", () => {
    const unpriced = comparedPlans({ region: "eu-central-1", hostMonthlyUsd: undefined });
    expect(comparisonText(unpriced)).toContain("your hosts' price");
    expect(comparisonSvg(unpriced)).not.toContain("on hosts");
  });

  test("each row is drawn as long as it costs, and names its sum", () => {
    const svg = comparisonSvg(plans);
    for (const { cost } of plans) expect(svg).toContain(`>${usd(cost?.monthlyUsd ?? 0)}</text>`);
    const widths = [...svg.matchAll(/width="([\d.]+)" height="20"/g)].map(([, w]) => Number(w));
    const drawn = widths.reduce((sum, width) => sum + width, 0);
    const paid = plans.reduce((sum, { cost }) => sum + (cost?.monthlyUsd ?? 0), 0);
    const longest = Math.max(...plans.map(({ cost }) => cost?.monthlyUsd ?? 0));
    expect(drawn / paid).toBeCloseTo((960 - 215 - 120) / longest, 2);
  });

  test("the picture needs nothing from elsewhere", () => {
    expect(comparisonSvg(plans)).not.toMatch(/href|url\(|<script|<image/);
  });
});
