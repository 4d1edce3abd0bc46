import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { FLEET_NAME_MAX } from "../../../components/context.ts";
import { aligned, type Cidr, formatCidr, parseCidr } from "../../../components/network/cidr.ts";
import { deployAws } from "../../../stacks/aws/deploy.ts";
import { nameFaults, TAGS_MAX, tagFaults } from "../../../stacks/aws/names.ts";
import type { AwsStackSettings } from "../../../stacks/aws/plan.ts";
import { planStack } from "../../../stacks/plan.ts";
import { settingsSchema } from "../../../stacks/settings-schema.ts";
import { RULES } from "../../standin/rules/index.ts";
import { NOTHING_SECRET } from "../../support/nothing-secret.ts";
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

const ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy";
/** Characters of a policy: of a trust policy, of all inline ones of a role, of a managed one, and of others'. */
const POLICY_SIZES: Readonly<Record<string, number>> & { readonly [ROLE_POLICY]: number } = {
  // docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
  assumeRolePolicy: 2_048,
  [ROLE_POLICY]: 10_240,
  "aws:iam/policy:Policy": 6_144,
  // docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html
  "aws:kms/key:Key": 32_768,
  // docs.aws.amazon.com/AmazonS3/latest/userguide/add-bucket-policy.html
  "aws:s3/bucketPolicy:BucketPolicy": 20_480,
  // docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-policies.html
  "aws:sqs/queuePolicy:QueuePolicy": 8_192,
  // docs.aws.amazon.com/efs/latest/ug/API_PutFileSystemPolicy.html
  "aws:efs/fileSystemPolicy:FileSystemPolicy": 20_000,
};

/** What descriptions may hold. Sources: the API references of EC2 (CreateSecurityGroup) and IAM (CreateRole). */
const DESCRIBED: readonly (readonly [RegExp, RegExp])[] = [
  [/securityGroup/i, /^[\w .:/()#,@[\]+=&;{}!$*-]{1,255}$/],
  [/:(Role|Policy)$/, /^[ -~]{1,1000}$/],
];

/** Source: docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html. */
const RETENTIONS = [
  1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288,
  3653,
];

const CASES = (["ec2", "eks"] as const).flatMap((target) =>
  (["solo", "small", "medium", "enterprise"] as const).map((preset) => ({ target, preset })),
);

describe.each(CASES)("what $preset on $target gives to AWS", ({ target, preset }) => {
  let resources: readonly Registered[];
  beforeAll(async () => {
    const recording = await record(
      () =>
        deployAws({
          stack: LONGEST,
          settings: settings({ target, preset }),
          isSecret: NOTHING_SECRET,
        }),
      { lookups: LOOKUPS, computed: COMPUTED },
    );
    resources = recording.resources.filter(({ type }) => type.startsWith("aws:"));
  });

  test("has names within each type's length and letters, for the longest name of a fleet", () => {
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

  test("has names that begin with the fleet wherever one has to be given", () => {
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

  test("has policies within AWS's sizes, each statement named once by letters and digits", () => {
    const inline = new Map<string, number>();
    for (const { type, name, inputs } of resources) {
      for (const property of ["policy", "assumeRolePolicy"]) {
        const text = inputs[property] as string | undefined;
        if (text === undefined) continue;
        const { Version, Statement } = JSON.parse(text) as { Version: string; Statement: object[] };
        expect([name, Version]).toEqual([name, "2012-10-17"]);
        const ids = Statement.map((one) => (one as { Sid?: string }).Sid).filter((id) => id);
        expect([name, new Set(ids).size]).toEqual([name, ids.length]);
        for (const id of ids) expect(id).toMatch(/^[0-9A-Za-z]+$/);
        const size = text.replaceAll(/\s/g, "").length;
        const most = POLICY_SIZES[property === "policy" ? type : property];
        if (most === undefined) throw new Error(`${type} ${name} has a policy of an unknown kind`);
        expect([name, size <= most]).toEqual([name, true]);
        if (type === ROLE_POLICY) inline.set(inputs.role, (inline.get(inputs.role) ?? 0) + size);
      }
    }
    for (const sum of inline.values()) expect(sum).toBeLessThanOrEqual(POLICY_SIZES[ROLE_POLICY]);
  });

  test("attaches no more than ten policies to a role", () => {
    const roles = new Map<string, number>();
    for (const { type, inputs } of resources) {
      if (type !== "aws:iam/rolePolicyAttachment:RolePolicyAttachment") continue;
      roles.set(inputs.role, (roles.get(inputs.role) ?? 0) + 1);
    }
    for (const count of roles.values()) expect(count).toBeLessThanOrEqual(10);
  });

  test("describes things in letters that EC2 and IAM take", () => {
    for (const { type, name, inputs } of resources) {
      const allowed = DESCRIBED.find(([of]) => of.test(type))?.[1];
      const text = inputs.description as string | undefined;
      if (allowed && text !== undefined) expect(text, `${type} ${name}`).toMatch(allowed);
    }
  });

  test("writes ranges by their first address", () => {
    for (const { inputs } of resources) {
      for (const range of [inputs.cidrBlock, inputs.cidrIpv4, inputs.destinationCidrBlock]) {
        if (range === undefined) continue;
        const cidr = parseCidr(range) as Cidr;
        expect(formatCidr(aligned(cidr))).toBe(range);
      }
    }
  });

  test("keeps logs for days that CloudWatch knows", () => {
    for (const { type, inputs } of resources) {
      if (type !== "aws:cloudwatch/logGroup:LogGroup") continue;
      expect(RETENTIONS).toContain(inputs.retentionInDays);
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
    ["of the CNI", { "node.k8s.amazonaws.com/instance_id": "x" }],
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
