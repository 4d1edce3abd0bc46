import { describe, expect, test } from "vitest";
import { comparisonText, planText } from "../../cli/lib/plan-text.ts";
import { stackSettings } from "../../cli/lib/stack-settings.ts";
import { BUCKETS_PRICES } from "../../components/buckets/catalog.ts";
import { CACHE_PRICES } from "../../components/cache/catalog.ts";
import { CLUSTER_PRICES } from "../../components/cluster/catalog.ts";
import { type CostLine, lineCents } from "../../components/cost.ts";
import { DATABASE_PRICES } from "../../components/database/catalog.ts";
import { EDGE_PRICES } from "../../components/edge/catalog.ts";
import { FILES_PRICES } from "../../components/files/catalog.ts";
import { HOST_PRICES } from "../../components/hosts-ec2/catalog.ts";
import { PRICES as KEYS_PRICES } from "../../components/keys/catalog.ts";
import { PRICES as MONITORING_PRICES } from "../../components/monitoring/catalog.ts";
import { PRICES as NETWORK_PRICES } from "../../components/network/catalog.ts";
import { NODES_PRICES } from "../../components/nodes/catalog.ts";
import { TOKENS_PRICES } from "../../stacks/aws/own-cost.ts";
import { comparedPlans } from "../../stacks/compare.ts";
import { planStack } from "../../stacks/plan.ts";
import { settingsSchema } from "../../stacks/settings-schema.ts";
import { page, tableRows } from "./pages.ts";

const cost = page("docs/cost.md");

interface Worked {
  readonly tier: string;
  readonly line: CostLine;
  readonly cents: number;
}

interface Bill {
  readonly target: string;
  readonly preset: string;
  readonly environment: string;
  readonly region: string;
  readonly lines: readonly Worked[];
  readonly sumCents: number;
}

/** Dollars and cents as they are written, e.g. `1,204.50`. */
const centsOf = (text: string) => Math.round(Number(text.replaceAll(",", "")) * 100);

/** `3 × 730 / 1000 + 2`: products from left to right, then sums. */
function worked(text: string): number {
  if (!/^[\d.]+( [×/+−] [\d.]+)*$/.test(text)) throw new Error(`${text} is no calculation`);
  return text.split(/ (?=[+−] )/).reduce((sum, term) => {
    const sign = term.startsWith("−") ? -1 : 1;
    const [first = "", ...rest] = term.replace(/^[+−] /, "").split(/ (?=[×/] )/);
    const product = rest.reduce(
      (value, step) =>
        step.startsWith("×") ? value * Number(step.slice(2)) : value / Number(step.slice(2)),
      Number(first),
    );
    return sum + sign * product;
  }, 0);
}

function billsOf(text: string): Bill[] {
  return text
    .split(/^### /m)
    .slice(1)
    .map((section) => {
      const [heading = "", ...rest] = section.split("\n");
      const [target = "", preset = "", environment = "", region = ""] = heading.split(" · ");
      const rows = rest
        .filter((row) => row.startsWith("| ") && !row.startsWith("| tier |"))
        .map((row) =>
          row
            .split("|")
            .map((cell) => cell.trim().replaceAll("**", ""))
            .slice(1, -1),
        );
      const sum = rows.find(([tier]) => tier === "sum");
      const lines = rows
        .filter(([tier]) => tier !== "sum")
        .map(([tier = "", what = "", quantity = "", unit = "", price = "", amount = ""]) => ({
          tier,
          line: { what, quantity: worked(quantity), unit, priceUsd: Number(price) },
          cents: centsOf(amount),
        }));
      return { target, preset, environment, region, lines, sumCents: centsOf(sum?.[5] ?? "") };
    });
}

const bills = billsOf(cost.text);

/** The stack of a bill: nothing is set but what its heading says, and what no stack goes without. */
function planned({ target, preset, environment, region }: Bill) {
  return planStack(
    "team",
    settingsSchema.parse({
      target,
      preset,
      environment,
      domain: "fleet.example.com",
      aws: { region, accountId: "123456789012" },
      ...(target === "eks"
        ? {
            cluster: {
              access: "private",
              admins: ["arn:aws:iam::123456789012:role/deploy"],
            },
          }
        : {}),
    }),
  );
}

test("three whole stacks are worked by hand: both targets, two regions", () => {
  expect(bills.map((b) => `${b.target} ${b.preset} ${b.environment} ${b.region}`)).toEqual([
    "ec2 small dev us-east-1",
    "eks medium prod eu-central-1",
    "eks enterprise prod us-east-1",
  ]);
});

describe.each(bills.map((bill) => [`${bill.target} ${bill.preset}`, bill] as const))(
  "the bill of %s",
  (_, bill) => {
    const tiers = planned(bill).tiers;
    const lines = tiers.flatMap(({ tier, costs }) => costs.map((line) => ({ tier, line })));

    test("has the plan's lines, each in its tier, and no other", () => {
      const named = (all: readonly { tier: string; line: CostLine }[]) =>
        all.map(({ tier, line }) => `${tier}: ${line.what}, ${line.unit}`);
      expect(named(bill.lines)).toEqual(named(lines));
    });

    test.each(bill.lines.map((each, i) => [each.line.what, each, i] as const))(
      "%s: worked by hand it is what the code says",
      (_, { line, cents }, i) => {
        const planned = lines[i]?.line as CostLine;
        expect(line.quantity).toBeCloseTo(planned.quantity, 6);
        expect(line.priceUsd).toBeCloseTo(planned.priceUsd, 9);
        expect(cents).toBe(lineCents(planned));
        expect(cents).toBe(lineCents(line));
      },
    );

    test("adds up, here and in the plan", () => {
      expect(bill.lines.reduce((sum, { cents }) => sum + cents, 0)).toBe(bill.sumCents);
      expect(planned(bill).cost?.monthlyUsd).toBe(bill.sumCents / 100);
    });
  },
);

test("the page names where each component's prices are from, and the day, as its catalog does", () => {
  const tables = {
    network: NETWORK_PRICES,
    keys: KEYS_PRICES,
    cache: CACHE_PRICES,
    database: DATABASE_PRICES,
    files: FILES_PRICES,
    buckets: BUCKETS_PRICES,
    edge: EDGE_PRICES,
    "hosts-ec2": HOST_PRICES,
    cluster: CLUSTER_PRICES,
    nodes: NODES_PRICES,
    monitoring: MONITORING_PRICES,
    tokens: TOKENS_PRICES,
  };
  expect(tableRows(cost, "component")).toEqual(
    Object.entries(tables).map(([component, { date, source }]) => [component, date, source]),
  );
  // The page says in bold that none was read; a price that was takes the words out of its source.
  for (const { source } of Object.values(tables)) expect(source).toContain("from memory");
});

describe.each(["README.md", "docs/cost.md"])("%s", (file) => {
  test("shows the comparison as the program prints it", () => {
    const plans = comparedPlans({ region: "eu-central-1", hostMonthlyUsd: 15 });
    const [, pasted = ""] = page(file).text.split("$ ./fleet plan --compare --host-price 15\n");
    expect(pasted.split("\n```")[0]).toBe(comparisonText(plans));
  });
});

test("README shows rows of the sample's plan as the program prints them", () => {
  const printed = planText(planStack("staging", stackSettings("staging")));
  const [, pasted = ""] = page("README.md").text.split("$ ./fleet plan --stack staging\n...\n");
  const [rows = ""] = pasted.split("\n...");
  expect(rows.split("\n").length).toBeGreaterThan(8);
  expect(printed).toContain(rows);
});

test("a calculation that is none is refused", () => {
  expect(worked("2 × 3 / 4 + 1 − 0.5")).toBe(2);
  expect(() => worked("two")).toThrow("two is no calculation");
});
