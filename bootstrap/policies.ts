import {
  BOOTSTRAP_PATH,
  DEPLOY_ROLE,
  FLEET_PATH,
  GITHUB_ISSUER,
  type Place,
  PREVIEW_ROLE,
  stateBucket,
} from "./names.ts";

export interface Statement {
  readonly Sid?: string;
  readonly Effect: "Allow" | "Deny";
  readonly Principal?: unknown;
  readonly Action?: readonly string[];
  readonly NotAction?: readonly string[];
  readonly Resource?: readonly string[];
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** Longest managed policy, without white space. Source: docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html. */
export const POLICY_MAX = 6_144;

export interface PolicyPlace extends Place {
  readonly partition: string;
  /** ARN of the key of states. */
  readonly keyArn: string;
}

export const document = (statements: readonly Statement[]): string =>
  JSON.stringify({ Version: "2012-10-17", Statement: statements });

const bucketArns = (place: PolicyPlace) => {
  const arn = `arn:${place.partition}:s3:::${stateBucket(place)}`;
  return { bucket: arn, objects: `${arn}/*` };
};

/** GitHub's tokens of exactly these subjects. */
export function githubTrust(providerArn: string, subjects: readonly string[]): Statement[] {
  return [
    {
      Effect: "Allow",
      Principal: { Federated: providerArn },
      Action: ["sts:AssumeRoleWithWebIdentity"],
      Condition: {
        StringEquals: {
          [`${GITHUB_ISSUER}:aud`]: "sts.amazonaws.com",
          [`${GITHUB_ISSUER}:sub`]: subjects,
        },
      },
    },
  ];
}

/** Nobody without TLS. */
export function bucketPolicy(place: PolicyPlace): Statement[] {
  const { bucket, objects } = bucketArns(place);
  const Resource = [bucket, objects];
  return [
    {
      Sid: "OnlyTls",
      Effect: "Deny",
      Principal: "*",
      Action: ["s3:*"],
      Resource,
      Condition: { Bool: { "aws:SecureTransport": "false" } },
    },
    {
      Sid: "OnlyTls12",
      Effect: "Deny",
      Principal: "*",
      Action: ["s3:*"],
      Resource,
      Condition: { NumericLessThan: { "s3:TlsVersion": "1.2" } },
    },
  ];
}

/** The account decides by IAM who uses the key; nobody else. */
export function keyPolicy({ accountId, partition }: PolicyPlace): Statement[] {
  return [
    {
      Sid: "Account",
      Effect: "Allow",
      Principal: { AWS: `arn:${partition}:iam::${accountId}:root` },
      Action: ["kms:*"],
      Resource: ["*"],
    },
  ];
}

/** Read and write of states, which are deleted only as versions that stay. */
export function stateAccess(place: PolicyPlace, write: boolean): Statement[] {
  const { bucket, objects } = bucketArns(place);
  return [
    {
      Sid: "State",
      Effect: "Allow",
      Action: ["s3:ListBucket", "s3:GetBucketLocation"],
      Resource: [bucket],
    },
    {
      Sid: "StateObjects",
      Effect: "Allow",
      Action: write ? ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"] : ["s3:GetObject"],
      Resource: [objects],
    },
    {
      Sid: "StateKey",
      Effect: "Allow",
      Action: write
        ? ["kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey"]
        : ["kms:Decrypt", "kms:DescribeKey"],
      Resource: [place.keyArn],
    },
  ];
}

/** What no role of a fleet may touch, whatever else it may: what was made here. */
export function guards(place: PolicyPlace): Statement[] {
  const { accountId, partition } = place;
  const { bucket, objects } = bucketArns(place);
  const iam = (kind: string) => `arn:${partition}:iam::${accountId}:${kind}`;
  return [
    {
      Sid: "GuardStateBucket",
      Effect: "Deny",
      Action: [
        "s3:DeleteBucket*",
        "s3:PutBucket*",
        "s3:Put*Configuration",
        "s3:DeleteObjectVersion*",
      ],
      Resource: [bucket, objects],
    },
    {
      Sid: "GuardStateKey",
      Effect: "Deny",
      NotAction: [
        "kms:Encrypt",
        "kms:Decrypt",
        "kms:GenerateDataKey",
        "kms:DescribeKey",
        "kms:GetKeyPolicy",
        "kms:GetKeyRotationStatus",
        "kms:ListResourceTags",
      ],
      Resource: [place.keyArn],
    },
    {
      Sid: "GuardBootstrap",
      Effect: "Deny",
      Action: [
        "iam:Attach*",
        "iam:Create*",
        "iam:Delete*",
        "iam:Detach*",
        "iam:Put*",
        "iam:Set*",
        "iam:Update*",
        "iam:Tag*",
        "iam:Untag*",
        "iam:PassRole",
      ],
      Resource: [
        iam(`role/${DEPLOY_ROLE}`),
        iam(`role/${PREVIEW_ROLE}`),
        iam(`policy${BOOTSTRAP_PATH}*`),
        iam(`oidc-provider/${GITHUB_ISSUER}`),
      ],
    },
    {
      Sid: "GuardBoundaries",
      Effect: "Deny",
      Action: ["iam:DeleteRolePermissionsBoundary", "iam:DeleteUserPermissionsBoundary"],
      Resource: ["*"],
    },
  ];
}

/**
 * The most that a role made by a stack can ever do. It may be used to give rights to nobody: the rest of
 * what each role may is in its own policies.
 */
export function boundary(place: PolicyPlace): Statement[] {
  const { accountId, partition } = place;
  return [
    {
      Sid: "Services",
      Effect: "Allow",
      NotAction: ["iam:*", "organizations:*", "account:*", "sts:AssumeRole"],
      Resource: ["*"],
    },
    {
      Sid: "PassFleetRoles",
      Effect: "Allow",
      Action: ["iam:PassRole", "iam:GetRole", "iam:GetInstanceProfile", "iam:ListInstanceProfiles"],
      Resource: [
        `arn:${partition}:iam::${accountId}:role${FLEET_PATH}*`,
        `arn:${partition}:iam::${accountId}:instance-profile${FLEET_PATH}*`,
      ],
    },
    {
      Sid: "ServiceRoles",
      Effect: "Allow",
      Action: ["iam:CreateServiceLinkedRole"],
      Resource: [`arn:${partition}:iam::${accountId}:role/aws-service-role/*`],
    },
    ...guards(place),
    {
      Sid: "NoState",
      Effect: "Deny",
      Action: ["s3:GetObject*", "s3:PutObject*", "s3:DeleteObject*"],
      Resource: [bucketArns(place).objects],
    },
  ];
}
