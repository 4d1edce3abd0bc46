import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { AwsContext } from "./context.ts";

/** One statement of an IAM policy. */
export interface Statement {
  readonly Sid?: string;
  readonly Effect: "Allow" | "Deny";
  readonly Action: string | readonly string[];
  readonly Resource: pulumi.Input<string> | readonly pulumi.Input<string>[];
  readonly Condition?: unknown;
}

export interface PodIdentityArgs {
  readonly context: AwsContext;
  /** As the cluster's own output, so that the association waits for the cluster; plain with `dependsOn`. */
  readonly clusterName: pulumi.Input<string>;
  readonly namespace: string;
  readonly serviceAccount: string;
  /** ARNs of managed policies by a short name, which ends up in the attachment's logical name. */
  readonly policies?: Readonly<Record<string, pulumi.Input<string>>>;
  /** A policy of the role's own. */
  readonly statements?: readonly Statement[];
  /** What the association waits for, where `clusterName` is plain: the cluster. @default nothing */
  readonly dependsOn?: readonly pulumi.Resource[];
}

export interface PodIdentity {
  readonly role: aws.iam.Role;
  /**
   * What pods need before they start: EKS injects credentials only when a pod is created, so a chart
   * or addon that runs under the service account depends on all of these.
   */
  readonly ready: readonly pulumi.Resource[];
}

/**
 * A role that pods of one service account in one cluster take on through EKS Pod Identity, with its
 * permissions and its association. Children of `parent`, named `${name}-role` and so on.
 */
export function podIdentity(
  name: string,
  args: PodIdentityArgs,
  parent: pulumi.Resource,
): PodIdentity {
  const { context, clusterName, namespace, serviceAccount } = args;
  const role = new aws.iam.Role(
    `${name}-role`,
    {
      assumeRolePolicy: pulumi.jsonStringify(podTrust(clusterName, namespace, serviceAccount)),
      permissionsBoundary: context.permissionsBoundaryArn,
      path: context.rolePath ?? "/",
      tags: { ...context.tags, Name: `${name}-role` },
    },
    { parent },
  );
  const attachments = Object.entries(args.policies ?? {}).map(
    ([policy, policyArn]) =>
      new aws.iam.RolePolicyAttachment(
        `${name}-${policy}`,
        { role: role.name, policyArn },
        { parent },
      ),
  );
  const inline = args.statements
    ? [
        new aws.iam.RolePolicy(
          `${name}-policy`,
          {
            role: role.id,
            policy: pulumi.jsonStringify({ Version: "2012-10-17", Statement: args.statements }),
          },
          { parent },
        ),
      ]
    : [];
  const permissions: pulumi.Resource[] = [...attachments, ...inline];
  const association = new aws.eks.PodIdentityAssociation(
    `${name}-association`,
    {
      clusterName,
      namespace,
      serviceAccount,
      roleArn: role.arn,
      tags: { ...context.tags, Name: `${name}-association` },
    },
    { parent, dependsOn: [...permissions, ...(args.dependsOn ?? [])] },
  );
  return { role, ready: [association, ...permissions] };
}

/**
 * Only EKS, for this service account of this cluster: the tags are those that EKS gives each session.
 * Source: docs.aws.amazon.com/eks/latest/userguide/pod-id-abac.html, checked 2026-11-21.
 */
function podTrust(
  clusterName: pulumi.Input<string>,
  namespace: string,
  serviceAccount: string,
): unknown {
  return {
    Version: "2012-10-17",
    Statement: [
      {
        Effect: "Allow",
        Principal: { Service: "pods.eks.amazonaws.com" },
        Action: ["sts:AssumeRole", "sts:TagSession"],
        Condition: {
          StringEquals: {
            "aws:RequestTag/eks-cluster-name": clusterName,
            "aws:RequestTag/kubernetes-namespace": namespace,
            "aws:RequestTag/kubernetes-service-account": serviceAccount,
          },
        },
      },
    ],
  };
}
