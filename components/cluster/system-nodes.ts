import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { AwsContext } from "../context.ts";
import { SYSTEM_TAINT } from "./catalog.ts";
import type { ClusterPlan } from "./plan.ts";

export interface SystemNodesArgs {
  readonly context: AwsContext;
  readonly plan: ClusterPlan & { readonly systemNodes: NonNullable<ClusterPlan["systemNodes"]> };
  /** The cluster's name, as its output. */
  readonly cluster: pulumi.Input<string>;
  readonly subnetIds: readonly pulumi.Input<string>[];
  readonly keyArn: pulumi.Input<string>;
  /** Addons without which a node never becomes ready. */
  readonly dependsOn: readonly pulumi.Resource[];
}

/** What every node needs: to join, to pull images, to be reached by SSM. The CNI has a role of its own. */
const NODE_POLICIES = [
  "AmazonEKSWorkerNodePolicy",
  "AmazonEC2ContainerRegistryPullOnly",
  "AmazonSSMManagedInstanceCore",
] as const;

/** On-demand nodes of the cluster's own pods: Karpenter cannot run on nodes that it makes itself. */
export function systemNodes(name: string, args: SystemNodesArgs, parent: pulumi.Resource) {
  const { context, plan, cluster } = args;
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
      tags: { ...context.tags, Name: `${name}-node-role` },
    },
    { parent },
  );
  const attachments = NODE_POLICIES.map(
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
  const template = launchTemplate(name, args, parent);
  const { type, count } = plan.systemNodes;
  const group = new aws.eks.NodeGroup(
    `${name}-system`,
    {
      clusterName: cluster,
      nodeRoleArn: role.arn,
      subnetIds: [...args.subnetIds],
      version: plan.version,
      releaseVersion: plan.releaseVersion ?? undefined,
      amiType: plan.amiType,
      capacityType: "ON_DEMAND",
      instanceTypes: [type],
      launchTemplate: { id: template.id, version: pulumi.interpolate`${template.latestVersion}` },
      scalingConfig: { minSize: count, desiredSize: count, maxSize: count + 1 },
      // EKS sets the strategy where none is written, and the provider would unset it at every `up`.
      updateConfig: { maxUnavailable: 1, updateStrategy: "DEFAULT" },
      nodeRepairConfig: { enabled: true },
      labels: { "openclaw-fleet/pool": "system" },
      taints: [{ key: SYSTEM_TAINT, value: "true", effect: "NO_SCHEDULE" }],
      tags: { ...context.tags, Name: `${name}-system` },
    },
    { parent, dependsOn: [...args.dependsOn, ...attachments] },
  );
  return { role, group };
}

/** Instance metadata by token only and not for pods, an encrypted disk, and tags on what a node brings. */
function launchTemplate(
  name: string,
  { context, plan, keyArn }: SystemNodesArgs,
  parent: pulumi.Resource,
): aws.ec2.LaunchTemplate {
  const tags = { ...context.tags, Name: `${name}-system` };
  return new aws.ec2.LaunchTemplate(
    `${name}-system`,
    {
      description: `System nodes of ${plan.clusterName}`,
      updateDefaultVersion: true,
      metadataOptions: {
        httpEndpoint: "enabled",
        httpTokens: "required",
        httpPutResponseHopLimit: 1,
        instanceMetadataTags: "disabled",
      },
      blockDeviceMappings: plan.systemNodes.disks.map(({ device, sizeGiB }) => ({
        deviceName: device,
        ebs: {
          volumeType: "gp3",
          volumeSize: sizeGiB,
          encrypted: "true",
          kmsKeyId: keyArn,
          deleteOnTermination: "true",
        },
      })),
      tagSpecifications: ["instance", "volume", "network-interface"].map((resourceType) => ({
        resourceType,
        tags,
      })),
      tags,
    },
    { parent },
  );
}
