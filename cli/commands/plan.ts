import { writeFileSync } from "node:fs";
import { type Command, InvalidArgumentError, Option } from "commander";
import { PRICE_REGIONS, type PriceRegion } from "../../components/cost.ts";
import { comparedPlans } from "../../stacks/compare.ts";
import { planStack, type StackPlan } from "../../stacks/plan.ts";
import type { Settings } from "../../stacks/settings.ts";
import { UsageError } from "../lib/errors.ts";
import { withJson, withStack } from "../lib/options.ts";
import { comparisonSvg } from "../lib/plan-svg.ts";
import { comparisonText, planFacts, planText } from "../lib/plan-text.ts";
import { asCommandFailed, stackSettings } from "../lib/stack-settings.ts";
import { result, say } from "../lib/terminal.ts";

interface Options {
  stack: string;
  json?: boolean;
  compare?: boolean;
  svg?: string;
  region: PriceRegion;
  hostPrice?: number;
}

function planOf(stack: string, settings: Settings): StackPlan {
  try {
    return planStack(stack, settings);
  } catch (error) {
    throw asCommandFailed(error);
  }
}

function price(given: string): number {
  const amount = Number(given);
  if (given.trim() !== "" && amount >= 0 && Number.isFinite(amount)) return amount;
  throw new InvalidArgumentError("US dollars a month, e.g. 12.50.");
}

function compare({ json, svg, region, hostPrice }: Options): void {
  const plans = comparedPlans({ region, hostMonthlyUsd: hostPrice });
  if (svg !== undefined) {
    writeFileSync(svg, comparisonSvg(plans));
    say(`Wrote ${svg}`);
  }
  result(Boolean(json), { plans: plans.map(planFacts) }, () => comparisonText(plans));
}

export function register(program: Command): void {
  withJson(withStack(program.command("plan")))
    .summary("sizes, cost, what they rest on, and what a loss leaves")
    .option("--compare", "every preset on every target, side by side")
    .option("--svg <file>", "with --compare: also draw what they cost")
    .addOption(
      new Option("--region <name>", "with --compare: region of the prices on AWS")
        .choices(PRICE_REGIONS)
        .default("eu-central-1"),
    )
    .option("--host-price <usd>", "with --compare: what one of your own hosts costs a month", price)
    .addHelpText(
      "after",
      "\nExamples:\n  ./fleet plan --stack prod\n  ./fleet plan --compare --host-price 15 --svg plans.svg",
    )
    .action((options: Options) => {
      if (options.compare) return compare(options);
      if (options.svg !== undefined || options.hostPrice !== undefined) {
        throw new UsageError("--svg and --host-price are for --compare");
      }
      const plan = planOf(options.stack, stackSettings(options.stack));
      result(Boolean(options.json), planFacts(plan), () => planText(plan));
    });
}
