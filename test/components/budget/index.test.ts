import { expect, test } from "vitest";
import { PRICED } from "../../../components/budget/catalog.ts";
import { Budget } from "../../../components/budget/index.ts";
import { type BudgetNeed, type BudgetPlan, planBudget } from "../../../components/budget/plan.ts";
import type { AwsContext } from "../../../components/context.ts";
import { LIFETIMES } from "../../../components/lifetime.ts";
import { record } from "../../support/pulumi-mocks.ts";

const CONTEXT: AwsContext = {
  fleet: "prod",
  region: "eu-central-1",
  accountId: "123456789012",
  zones: [],
  partition: "aws",
  lifetime: LIFETIMES.prod,
  tags: { fleet: "prod" },
};
const TOPIC = "arn:aws:sns:eu-central-1:123456789012:alerts";

async function build(need: BudgetNeed) {
  const plan = planBudget(need) as BudgetPlan;
  return record(() => new Budget("prod-budget", { context: CONTEXT, plan }));
}
const inputs = async (need: BudgetNeed) =>
  (await build(need)).one("aws:budgets/budget:Budget").inputs;

test("the month's budget tells by mail and topic, of the whole account", async () => {
  const told = {
    comparisonOperator: "GREATER_THAN",
    thresholdType: "PERCENTAGE",
    subscriberEmailAddresses: ["ops@example.com"],
    subscriberSnsTopicArns: [TOPIC],
  };
  const settings = { emails: ["ops@example.com"], snsTopicArn: TOPIC };
  expect(await inputs({ monthlyUsd: 1234.5, settings })).toEqual({
    accountId: "123456789012",
    budgetType: "COST",
    timeUnit: "MONTHLY",
    limitAmount: "1234.50",
    limitUnit: "USD",
    notifications: [
      { ...told, notificationType: "FORECASTED", threshold: 80 },
      { ...told, notificationType: "ACTUAL", threshold: 100 },
    ],
    tags: { fleet: "prod", Name: "prod-budget-monthly" },
  });
});

test("it filters by a tag only when told", async () => {
  const settings = { tag: { key: "fleet", value: "prod" } };
  expect((await inputs({ monthlyUsd: 5, settings })).costFilters).toEqual([
    { name: "TagKeyValue", values: ["user:fleet$prod"] },
  ]);
  expect(await inputs({ monthlyUsd: 5 })).not.toHaveProperty("costFilters");
});

test("a notice never goes without a receiver, which AWS refuses", async () => {
  expect((await inputs({ monthlyUsd: 5 })).notifications).toEqual([]);
  const settings = { snsTopicArn: TOPIC };
  for (const notice of (await inputs({ monthlyUsd: 5, settings })).notifications) {
    expect(notice.subscriberSnsTopicArns).toEqual([TOPIC]);
    expect(notice).not.toHaveProperty("subscriberEmailAddresses");
  }
});

test("its type has a reason to cost nothing", async () => {
  const built = await build({ monthlyUsd: 5 });
  const types = built.resources.map((r) => r.type).filter((type) => type.startsWith("aws:"));
  expect(types).toEqual(Object.keys(PRICED));
});
