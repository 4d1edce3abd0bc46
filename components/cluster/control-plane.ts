import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { AwsContext } from "../context.ts";
import type { ClusterPlan } from "./plan.ts";

export interface ControlPlaneArgs {
  readonly context: AwsContext;
  readonly plan: ClusterPlan;
  readonly subnetIds: readonly pulumi.Input<string>[];
  /** Key of Kubernetes Secrets. */
  readonly keyArn: pulumi.Input<string>;
  /** Key of log groups. */
  readonly logsKeyArn: pulumi.Input<string>;
}

/** The control plane, its role, and the log group that EKS would otherwise make and leave behind. */
export function controlPlane(
  name: string,
  { context, plan, subnetIds, keyArn, logsKeyArn }: ControlPlaneArgs,
  parent: pulumi.Resource,
): aws.eks.Cluster {
  const { lifetime, tags } = context;
  const logs = new aws.cloudwatch.LogGroup(
    `${name}-logs`,
    {
      name: `/aws/eks/${plan.clusterName}/cluster`,
      retentionInDays: lifetime.logDays,
      kmsKeyId: logsKeyArn,
      tags: { ...tags, Name: `${name}-logs` },
    },
    { parent },
  );
  const role = new aws.iam.Role(
    `${name}-role`,
    {
      assumeRolePolicy: JSON.stringify({
        Version: "2012-10-17",
        Statement: [
          {
            Effect: "Allow",
            Principal: { Service: "eks.amazonaws.com" },
            Action: "sts:AssumeRole",
          },
        ],
      }),
      permissionsBoundary: context.permissionsBoundaryArn,
      path: context.rolePath ?? "/",
      tags: { ...tags, Name: `${name}-role` },
    },
    { parent },
  );
  const policy = new aws.iam.RolePolicyAttachment(
    `${name}-AmazonEKSClusterPolicy`,
    {
      role: role.name,
      policyArn: pulumi.interpolate`arn:${context.partition}:iam::aws:policy/AmazonEKSClusterPolicy`,
    },
    { parent },
  );
  const open = plan.publicCidrs.length > 0;
  return new aws.eks.Cluster(
    `${name}-cluster`,
    {
      name: plan.clusterName,
      version: plan.version,
      roleArn: role.arn,
      accessConfig: {
        authenticationMode: "API",
        bootstrapClusterCreatorAdminPermissions: false,
      },
      bootstrapSelfManagedAddons: false,
      deletionProtection: lifetime.deletionProtection,
      enabledClusterLogTypes: [...plan.logTypes],
      encryptionConfig: { provider: { keyArn }, resources: ["secrets"] },
      kubernetesNetworkConfig: { ipFamily: "ipv4", serviceIpv4Cidr: plan.serviceCidr },
      upgradePolicy: { supportType: "STANDARD" },
      vpcConfig: {
        subnetIds: [...subnetIds],
        endpointPrivateAccess: true,
        endpointPublicAccess: open,
        ...(open ? { publicAccessCidrs: [...plan.publicCidrs] } : {}),
      },
      zonalShiftConfig: { enabled: plan.zonalShift },
      tags: { ...tags, Name: plan.clusterName },
    },
    {
      parent,
      protect: lifetime.protect,
      // Its name is fixed, so two of it cannot stand side by side.
      deleteBeforeReplace: true,
      // EKS takes other subnets of the same zones only, so a zone that is added later has nodes and no
      // part of the control plane. Source: github.com/aws/containers-roadmap/issues/2258.
      ignoreChanges: ["vpcConfig.subnetIds"],
      dependsOn: [logs, policy],
    },
  );
}
