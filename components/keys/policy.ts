import { SERVICE_ROLES } from "./catalog.ts";
import type { KeyDomain, KeysPlan } from "./plan.ts";

/** What a policy is written for. */
export interface PolicyContext {
  readonly fleet: string;
  readonly region: string;
  readonly accountId: string;
  readonly partition: string;
}

interface Statement {
  readonly Sid: string;
  readonly Effect: "Allow";
  readonly Principal: Readonly<Record<string, string | string[]>>;
  readonly Action: string | string[];
  readonly Resource: "*"; // in a key's policy: this key
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, string | string[]>>>>;
}

export interface PolicyDocument {
  readonly Version: "2012-10-17";
  readonly Statement: readonly Statement[];
}

/** Encrypting and decrypting, without touching the key. */
const USE = [
  "kms:Encrypt",
  "kms:Decrypt",
  "kms:ReEncrypt*",
  "kms:GenerateDataKey*",
  "kms:DescribeKey",
];
/** What a service needs that only puts something encrypted into a queue or topic. */
const PUT = ["kms:Decrypt", "kms:GenerateDataKey*"];

/** The policy of a domain's key. */
export function keyPolicy(
  domain: KeyDomain,
  plan: KeysPlan,
  context: PolicyContext,
): PolicyDocument {
  const more = { compute: () => compute(plan, context), data: () => [], logs: () => logs(context) };
  return { Version: "2012-10-17", Statement: [account(context), ...more[domain]()] };
}

/**
 * The account's own IAM policies decide who of its users and roles may use or change the key. Without
 * this nobody could change the policy any more, and AWS itself would have to be asked for the key.
 */
function account({ partition, accountId }: PolicyContext): Statement {
  return {
    Sid: "AccountDecidesByItsPolicies",
    Effect: "Allow",
    Principal: { AWS: `arn:${partition}:iam::${accountId}:root` },
    Action: "kms:*",
    Resource: "*",
  };
}

/** Disks that Auto Scaling and spot start, and the queue in which Karpenter hears of interruptions. */
function compute(
  plan: KeysPlan,
  { fleet, region, accountId, partition }: PolicyContext,
): Statement[] {
  const roles = plan.serviceRoles.map((name) => {
    const { service, role } = SERVICE_ROLES[name];
    return `arn:${partition}:iam::${accountId}:role/aws-service-role/${service}/${role}`;
  });
  const disks: Statement[] = [
    {
      Sid: "ServicesStartEncryptedDisks",
      Effect: "Allow",
      Principal: { AWS: roles },
      Action: USE,
      Resource: "*",
    },
    {
      Sid: "ServicesHandDisksToMachines",
      Effect: "Allow",
      Principal: { AWS: roles },
      Action: "kms:CreateGrant",
      Resource: "*",
      Condition: { Bool: { "kms:GrantIsForAWSResource": "true" } },
    },
  ];
  const queue: Statement = {
    Sid: "RulesWriteToTheInterruptionQueue",
    Effect: "Allow",
    Principal: { Service: "events.amazonaws.com" },
    Action: PUT,
    Resource: "*",
    Condition: {
      StringEquals: { "aws:SourceAccount": accountId },
      ArnLike: {
        "aws:SourceArn": `arn:${partition}:events:${region}:${accountId}:rule/${fleet}-*`,
      },
    },
  };
  return [...(roles.length > 0 ? disks : []), ...(plan.interruptionQueue ? [queue] : [])];
}

/** Log groups of this fleet, and the topics that alarms and the budget write to. */
function logs({ fleet, region, accountId, partition }: PolicyContext): Statement[] {
  return [
    {
      Sid: "LogGroupsOfThisFleet",
      Effect: "Allow",
      Principal: { Service: `logs.${region}.amazonaws.com` },
      Action: [
        "kms:Encrypt",
        "kms:Decrypt",
        "kms:ReEncrypt*",
        "kms:GenerateDataKey*",
        "kms:Describe*",
      ],
      Resource: "*",
      Condition: {
        ArnLike: {
          // Every group of a fleet has its name in its own, at the front or, as EKS wants it, inside.
          "kms:EncryptionContext:aws:logs:arn": `arn:${partition}:logs:${region}:${accountId}:log-group:*${fleet}*`,
        },
      },
    },
    {
      Sid: "AlertsReachEncryptedTopics",
      Effect: "Allow",
      Principal: {
        Service: ["budgets.amazonaws.com", "cloudwatch.amazonaws.com", "sns.amazonaws.com"],
      },
      Action: PUT,
      Resource: "*",
      Condition: { StringEquals: { "aws:SourceAccount": accountId } },
    },
  ];
}
