import * as pulumi from "@pulumi/pulumi";
import type { AwsContext } from "../context.ts";
import type { Statement } from "../pod-identity.ts";

export interface PolicyArgs {
  readonly context: AwsContext;
  /** Plain: it is part of condition keys. */
  readonly clusterName: string;
  readonly queueArn: pulumi.Input<string>;
  readonly nodeRoleArn: pulumi.Input<string>;
  /** Key of volumes and of the queue. */
  readonly keyArn: pulumi.Input<string>;
}

/**
 * What Karpenter's controller may do, in the six policies that its project has since 1.13. Different from
 * theirs: instance profiles are ours, so it makes none, and what it makes lies in this account only.
 * Source: github.com/aws/karpenter-provider-aws, tag v1.14.1, getting-started/cloudformation.yaml.
 */
export function controllerPolicies(args: PolicyArgs): Readonly<Record<string, Statement[]>> {
  return {
    "node-lifecycle": nodeLifecycle(args),
    "iam-integration": iamIntegration(args),
    "eks-integration": eksIntegration(args),
    interruption: interruption(args),
    "zonal-shift": zonalShift(args),
    "resource-discovery": resourceDiscovery(args),
  };
}

const NODEPOOL = "karpenter.sh/nodepool";

function nodeLifecycle({ context, clusterName }: PolicyArgs): Statement[] {
  const { accountId } = context;
  const owner = `kubernetes.io/cluster/${clusterName}`;
  const own = (...kinds: string[]) => kinds.map((kind) => ec2(context, accountId, kind));
  const tagged = (tags: "RequestTag" | "ResourceTag") => ({
    StringEquals: { [`aws:${tags}/${owner}`]: "owned" },
    StringLike: { [`aws:${tags}/${NODEPOOL}`]: "*" },
  });
  const requested = {
    StringEquals: {
      ...tagged("RequestTag").StringEquals,
      "aws:RequestTag/eks:eks-cluster-name": clusterName,
    },
    StringLike: tagged("RequestTag").StringLike,
  };
  const made = own(
    "fleet",
    "instance",
    "volume",
    "network-interface",
    "launch-template",
    "spot-instances-request",
  );
  return [
    {
      Sid: "StartFromWhatIsThere",
      Effect: "Allow",
      Action: ["ec2:RunInstances", "ec2:CreateFleet"],
      Resource: [
        ec2(context, "", "image"),
        ec2(context, "", "snapshot"),
        // Shared with this account, they belong to another.
        ...["security-group", "subnet", "capacity-reservation", "placement-group"].map((kind) =>
          ec2(context, "*", kind),
        ),
      ],
    },
    {
      Sid: "StartFromOwnTemplates",
      Effect: "Allow",
      Action: ["ec2:RunInstances", "ec2:CreateFleet"],
      Resource: own("launch-template"),
      Condition: tagged("ResourceTag"),
    },
    {
      Sid: "StartTagged",
      Effect: "Allow",
      Action: ["ec2:RunInstances", "ec2:CreateFleet", "ec2:CreateLaunchTemplate"],
      Resource: made,
      Condition: requested,
    },
    {
      Sid: "TagAtStart",
      Effect: "Allow",
      Action: "ec2:CreateTags",
      Resource: made,
      Condition: {
        StringEquals: {
          ...requested.StringEquals,
          "ec2:CreateAction": ["RunInstances", "CreateFleet", "CreateLaunchTemplate"],
        },
        StringLike: requested.StringLike,
      },
    },
    {
      Sid: "TagOwnInstances",
      Effect: "Allow",
      Action: "ec2:CreateTags",
      Resource: own("instance"),
      Condition: {
        ...tagged("ResourceTag"),
        StringEqualsIfExists: { "aws:RequestTag/eks:eks-cluster-name": clusterName },
        "ForAllValues:StringEquals": {
          "aws:TagKeys": ["eks:eks-cluster-name", "karpenter.sh/nodeclaim", "Name"],
        },
      },
    },
    {
      Sid: "EndOwn",
      Effect: "Allow",
      Action: ["ec2:TerminateInstances", "ec2:DeleteLaunchTemplate"],
      Resource: own("instance", "launch-template"),
      Condition: tagged("ResourceTag"),
    },
  ];
}

/** Passing on our nodes' role is all: the instance profile is ours and stays. */
function iamIntegration({ nodeRoleArn }: PolicyArgs): Statement[] {
  return [
    {
      Sid: "PassNodeRole",
      Effect: "Allow",
      Action: "iam:PassRole",
      Resource: nodeRoleArn,
      Condition: {
        StringEquals: { "iam:PassedToService": ["ec2.amazonaws.com", "ec2.amazonaws.com.cn"] },
      },
    },
  ];
}

function eksIntegration(args: PolicyArgs): Statement[] {
  return [
    {
      Sid: "FindApi",
      Effect: "Allow",
      Action: "eks:DescribeCluster",
      Resource: clusterArn(args),
    },
  ];
}

function interruption({ context, queueArn, keyArn }: PolicyArgs): Statement[] {
  return [
    {
      Sid: "ReadInterruptions",
      Effect: "Allow",
      Action: ["sqs:DeleteMessage", "sqs:GetQueueUrl", "sqs:ReceiveMessage"],
      Resource: queueArn,
    },
    {
      Sid: "DecryptInterruptions",
      Effect: "Allow",
      Action: "kms:Decrypt",
      Resource: keyArn,
      Condition: { StringLike: { "kms:ViaService": `sqs.${context.region}.amazonaws.com*` } },
    },
  ];
}

function zonalShift(args: PolicyArgs): Statement[] {
  return [
    {
      Sid: "SeeZonalShifts",
      Effect: "Allow",
      Action: "arc-zonal-shift:GetManagedResource",
      Resource: "*",
      Condition: { StringEquals: { "arc-zonal-shift:ResourceIdentifier": clusterArn(args) } },
    },
  ];
}

function resourceDiscovery({ context }: PolicyArgs): Statement[] {
  const { partition, region, accountId } = context;
  return [
    {
      Sid: "SeeRegion",
      Effect: "Allow",
      Action: [
        "ec2:DescribeCapacityReservations",
        "ec2:DescribeImages",
        "ec2:DescribeInstances",
        "ec2:DescribeInstanceStatus",
        "ec2:DescribeInstanceTypeOfferings",
        "ec2:DescribeInstanceTypes",
        "ec2:DescribeLaunchTemplates",
        "ec2:DescribePlacementGroups",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSpotPriceHistory",
        "ec2:DescribeSubnets",
      ],
      Resource: "*",
      Condition: { StringEquals: { "aws:RequestedRegion": region } },
    },
    {
      Sid: "FindImages",
      Effect: "Allow",
      Action: "ssm:GetParameter",
      Resource: pulumi.interpolate`arn:${partition}:ssm:${region}::parameter/aws/service/*`,
    },
    { Sid: "SeePrices", Effect: "Allow", Action: "pricing:GetProducts", Resource: "*" },
    { Sid: "ListProfiles", Effect: "Allow", Action: "iam:ListInstanceProfiles", Resource: "*" },
    {
      Sid: "SeeProfiles",
      Effect: "Allow",
      Action: "iam:GetInstanceProfile",
      Resource: pulumi.interpolate`arn:${partition}:iam::${accountId}:instance-profile/*`,
    },
  ];
}

/**
 * Starting machines whose disks a key of one's own encrypts is done with the starter's rights on it.
 * Source: docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption-requirements.html.
 */
export function volumeKey({ context, keyArn }: PolicyArgs): Statement[] {
  const via = { "kms:ViaService": `ec2.${context.region}.amazonaws.com*` };
  return [
    {
      Sid: "EncryptDisks",
      Effect: "Allow",
      Action: [
        "kms:Decrypt",
        "kms:DescribeKey",
        "kms:GenerateDataKeyWithoutPlaintext",
        "kms:ReEncrypt*",
      ],
      Resource: keyArn,
      Condition: { StringLike: via },
    },
    {
      Sid: "GrantToDisks",
      Effect: "Allow",
      Action: "kms:CreateGrant",
      Resource: keyArn,
      Condition: { StringLike: via, Bool: { "kms:GrantIsForAWSResource": "true" } },
    },
  ];
}

function ec2({ partition, region }: AwsContext, account: string, kind: string) {
  return pulumi.interpolate`arn:${partition}:ec2:${region}:${account}:${kind}/*`;
}

function clusterArn({ context, clusterName }: PolicyArgs): pulumi.Output<string> {
  const { partition, region, accountId } = context;
  return pulumi.interpolate`arn:${partition}:eks:${region}:${accountId}:cluster/${clusterName}`;
}
