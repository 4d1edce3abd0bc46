import { BOOTSTRAP_PATH, boundaryArn, FLEET_PATH } from "./names.ts";
import { guards, type PolicyPlace, type Statement, stateAccess } from "./policies.ts";

/** Services that stacks make things in, within one region. */
const REGIONAL = [
  ...["acm", "autoscaling", "backup", "cloudwatch", "ec2", "eks", "elasticache"],
  ...["elasticfilesystem", "elasticloadbalancing", "events", "kms", "logs", "rds"],
  ...["secretsmanager", "sns", "sqs", "wafv2"],
] as const;

/** What deploys never need and accounts suffer from: money spent for years, and settings of the whole account. */
const NEVER = [
  "ec2:AcceptReservedInstancesExchangeQuote",
  "ec2:DisableEbsEncryptionByDefault",
  "ec2:ModifyInstanceMetadataDefaults",
  "ec2:ModifyReservedInstances",
  "ec2:Purchase*",
  "ec2:DisableImageBlockPublicAccess",
  "ec2:DisableSnapshotBlockPublicAccess",
  "elasticache:Purchase*",
  "rds:Purchase*",
  "logs:DeleteAccountPolicy",
  "logs:PutAccountPolicy",
  "secretsmanager:RemoveRegionsFromReplication",
];

/** What the deploy role may do with machines, networks and stores. */
export function deployInfrastructure(place: PolicyPlace): Statement[] {
  const { region, accountId, partition } = place;
  return [
    {
      Sid: "Services",
      Effect: "Allow",
      Action: REGIONAL.map((service) => `${service}:*`),
      Resource: ["*"],
      Condition: { StringEquals: { "aws:RequestedRegion": region } },
    },
    {
      Sid: "Buckets",
      Effect: "Allow",
      Action: ["s3:*"],
      Resource: [`arn:${partition}:s3:::*`],
      Condition: { StringEquals: { "aws:ResourceAccount": accountId } },
    },
    {
      // A bucket that is not there yet is in no account.
      Sid: "NewBuckets",
      Effect: "Allow",
      Action: ["s3:CreateBucket", "s3:ListAllMyBuckets"],
      Resource: ["*"],
    },
    {
      Sid: "Names",
      Effect: "Allow",
      Action: [
        ...["route53:ChangeResourceRecordSets", "route53:ChangeTagsForResource"],
        ...["route53:CreateHealthCheck", "route53:DeleteHealthCheck", "route53:UpdateHealthCheck"],
        ...["route53:Get*", "route53:List*"],
      ],
      Resource: ["*"],
    },
    {
      Sid: "BudgetsAndLooks",
      Effect: "Allow",
      Action: [
        ...["budgets:ListTagsForResource", "budgets:ModifyBudget", "budgets:TagResource"],
        ...["budgets:UntagResource", "budgets:ViewBudget"],
        ...["servicequotas:Get*", "servicequotas:List*"],
        ...["ssm:DescribeInstanceInformation", "ssm:GetParameter", "ssm:GetParameters"],
        "sts:GetCallerIdentity",
        // What a killed run made is found by its tags.
        "tag:GetResources",
      ],
      Resource: ["*"],
    },
    {
      // A tunnel to a private cluster, and the way to hosts.
      Sid: "Sessions",
      Effect: "Allow",
      Action: ["ssm:StartSession", "ssm:TerminateSession"],
      Resource: [
        `arn:${partition}:ec2:${region}:${accountId}:instance/*`,
        `arn:${partition}:ssm:${region}::document/AWS-StartPortForwardingSessionToRemoteHost`,
        `arn:${partition}:ssm:${region}::document/AWS-StartSSHSession`,
        `arn:${partition}:ssm:*:*:session/*`,
      ],
    },
    {
      // For a minute each, and only on machines of a fleet, as the user that the image comes with.
      Sid: "KeysOfSessions",
      Effect: "Allow",
      Action: ["ec2-instance-connect:SendSSHPublicKey"],
      Resource: [`arn:${partition}:ec2:${region}:${accountId}:instance/*`],
      Condition: {
        StringEquals: { "ec2:osuser": "ubuntu" },
        StringLike: { "aws:ResourceTag/openclaw-fleet": "*" },
      },
    },
    { Sid: "Never", Effect: "Deny", Action: NEVER, Resource: ["*"] },
    ...stateAccess(place, true),
    ...guards(place),
  ];
}

/** Services that roles of stacks are handed to, as `iam:PassedToService` names them. */
const PASSED_TO = [
  "backup.amazonaws.com",
  "ec2.amazonaws.com",
  "eks.amazonaws.com",
  "events.amazonaws.com",
  "monitoring.rds.amazonaws.com",
  "pods.eks.amazonaws.com",
  "rds.amazonaws.com",
  "vpc-flow-logs.amazonaws.com",
];

/** Services whose own role the first use makes, as `iam:AWSServiceName` names them. */
const SERVICE_LINKED = [
  "autoscaling.amazonaws.com",
  "backup.amazonaws.com",
  "eks-nodegroup.amazonaws.com",
  "eks.amazonaws.com",
  "elasticache.amazonaws.com",
  "elasticfilesystem.amazonaws.com",
  "elasticloadbalancing.amazonaws.com",
  "rds.amazonaws.com",
  "spot.amazonaws.com",
  "wafv2.amazonaws.com",
];

/** What the deploy role may do with identities: roles within the boundary and below the path, no others. */
export function deployIdentity(place: PolicyPlace): Statement[] {
  const { accountId, partition } = place;
  const iam = (kind: string) => `arn:${partition}:iam::${accountId}:${kind}`;
  const roles = [iam(`role${FLEET_PATH}*`)];
  return [
    {
      Sid: "RolesWithinBoundary",
      Effect: "Allow",
      Action: [
        ...["iam:AttachRolePolicy", "iam:CreateRole", "iam:PutRolePermissionsBoundary"],
        "iam:PutRolePolicy",
      ],
      Resource: roles,
      Condition: {
        StringEquals: { "iam:PermissionsBoundary": boundaryArn(place, partition) },
      },
    },
    {
      Sid: "Roles",
      Effect: "Allow",
      Action: [
        ...["iam:DeleteRole", "iam:DeleteRolePolicy", "iam:DetachRolePolicy", "iam:TagRole"],
        ...["iam:UntagRole", "iam:UpdateAssumeRolePolicy", "iam:UpdateRole"],
        "iam:UpdateRoleDescription",
      ],
      Resource: roles,
    },
    {
      Sid: "PassRoles",
      Effect: "Allow",
      Action: ["iam:PassRole"],
      Resource: roles,
      Condition: { StringEquals: { "iam:PassedToService": PASSED_TO } },
    },
    {
      Sid: "Profiles",
      Effect: "Allow",
      Action: [
        ...["iam:AddRoleToInstanceProfile", "iam:CreateInstanceProfile"],
        ...["iam:DeleteInstanceProfile", "iam:RemoveRoleFromInstanceProfile"],
        ...["iam:TagInstanceProfile", "iam:UntagInstanceProfile"],
      ],
      Resource: [iam(`instance-profile${FLEET_PATH}*`)],
    },
    {
      // Rights on paper: they reach only roles within the boundary.
      Sid: "Policies",
      Effect: "Allow",
      Action: [
        ...["iam:CreatePolicy", "iam:CreatePolicyVersion", "iam:DeletePolicy"],
        ...["iam:DeletePolicyVersion", "iam:TagPolicy", "iam:UntagPolicy"],
      ],
      Resource: [iam("policy/*")],
    },
    {
      Sid: "NotOurPolicies",
      Effect: "Deny",
      Action: ["iam:CreatePolicy*", "iam:DeletePolicy*", "iam:SetDefaultPolicyVersion"],
      Resource: [iam(`policy${BOOTSTRAP_PATH}*`)],
    },
    {
      Sid: "ServiceRoles",
      Effect: "Allow",
      Action: ["iam:CreateServiceLinkedRole"],
      Resource: [iam("role/aws-service-role/*")],
      Condition: { StringEquals: { "iam:AWSServiceName": SERVICE_LINKED } },
    },
    {
      Sid: "Look",
      Effect: "Allow",
      Action: ["iam:Get*", "iam:List*", "iam:SimulatePrincipalPolicy"],
      Resource: ["*"],
    },
  ];
}
