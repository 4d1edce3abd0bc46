import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { AwsContext } from "../context.ts";
import type { BudgetPlan } from "./plan.ts";

export interface BudgetArgs {
  readonly context: AwsContext;
  /** From `planBudget`, when that is not null. */
  readonly plan: BudgetPlan;
}

/** AWS's own alarm on the month's bill, beside the plan's estimate: it counts what was really spent. */
export class Budget extends pulumi.ComponentResource {
  readonly budgetName: pulumi.Output<string>;

  constructor(name: string, args: BudgetArgs, opts?: pulumi.ComponentResourceOptions) {
    super("openclaw-fleet:fleet:Budget", name, {}, opts);
    const { context, plan } = args;
    const budget = new aws.budgets.Budget(
      `${name}-monthly`,
      {
        accountId: context.accountId,
        budgetType: "COST",
        timeUnit: "MONTHLY",
        limitAmount: plan.monthlyUsd.toFixed(2),
        limitUnit: "USD",
        ...(plan.tagFilter
          ? { costFilters: [{ name: "TagKeyValue", values: [plan.tagFilter] }] }
          : {}),
        notifications: plan.notices.map(({ type, percent }) => ({
          notificationType: type,
          comparisonOperator: "GREATER_THAN",
          threshold: percent,
          thresholdType: "PERCENTAGE",
          ...(plan.emails.length > 0 ? { subscriberEmailAddresses: [...plan.emails] } : {}),
          ...(plan.snsTopicArns.length > 0
            ? { subscriberSnsTopicArns: [...plan.snsTopicArns] }
            : {}),
        })),
        tags: { ...context.tags, Name: `${name}-monthly` },
      },
      { parent: this },
    );
    this.budgetName = budget.name;
    this.registerOutputs({ budgetName: this.budgetName });
  }
}
