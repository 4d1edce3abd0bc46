import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { FLEET_NAME_MAX } from "../../../components/context.ts";
import { deployAws } from "../../../stacks/aws/deploy.ts";
import { nameFaults, TAGS_MAX, tagFaults } from "../../../stacks/aws/names.ts";
import type { AwsStackSettings } from "../../../stacks/aws/plan.ts";
import { planStack } from "../../../stacks/plan.ts";
import { settingsSchema } from "../../../stacks/settings-schema.ts";
import { RULES } from "../../standin/rules/index.ts";
import { type Registered, record } from "../../support/pulumi-mocks.ts";
import { COMPUTED, LOOKUPS } from "./account.ts";

/** What Pulumi puts behind a logical name where no physical one is given: a dash and seven digits. */
const SUFFIX = "-0123456";
const LONGEST = "f".repeat(FLEET_NAME_MAX);

const settings = (more: object) =>
  settingsSchema.parse({
    environment: "prod",
    domain: "chat.example.com",
    dns: { checkDelegation: false },
    aws: { region: "eu-central-1", accountId: "123456789012" },
    cluster: { access: "private", admins: ["arn:aws:iam::123456789012:role/deployer"] },
    budgetMonthlyUsd: 100_000,
    ...more,
  }) as AwsStackSettings;

const CASES = (["ec2", "eks"] as const).flatMap((target) =>
  (["solo", "small", "medium", "enterprise"] as const).map((preset) => ({ target, preset })),
);

describe.each(CASES)("what $preset on $target is called on AWS", ({ target, preset }) => {
  let resources: readonly Registered[];
  beforeAll(async () => {
    const recording = await record(
      () => deployAws({ stack: LONGEST, settings: settings({ target, preset }) }),
      { lookups: LOOKUPS, computed: COMPUTED },
    );
    resources = recording.resources.filter(({ type }) => type.startsWith("aws:"));
  });

  test("is within each type's length and letters, for the longest name of a fleet", () => {
    expect(resources.length).toBeGreaterThan(40);
    const wrong = resources.flatMap(({ type, name, inputs }) => {
      const rule = RULES[type]?.name;
      if (!rule) return [];
      const given = inputs[rule.property] as string | undefined;
      if (given === undefined && rule.required) return [`${type} ${name} has no ${rule.property}`];
      const physical = given ?? `${name}${SUFFIX}`;
      const fits = physical.length <= rule.max && (rule.pattern?.test(physical) ?? true);
      return fits ? [] : [`${type} ${rule.property} ${physical}`];
    });
    expect(wrong).toEqual([]);
  });

  test("begins with the fleet wherever it has to be given", () => {
    const given = resources.flatMap(({ type, inputs }) => {
      const property = RULES[type]?.name?.property;
      const value = property && (inputs[property] as string | undefined);
      return value ? [value] : [];
    });
    // Log groups and aliases are found by AWS under a name that begins otherwise.
    for (const name of given) expect(name).toMatch(new RegExp(`^(alias/|/aws/.*/)?${LONGEST}-`));
  });

  test("has tags within AWS's number and letters", () => {
    for (const { inputs } of resources) {
      const tags = Object.entries((inputs.tags ?? {}) as Record<string, string>);
      expect(tags.length).toBeLessThanOrEqual(15);
      for (const [key, value] of tags) {
        expect(key).toMatch(/^[\w .:/=+@-]{1,128}$/);
        expect(value).toMatch(/^[\w .:/=+@-]{0,256}$/);
      }
    }
  });
});

describe("the name of a stack on AWS", () => {
  test.each(["prod", "p1", "team-a", "internals", "sgp", LONGEST])("%s is taken", (stack) => {
    expect(nameFaults(stack)).toEqual([]);
  });

  test.each([
    ["p", /2 to 16/],
    [`${LONGEST}f`, /2 to 16/],
    ["Prod", /lower-case/],
    ["my_team", /lower-case/],
    ["1st", /beginning with a letter/],
    ["prod-", /lower-case/],
    ["team--a", /single dashes/],
    ["internal", /load balancers/],
    ["internal-prod", /load balancers/],
    ["sg", /security groups/],
    ["sthree", /buckets/],
    ["amzn-s3-demo", /buckets/],
  ])("%s is refused before anything is planned", (stack, why) => {
    expect(() => planStack(stack, settings({ target: "ec2", preset: "solo" }))).toThrow(why);
  });

  test("is free on other targets", () => {
    expect(() => planStack("My_Team--1", settingsSchema.parse({}))).not.toThrow();
  });
});

describe("tags", () => {
  const wrong = (tags: Record<string, string>) => tagFaults(tags).map(({ setting }) => setting);

  test.each([
    ["of AWS's own", { "aws:owner": "ops" }],
    ["of Kubernetes", { "kubernetes.io/cluster/x": "owned" }],
    ["of Karpenter", { "karpenter.sh/nodepool": "x" }],
    ["that the fleet sets", { name: "x" }],
    ["with letters that some services refuse", { owner: "ops;dev" }],
    ["with too long a value", { owner: "x".repeat(257) }],
    ["without a key", { "": "x" }],
  ])("%s are refused", (_, tags) => {
    expect(wrong(tags as unknown as Record<string, string>)).toEqual([
      `tags.${Object.keys(tags)[0]}`,
    ]);
  });

  test("that differ in case only are one to IAM", () => {
    expect(wrong({ Team: "a", team: "b" })).toEqual(["tags.team"]);
  });

  test("are refused when there are too many, and just not before", () => {
    const tags = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`tag${i}`, ""]));
    expect(wrong(tags(TAGS_MAX))).toEqual([]);
    expect(wrong(tags(TAGS_MAX + 1))).toEqual(["tags"]);
  });

  test("are refused by the plan, all at once", () => {
    const own = { target: "eks", preset: "solo", tags: { "aws:a": "x", Name: "y" } };
    expect(() => planStack("prod", settings(own))).toThrow(/tags\.aws:a .*\n.*tags\.Name /);
  });

  test("of letters and digits are taken, in any language", () => {
    const text = fc.stringMatching(/^[\p{L}\p{N}]{1,40}$/u);
    fc.assert(
      fc.property(text, text, (key, value) => {
        fc.pre(!/^(name|openclaw)/i.test(key));
        expect(tagFaults({ [`x-${key}`]: value })).toEqual([]);
      }),
    );
  });
});
