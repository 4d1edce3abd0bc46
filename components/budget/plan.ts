import type { Tier } from "../cost.ts";
import { ConfigError } from "../errors.ts";
import { THRESHOLDS } from "./catalog.ts";
import type { BudgetSettings } from "./settings.ts";

export interface BudgetNeed {
  /** `budgetMonthlyUsd`; left out: no alarm. */
  readonly monthlyUsd?: number;
  /** `budget`. */
  readonly settings?: Partial<BudgetSettings>;
}

export interface BudgetNotice {
  readonly type: "FORECASTED" | "ACTUAL";
  readonly percent: number;
}

export interface BudgetPlan {
  readonly monthlyUsd: number;
  readonly emails: readonly string[];
  readonly snsTopicArns: readonly string[];
  /** Empty when nobody is named: AWS refuses a notice without a receiver. */
  readonly notices: readonly BudgetNotice[];
  /** `user:<key>$<value>` as billing writes it; null: the whole account. */
  readonly tagFilter: string | null;
  /** What a person should know, without being an error. */
  readonly notes: readonly string[];
}

/** The alarm; null without a budget. Throws ConfigError when people are named and there is nothing to tell them. */
export function planBudget({ monthlyUsd, settings = {} }: BudgetNeed): BudgetPlan | null {
  const emails = [...new Set(settings.emails ?? [])].sort();
  const snsTopicArns = settings.snsTopicArn ? [settings.snsTopicArn] : [];
  const named = emails.length + snsTopicArns.length > 0;
  if (monthlyUsd === undefined) {
    if (!named && !settings.tag) return null;
    throw new ConfigError(
      "budgetMonthlyUsd",
      "is not set, and budget says whom to tell when it is spent",
      "Set it to US dollars a month, or leave budget out",
    );
  }
  return {
    monthlyUsd,
    emails,
    snsTopicArns,
    notices: named
      ? [
          { type: "FORECASTED", percent: THRESHOLDS.forecastPercent },
          { type: "ACTUAL", percent: THRESHOLDS.actualPercent },
        ]
      : [],
    tagFilter: settings.tag ? `user:${settings.tag.key}$${settings.tag.value}` : null,
    notes: [
      ...(named
        ? []
        : ["budgetMonthlyUsd is set and budget.emails is not: nobody is told when it is spent"]),
      ...(settings.tag
        ? [
            `the budget counts what is tagged ${settings.tag.key}: 0 dollars until billing has activated that tag`,
          ]
        : []),
    ],
  };
}

/** The budget's row of `fleet plan`. */
export function tierBudget(plan: BudgetPlan): Tier {
  const told = [...plan.emails, ...plan.snsTopicArns];
  return {
    tier: "budget",
    size: `${plan.monthlyUsd} USD a month, ${plan.tagFilter ? "what is tagged" : "the whole account"}`,
    count: 1,
    why:
      told.length > 0
        ? `budgetMonthlyUsd; tells ${told.join(", ")}`
        : "budgetMonthlyUsd; tells nobody",
    survives: "it only tells: nothing is stopped when it is spent",
    costs: [{ what: "Budget", quantity: 1, unit: "budget-month", priceUsd: 0 }],
  };
}
