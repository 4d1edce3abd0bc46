import { describe, expect, test } from "vitest";
import type { AwsContext } from "../../../components/context.ts";
import { PRICED } from "../../../components/keys/catalog.ts";
import { Keys } from "../../../components/keys/index.ts";
import { lookUpServiceRoles } from "../../../components/keys/lookup.ts";
import { KEY_DOMAINS, type KeysPlan } from "../../../components/keys/plan.ts";
import { LIFETIMES } from "../../../components/lifetime.ts";
import { record, settled } from "../../support/pulumi-mocks.ts";

const ACCOUNT = "123456789012";
const CONTEXT: AwsContext = {
  fleet: "prod",
  region: "eu-central-1",
  accountId: ACCOUNT,
  zones: [],
  partition: "aws",
  lifetime: LIFETIMES.prod,
  tags: { fleet: "prod" },
};
const CLUSTER: KeysPlan = { serviceRoles: ["autoScaling", "spot"], interruptionQueue: true };
const HOSTS: KeysPlan = { serviceRoles: [], interruptionQueue: false };

const build = (plan: KeysPlan, context = CONTEXT) =>
  record(() => new Keys("prod-keys", { context, plan }));

// biome-ignore lint/suspicious/noExplicitAny: a policy as it was sent
type Statement = Record<string, any>;

async function statements(domain: string, plan: KeysPlan, context = CONTEXT): Promise<Statement[]> {
  const built = await build(plan, context);
  const { policy } = built.one("aws:kms/key:Key", `prod-keys-${domain}`).inputs;
  return JSON.parse(policy).Statement;
}
const sids = (list: Statement[]) => list.map(({ Sid }) => Sid);
const find = (list: Statement[], sid: string) => list.find(({ Sid }) => Sid === sid) as Statement;

describe("keys", () => {
  test("are one a domain: turned every year, with an alias, had back for as long as the environment says", async () => {
    const built = await build(CLUSTER);
    expect(built.of("aws:kms/key:Key").map((k) => k.name)).toEqual(
      KEY_DOMAINS.map((domain) => `prod-keys-${domain}`),
    );
    for (const key of built.of("aws:kms/key:Key")) {
      expect(key.inputs).toMatchObject({
        enableKeyRotation: true,
        deletionWindowInDays: 30,
        tags: { fleet: "prod", Name: key.name },
      });
    }
    expect(built.one("aws:kms/alias:Alias", "prod-keys-data").inputs.name).toBe("alias/prod-data");
    expect(await settled(built.value.aliases.logs)).toBe("alias/prod-logs");
    expect(await settled(built.value.dataKeyArn)).toContain("prod-keys-data");
  });

  test("are protected where the environment protects, and go in a week where it does not", async () => {
    const protectedOnes = (await build(HOSTS)).resources.filter((r) => r.options.protect);
    expect(protectedOnes.map((r) => r.type)).toEqual(Array(3).fill("aws:kms/key:Key"));
    const staging = await build(HOSTS, { ...CONTEXT, lifetime: LIFETIMES.staging });
    expect(staging.resources.filter((r) => r.options.protect)).toEqual([]);
    expect(staging.of("aws:kms/key:Key").map((k) => k.inputs.deletionWindowInDays)).toEqual([
      7, 7, 7,
    ]);
  });

  test("have a price or a reason for none", async () => {
    const built = await build(CLUSTER);
    const types = built.resources.map((r) => r.type).filter((type) => type.startsWith("aws:"));
    expect([...new Set(types)].sort()).toEqual(Object.keys(PRICED).sort());
  });
});

describe("a key's policy", () => {
  test("leaves administration to the account's own policies, in every partition", async () => {
    for (const domain of KEY_DOMAINS) {
      const context = { ...CONTEXT, partition: "aws-cn" };
      const [first] = await statements(domain, CLUSTER, context);
      expect(first).toEqual({
        Sid: "AccountDecidesByItsPolicies",
        Effect: "Allow",
        Principal: { AWS: `arn:aws-cn:iam::${ACCOUNT}:root` },
        Action: "kms:*",
        Resource: "*",
      });
    }
  });

  test("lets nobody else use data's key: its services come with the caller's rights", async () => {
    expect(await statements("data", CLUSTER)).toHaveLength(1);
  });

  test("names Auto Scaling's and spot's roles for disks, and grants only to services", async () => {
    const list = await statements("compute", CLUSTER);
    const roles = [
      `arn:aws:iam::${ACCOUNT}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling`,
      `arn:aws:iam::${ACCOUNT}:role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot`,
    ];
    expect(find(list, "ServicesStartEncryptedDisks")).toMatchObject({
      Principal: { AWS: roles },
      Action: [
        "kms:Encrypt",
        "kms:Decrypt",
        "kms:ReEncrypt*",
        "kms:GenerateDataKey*",
        "kms:DescribeKey",
      ],
    });
    expect(find(list, "ServicesHandDisksToMachines")).toMatchObject({
      Principal: { AWS: roles },
      Action: "kms:CreateGrant",
      Condition: { Bool: { "kms:GrantIsForAWSResource": "true" } },
    });
  });

  test("lets this fleet's rules, and no other's, write to the interruption queue", async () => {
    expect(find(await statements("compute", CLUSTER), "RulesWriteToTheInterruptionQueue")).toEqual({
      Sid: "RulesWriteToTheInterruptionQueue",
      Effect: "Allow",
      Principal: { Service: "events.amazonaws.com" },
      Action: ["kms:Decrypt", "kms:GenerateDataKey*"],
      Resource: "*",
      Condition: {
        StringEquals: { "aws:SourceAccount": ACCOUNT },
        ArnLike: { "aws:SourceArn": `arn:aws:events:eu-central-1:${ACCOUNT}:rule/prod-*` },
      },
    });
  });

  test("names neither roles nor rules where there is no cluster", async () => {
    expect(sids(await statements("compute", HOSTS))).toEqual(["AccountDecidesByItsPolicies"]);
  });

  test("lets the region's log service encrypt this fleet's groups alone", async () => {
    expect(find(await statements("logs", HOSTS), "LogGroupsOfThisFleet")).toMatchObject({
      Principal: { Service: "logs.eu-central-1.amazonaws.com" },
      Condition: {
        ArnLike: {
          "kms:EncryptionContext:aws:logs:arn": `arn:aws:logs:eu-central-1:${ACCOUNT}:log-group:*prod*`,
        },
      },
    });
  });

  test("lets alarms and the budget of this account reach encrypted topics", async () => {
    expect(find(await statements("logs", HOSTS), "AlertsReachEncryptedTopics")).toMatchObject({
      Principal: {
        Service: ["budgets.amazonaws.com", "cloudwatch.amazonaws.com", "sns.amazonaws.com"],
      },
      Condition: { StringEquals: { "aws:SourceAccount": ACCOUNT } },
    });
  });

  test("never admits everybody, and no service without a condition", async () => {
    for (const domain of KEY_DOMAINS) {
      for (const { Principal, Condition } of await statements(domain, CLUSTER)) {
        expect(JSON.stringify(Principal)).not.toContain('"*"');
        if (Principal.Service) expect(Condition).toBeDefined();
      }
    }
  });
});

test("roles of services are looked up by path and exact name", async () => {
  const asked: unknown[] = [];
  const { value } = await record(() => lookUpServiceRoles({}), {
    lookups: {
      "aws:iam/getRoles:getRoles": (args) => {
        asked.push(args);
        return { arns: String(args.pathPrefix).includes("spot") ? [] : ["arn"], names: [] };
      },
    },
  });
  expect(value).toEqual(["autoScaling"]);
  expect(asked).toEqual([
    {
      pathPrefix: "/aws-service-role/autoscaling.amazonaws.com/",
      nameRegex: "^AWSServiceRoleForAutoScaling$",
    },
    {
      pathPrefix: "/aws-service-role/spot.amazonaws.com/",
      nameRegex: "^AWSServiceRoleForEC2Spot$",
    },
  ]);
});
