import { type PolicyPlace, type Statement, stateAccess } from "./policies.ts";

/** Services that a preview asks about what is there. */
const LOOKS = [
  ...["acm:Describe*", "acm:List*", "autoscaling:Describe*", "backup:Describe*", "backup:List*"],
  ...["budgets:ListTagsForResource", "budgets:ViewBudget", "cloudwatch:Describe*"],
  ...["ec2:Describe*", "ec2:GetEbsDefaultKmsKeyId", "ec2:GetEbsEncryptionByDefault"],
  ...["eks:Describe*", "eks:List*", "elasticache:Describe*", "elasticache:List*"],
  ...["elasticfilesystem:Describe*", "elasticloadbalancing:Describe*"],
  ...["events:Describe*", "events:List*"],
  ...["iam:GetInstanceProfile", "iam:GetOpenIDConnectProvider", "iam:GetPolicy*", "iam:GetRole*"],
  ...["iam:List*", "iam:SimulatePrincipalPolicy"],
  ...["kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:List*"],
  ...["logs:Describe*", "logs:ListTags*", "rds:Describe*", "rds:List*"],
  ...["route53:Get*", "route53:List*"],
  // Settings of buckets, not what is in them.
  ...["s3:GetAccelerateConfiguration", "s3:GetBucket*", "s3:GetEncryptionConfiguration"],
  ...["s3:GetLifecycleConfiguration", "s3:GetReplicationConfiguration", "s3:ListAllMyBuckets"],
  // That a secret is there, not what it says.
  ...["secretsmanager:DescribeSecret", "secretsmanager:GetResourcePolicy"],
  "secretsmanager:ListSecrets",
  ...["servicequotas:Get*", "servicequotas:List*", "sns:GetTopicAttributes", "sns:List*"],
  ...["sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:List*", "ssm:GetParameter"],
  ...["sts:GetCallerIdentity", "wafv2:Get*", "wafv2:List*"],
];

/** What the preview role may do: look at what is there and read states. It changes nothing. */
export function previewRights(place: PolicyPlace): Statement[] {
  return [
    { Sid: "Look", Effect: "Allow", Action: LOOKS, Resource: ["*"] },
    ...stateAccess(place, false),
  ];
}
