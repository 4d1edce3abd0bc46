import type { PricedBy } from "../cost.ts";

/** Most addresses and topics that one notification tells.
 *  Source: docs.aws.amazon.com/cost-management/latest/userguide/management-limits.html, checked 2026-11-21 */
export const MAX_EMAILS = 10;

/** Percent of the budget at which people are told: when the month is forecast to reach the first, and
 *  when the second is spent. */
export const THRESHOLDS = { forecastPercent: 80, actualPercent: 100 } as const;

/** How each type that the component registers is paid for. */
export const PRICED: Readonly<Record<string, PricedBy>> = {
  "aws:budgets/budget:Budget": { free: "budgets that only tell cost nothing" },
};
