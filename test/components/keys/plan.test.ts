import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { monthlyUsd, PRICE_REGIONS } from "../../../components/cost.ts";
import { ConfigError } from "../../../components/errors.ts";
import { type KeysNeed, planKeys, tierKeys } from "../../../components/keys/plan.ts";

const NEED: KeysNeed = {
  accountId: "123456789012",
  kubernetes: true,
  spot: true,
  serviceRoles: ["autoScaling", "spot"],
};

describe("roles that the key of disks must name", () => {
  test.each([
    [true, true, ["autoScaling", "spot"]],
    [true, false, ["autoScaling"]],
    [false, true, ["spot"]],
    [false, false, []],
  ])("cluster %s, spot machines %s: %j", (kubernetes, spot, roles) => {
    const plan = planKeys({ ...NEED, kubernetes, spot });
    expect(plan).toEqual({ serviceRoles: roles, interruptionQueue: kubernetes });
  });

  test("are an error when the account lacks them, since KMS refuses the policy: all, with the command", () => {
    let thrown: unknown;
    try {
      planKeys({ ...NEED, serviceRoles: [] });
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(ConfigError);
    const { faults } = thrown as ConfigError;
    expect(faults.map((f) => f.remedy)).toEqual([
      "Make it once: aws iam create-service-linked-role --aws-service-name autoscaling.amazonaws.com",
      "Make it once: aws iam create-service-linked-role --aws-service-name spot.amazonaws.com",
    ]);
    expect(faults[0]?.problem).toContain("AWSServiceRoleForAutoScaling");
  });

  test("are not asked for where no one needs them", () => {
    const need = { ...NEED, kubernetes: false, spot: false, serviceRoles: [] };
    expect(planKeys(need).serviceRoles).toEqual([]);
  });
});

describe("the keys' row of a plan", () => {
  test("three keys and their calls for 200 users, by hand: 3 × 1 + 15 × 0.03", () => {
    expect(monthlyUsd(tierKeys({ users: 200 }, "eu-central-1").costs)).toBe(3.45);
  });

  test("costs never fall as users rise", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...PRICE_REGIONS),
        fc.nat(5000),
        fc.nat(500),
        (region, users, more) => {
          const usd = (n: number) => monthlyUsd(tierKeys({ users: n }, region).costs);
          expect(usd(users + more)).toBeGreaterThanOrEqual(usd(users));
        },
      ),
    );
  });

  test("has no costs in a region without prices", () => {
    expect(tierKeys({ users: 1 }, "ap-south-1").costs).toEqual([]);
  });
});
