import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { AwsContext } from "../context.ts";
import type { Admin } from "./admins.ts";

export interface AccessArgs {
  readonly context: AwsContext;
  readonly clusterName: pulumi.Input<string>;
  readonly admins: readonly Admin[];
}

/**
 * Access of administrators, who deploys among them: an entry each, and EKS's policy for everything.
 * Kubernetes objects depend on all of it, so that it is there before the first and until after the last.
 */
export function adminAccess(
  name: string,
  { context, clusterName, admins }: AccessArgs,
  opts: pulumi.CustomResourceOptions,
): pulumi.Resource[] {
  const policyArn = pulumi.interpolate`arn:${context.partition}:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy`;
  return admins.flatMap(({ key, arn }) => {
    const entry = new aws.eks.AccessEntry(
      `${name}-admin-${key}`,
      {
        clusterName,
        principalArn: arn,
        type: "STANDARD",
        tags: { ...context.tags, Name: `${name}-admin-${key}` },
      },
      opts,
    );
    const rights = new aws.eks.AccessPolicyAssociation(
      `${name}-admin-${key}-rights`,
      { clusterName, principalArn: arn, policyArn, accessScope: { type: "cluster" } },
      { ...opts, dependsOn: [entry] },
    );
    return [entry, rights];
  });
}
