import type { Tier } from "../../../components/cost.ts";
import { monthlyUsd } from "../../../components/cost.ts";
import type { StackPlan } from "../../../stacks/plan.ts";

/** One tier's cost before and after, US dollars a month; null where it is not there. */
export interface TierChange {
  readonly tier: string;
  readonly before: number | null;
  readonly after: number | null;
}

/** What a change makes of a stack's bill. */
export interface CostChange {
  /** Null: no plan, or no prices for it. */
  readonly before: number | null;
  readonly after: number | null;
  /** Tiers whose cost differs. */
  readonly tiers: readonly TierChange[];
  /** Where the prices are from. */
  readonly basis: string | null;
  readonly budgetUsd: number | null;
}

/** Less than this is how sums are rounded, US dollars. */
const CENT = 0.005;

/** Compares two plans of a stack; `before` is null for a stack that is new. */
export function costChange(before: StackPlan | null, after: StackPlan | null): CostChange {
  const old = costs(before?.tiers ?? []);
  const next = costs(after?.tiers ?? []);
  const tiers = [...new Set([...old.keys(), ...next.keys()])]
    .map((tier) => ({ tier, before: old.get(tier) ?? null, after: next.get(tier) ?? null }))
    .filter((one) => Math.abs((one.before ?? 0) - (one.after ?? 0)) > CENT);
  return {
    before: before?.cost?.monthlyUsd ?? null,
    after: after?.cost?.monthlyUsd ?? null,
    tiers,
    basis: after?.cost?.basis ?? null,
    budgetUsd: after?.budgetMonthlyUsd ?? null,
  };
}

const costs = (tiers: readonly Tier[]): Map<string, number> => {
  const sums = new Map<string, number>();
  for (const { tier, costs } of tiers) {
    sums.set(tier, (sums.get(tier) ?? 0) + monthlyUsd(costs));
  }
  return sums;
};
