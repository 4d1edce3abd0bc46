import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { AwsContext } from "../context.ts";

export interface NodeRoleArgs {
  readonly context: AwsContext;
  readonly clusterName: pulumi.Input<string>;
  /** In an adopted cluster the CNI may have no role of its own, and then uses the node's. */
  readonly cni: boolean;
}

/** To join, to pull images, to be reached by SSM. */
const POLICIES = [
  "AmazonEKSWorkerNodePolicy",
  "AmazonEC2ContainerRegistryPullOnly",
  "AmazonSSMManagedInstanceCore",
];

/**
 * Who Karpenter's nodes are. The instance profile is ours: those that Karpenter makes are left behind.
 * The entry lets them join; EKS makes one by itself only for node groups.
 */
export function nodeRole(
  name: string,
  { context, clusterName, cni }: NodeRoleArgs,
  parent: pulumi.Resource,
) {
  const { tags } = context;
  const role = new aws.iam.Role(
    `${name}-node-role`,
    {
      assumeRolePolicy: JSON.stringify({
        Version: "2012-10-17",
        Statement: [
          {
            Effect: "Allow",
            Principal: { Service: "ec2.amazonaws.com" },
            Action: "sts:AssumeRole",
          },
        ],
      }),
      permissionsBoundary: context.permissionsBoundaryArn,
      path: context.rolePath ?? "/",
      tags: { ...tags, Name: `${name}-node-role` },
    },
    { parent },
  );
  const attachments = [...POLICIES, ...(cni ? ["AmazonEKS_CNI_Policy"] : [])].map(
    (policy) =>
      new aws.iam.RolePolicyAttachment(
        `${name}-node-${policy}`,
        {
          role: role.name,
          policyArn: pulumi.interpolate`arn:${context.partition}:iam::aws:policy/${policy}`,
        },
        { parent },
      ),
  );
  const profile = new aws.iam.InstanceProfile(
    `${name}-node`,
    { role: role.name, path: context.rolePath ?? "/", tags: { ...tags, Name: `${name}-node` } },
    { parent },
  );
  const entry = new aws.eks.AccessEntry(
    `${name}-node`,
    {
      clusterName,
      principalArn: role.arn,
      type: "EC2_LINUX",
      tags: { ...tags, Name: `${name}-node` },
    },
    { parent },
  );
  return { role, profile, ready: [...attachments, profile, entry] as pulumi.Resource[] };
}
