import { describe, expect, test } from "vitest";
import { planBudget, tierBudget } from "../../../components/budget/plan.ts";
import { budgetSettings } from "../../../components/budget/settings.ts";
import { monthlyUsd } from "../../../components/cost.ts";
import { ConfigError } from "../../../components/errors.ts";

const EMAILS = ["ops@example.com", "lead@example.com"];

describe("a budget", () => {
  test("is none without budgetMonthlyUsd", () => {
    expect(planBudget({})).toBeNull();
    expect(planBudget({ settings: { emails: [] } })).toBeNull();
  });

  test("tells of 80 % forecast and all of it spent", () => {
    const plan = planBudget({ monthlyUsd: 900, settings: { emails: EMAILS } });
    expect(plan).toEqual({
      monthlyUsd: 900,
      emails: ["lead@example.com", "ops@example.com"],
      snsTopicArns: [],
      notices: [
        { type: "FORECASTED", percent: 80 },
        { type: "ACTUAL", percent: 100 },
      ],
      tagFilter: null,
      notes: [],
    });
  });

  test("without anybody named has no notice, and says that nobody is told", () => {
    const plan = planBudget({ monthlyUsd: 900 });
    expect(plan?.notices).toEqual([]);
    expect(plan?.notes).toEqual([expect.stringContaining("nobody is told")]);
    if (!plan) throw new Error("no plan");
    expect(tierBudget(plan).why).toContain("tells nobody");
  });

  test("counts the whole account unless a tag is named, and then warns of 0 dollars", () => {
    const settings = { emails: EMAILS, tag: { key: "fleet", value: "prod" } };
    const plan = planBudget({ monthlyUsd: 900, settings });
    expect(plan?.tagFilter).toBe("user:fleet$prod");
    expect(plan?.notes).toEqual([expect.stringContaining("0 dollars until billing")]);
  });

  test("is missed where people are named for it", () => {
    expect(() => planBudget({ settings: { emails: EMAILS } })).toThrow(ConfigError);
    expect(() => planBudget({ settings: { emails: EMAILS } })).toThrow(
      /budgetMonthlyUsd is not set/,
    );
  });

  test("costs nothing, and says so", () => {
    const plan = planBudget({ monthlyUsd: 1 });
    if (!plan) throw new Error("no plan");
    expect(tierBudget(plan).costs).toHaveLength(1);
    expect(monthlyUsd(tierBudget(plan).costs)).toBe(0);
  });
});

test("budget settings refuse what cannot be told", () => {
  const paths = (value: unknown) =>
    (budgetSettings.safeParse(value).error?.issues ?? []).map(({ path }) => path.join("."));
  expect(paths({ emails: ["ops"] })).toEqual(["emails.0"]);
  const many = (n: number) => Array.from({ length: n }, (_, i) => `ops${i}@example.com`);
  expect(paths({ emails: many(10) })).toEqual([]);
  expect(paths({ emails: many(11) })).toEqual(["emails"]);
  expect(paths({ snsTopicArn: "alerts" })).toEqual(["snsTopicArn"]);
  expect(paths({ email: "ops@example.com" })).toEqual([""]);
});
