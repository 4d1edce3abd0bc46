import { describe, expect, test } from "vitest";
import { ConfigError } from "../../components/errors.ts";
import { planStack } from "../../stacks/plan.ts";
import { settingsSchema } from "../../stacks/settings-schema.ts";

const plan = (settings: object) => planStack("team", settingsSchema.parse(settings));

describe("what a stack costs", () => {
  test("this machine is there already", () => {
    expect(plan({}).cost?.monthlyUsd).toBe(0);
    expect(plan({}).tiers).toEqual([]);
  });

  test("hosts cost what the person says, each", () => {
    const { cost, tiers } = plan({
      target: "hosts",
      preset: "small",
      sizes: { hostMonthlyUsd: 12.5 },
    });
    expect(cost?.monthlyUsd).toBe(37.5);
    expect(tiers).toMatchObject([{ tier: "hosts", count: 3, survives: "the loss of one host" }]);
  });

  test("hosts without a price have no sum, and the plan says what to set", () => {
    const { cost, notes } = plan({ target: "hosts", preset: "small" });
    expect(cost).toBeNull();
    expect(notes.join()).toContain("sizes.hostMonthlyUsd");
  });
});

describe("a budget below the plan's cost", () => {
  const dear = {
    target: "hosts",
    preset: "small",
    sizes: { hostMonthlyUsd: 40 },
    budgetMonthlyUsd: 100,
  };

  test("is refused in prod, with both numbers", () => {
    const work = () => plan({ ...dear, environment: "prod" });
    expect(work).toThrow(ConfigError);
    expect(work).toThrow(/budgetMonthlyUsd is 100, and the plan costs 120\.00 US dollars/);
  });

  test.each(["staging", "dev"])("is said in %s", (environment) => {
    expect(plan({ ...dear, environment }).notes.join()).toContain("the plan costs 120.00");
  });

  test("that is just met is neither", () => {
    expect(plan({ ...dear, budgetMonthlyUsd: 120, environment: "prod" }).notes).toEqual([]);
  });
});

test("a cluster's services may not overlap the network as it is planned", () => {
  const stack = {
    target: "eks",
    preset: "small",
    aws: { region: "eu-central-1", accountId: "123456789012" },
    domain: "fleet.example.com",
    network: { cidr: "172.20.0.0/16" },
    cluster: { access: "private", admins: ["arn:aws:iam::123456789012:role/deploy"] },
  };
  expect(() => plan(stack)).toThrow(/cluster\.serviceCidr is 172\.20\.0\.0\/16, which overlaps/);
});
