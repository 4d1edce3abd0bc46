import { textAt } from "../world.ts";
import { actionsOf, allowed, each, type Law, NAMESPACE, RELEASE } from "./law.ts";

/** What a controller's service account must be allowed, from its own documentation. */
const MUST_DO: Readonly<Record<string, readonly string[]>> = {
  // karpenter.sh/docs/reference/cloudformation, 1.13 and later
  karpenter: [
    "ec2:CreateFleet",
    "ec2:RunInstances",
    "ec2:CreateLaunchTemplate",
    "ec2:CreateTags",
    "ec2:TerminateInstances",
    "ec2:DeleteLaunchTemplate",
    "ec2:DescribeInstanceTypes",
    "ssm:GetParameter",
    "pricing:GetProducts",
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "iam:PassRole",
    "iam:GetInstanceProfile",
    "eks:DescribeCluster",
    "kms:CreateGrant",
  ],
  "aws-load-balancer-controller": [
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:DescribeTargetHealth",
    "elasticloadbalancing:RegisterTargets",
    "elasticloadbalancing:DeregisterTargets",
  ],
  "external-secrets": ["secretsmanager:GetSecretValue", "kms:Decrypt"],
  vector: ["s3:PutObject", "kms:GenerateDataKey"],
  "ebs-csi-controller-sa": ["kms:CreateGrant", "kms:GenerateDataKeyWithoutPlaintext"],
};

export const CLUSTER_LAWS: readonly Law[] = [
  {
    says: "controllers may do what their documentation lists",
    broken: each("aws:eks/podIdentityAssociation:PodIdentityAssociation", (row, world) => {
      const role = world.find("aws:iam/role:Role", "arn", row.inputs.roleArn);
      const actions = actionsOf(world, role?.id);
      const missing = (MUST_DO[String(row.inputs.serviceAccount)] ?? []).find(
        (one) => !allowed(actions, one),
      );
      return missing && `${row.inputs.serviceAccount} may not ${missing}`;
    }),
  },
  {
    says: "a namespace of ours is closed but for what is named",
    broken: each(NAMESPACE, (row, world) => {
      const name = textAt(row.inputs, "metadata.name");
      const policies = world
        .of("kubernetes:networking.k8s.io/v1:NetworkPolicy")
        .filter((one) => textAt(one.inputs, "metadata.namespace") === name);
      const inside = policies.some((one) => textAt(one.inputs, "metadata.name") === "from-inside");
      return !inside && "anybody in the cluster may reach it, or its own pods may not";
    }),
  },
  {
    says: "a cluster has pools of nodes, a class of volumes, and measures its pods",
    broken: each("aws:eks/cluster:Cluster", (row, world) => {
      const pools = world
        .of("kubernetes:karpenter.sh/v1:NodePool")
        .map((one) => textAt(one.inputs, "metadata.name"));
      for (const pool of ["gateways", "workers"])
        if (!pools.includes(pool)) return `there is no pool ${pool}`;
      if (world.of("kubernetes:storage.k8s.io/v1:StorageClass").length === 0)
        return "there is no default class of volumes";
      const addons = world
        .of("aws:eks/addon:Addon")
        .filter((one) => one.inputs.clusterName === row.id);
      return (
        !addons.some((one) => one.inputs.addonName === "metrics-server") && "pods are not measured"
      );
    }),
  },
  {
    says: "machines have what the session manager and the registry ask for",
    broken: (world) => {
      const roles = [
        ...world.of("aws:iam/instanceProfile:InstanceProfile").map((one) => one.inputs.role),
        ...world
          .of("aws:eks/nodeGroup:NodeGroup")
          .map((one) => String(one.inputs.nodeRoleArn).split("/").at(-1)),
      ];
      const cluster = world.of("aws:eks/cluster:Cluster").length > 0;
      const wanted = [
        "AmazonSSMManagedInstanceCore",
        ...(cluster ? ["AmazonEC2ContainerRegistryPullOnly"] : []),
      ];
      const may = (role: unknown, policy: string) =>
        world
          .of("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
          .some(
            (one) =>
              one.inputs.role === role && String(one.inputs.policyArn).endsWith(`/${policy}`),
          ) ||
        (policy.startsWith("AmazonSSM") &&
          ["ssm:UpdateInstanceInformation", "ssmmessages:OpenDataChannel"].every((action) =>
            allowed(actionsOf(world, role), action),
          ));
      return roles.flatMap((role) =>
        wanted
          .filter((policy) => !may(role, policy))
          .map((policy) => `role ${role} lacks ${policy}`),
      );
    },
  },
  {
    says: "what reads secrets and certificates in the cluster is there",
    broken: (world) => {
      const certificates = world.of("kubernetes:cert-manager.io/v1:Certificate");
      const issuers = world
        .of("kubernetes:cert-manager.io/v1:Issuer", "kubernetes:cert-manager.io/v1:ClusterIssuer")
        .map((one) => textAt(one.inputs, "metadata.name"));
      const stores = world
        .of("kubernetes:external-secrets.io/v1:ClusterSecretStore")
        .map((one) => textAt(one.inputs, "metadata.name"));
      const secrets = certificates.map((one) => textAt(one.inputs, "spec.secretName"));
      return [
        ...certificates.flatMap((one) =>
          issuers.includes(textAt(one.inputs, "spec.issuerRef.name") ?? "")
            ? []
            : [`${one.id}: no issuer`],
        ),
        ...world.of("kubernetes:cert-manager.io/v1:Issuer").flatMap((one) => {
          const secret = textAt(one.inputs, "spec.ca.secretName");
          return !secret || secrets.includes(secret)
            ? []
            : [`${one.id}: nobody makes its Secret ${secret}`];
        }),
        ...world
          .of("kubernetes:external-secrets.io/v1:ExternalSecret")
          .flatMap((one) =>
            stores.includes(textAt(one.inputs, "spec.secretStoreRef.name") ?? "")
              ? []
              : [`${one.id}: no store`],
          ),
        ...(world.of(RELEASE).some((one) => String(one.inputs.chart).endsWith("cert-manager")) &&
        issuers.length < 2
          ? ["the fleet has no issuer"]
          : []),
        ...(world
          .of(RELEASE)
          .some((one) => String(one.inputs.chart).endsWith("external-secrets")) &&
        stores.length === 0
          ? ["there is no way to the account's secrets"]
          : []),
      ];
    },
  },
];
