import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { AwsContext } from "../context.ts";
import { podIdentity, type Statement } from "../pod-identity.ts";
import { type AddonName, SYSTEM_TAINT } from "./catalog.ts";
import type { AddonPlan } from "./plan.ts";

export interface AddonArgs {
  readonly context: AwsContext;
  /** As the cluster's own output, so that addons wait for it. */
  readonly clusterName: pulumi.Input<string>;
  /** Key of volumes. */
  readonly keyArn: pulumi.Input<string>;
  readonly addons: readonly AddonPlan[];
  readonly dependsOn: readonly pulumi.Resource[];
}

/** Installs addons at their pinned versions, each with its role and association before it. */
export function addons(name: string, args: AddonArgs, parent: pulumi.Resource): aws.eks.Addon[] {
  const { context, clusterName } = args;
  return args.addons.map((plan) => {
    const identity = IDENTITIES[plan.name]?.(args);
    const pods = identity
      ? podIdentity(
          `${name}-${plan.name}`,
          { context, clusterName, namespace: "kube-system", ...identity },
          parent,
        ).ready
      : [];
    const configuration = CONFIGURATIONS[plan.name]?.(context);
    return new aws.eks.Addon(
      `${name}-${plan.name}`,
      {
        clusterName,
        addonName: plan.name,
        addonVersion: plan.version,
        configurationValues:
          configuration === undefined ? undefined : JSON.stringify(configuration),
        resolveConflictsOnCreate: "OVERWRITE",
        resolveConflictsOnUpdate: "OVERWRITE",
        // Without the CNI's pods nobody gives back the addresses of nodes that still end.
        preserve: plan.name === "vpc-cni",
        tags: { ...context.tags, Name: `${name}-${plan.name}` },
      },
      { parent, dependsOn: [...args.dependsOn, ...pods] },
    );
  });
}

const TOLERATIONS = [{ key: SYSTEM_TAINT, operator: "Exists" }];

/**
 * Settings of addons. Keys are of each addon's own schema (`aws eks describe-addon-configuration`), which
 * follows its chart: amazon-vpc-cni-k8s, aws-ebs-csi-driver, metrics-server.
 */
const CONFIGURATIONS: Partial<Record<AddonName, (context: AwsContext) => unknown>> = {
  "vpc-cni": ({ tags }) => ({
    enableNetworkPolicy: "true",
    env: {
      ENABLE_PREFIX_DELEGATION: "true",
      WARM_PREFIX_TARGET: "1",
      ADDITIONAL_ENI_TAGS: JSON.stringify(tags),
    },
  }),
  coredns: () => ({ replicaCount: 2, tolerations: TOLERATIONS }),
  "aws-ebs-csi-driver": ({ tags }) => ({
    // The provider's tags never reach volumes that the driver makes.
    controller: { extraVolumeTags: tags, tolerations: TOLERATIONS },
    node: { tolerateAllTaints: true },
  }),
  "metrics-server": () => ({ replicas: 2, tolerations: TOLERATIONS }),
};

/** Permissions of addons that call AWS. */
const IDENTITIES: Partial<
  Record<
    AddonName,
    (args: AddonArgs) => {
      serviceAccount: string;
      policies: Record<string, pulumi.Input<string>>;
      statements?: Statement[];
    }
  >
> = {
  "vpc-cni": ({ context: { partition } }) => ({
    serviceAccount: "aws-node",
    policies: { cni: pulumi.interpolate`arn:${partition}:iam::aws:policy/AmazonEKS_CNI_Policy` },
  }),
  "aws-ebs-csi-driver": ({ context: { partition }, keyArn }) => ({
    serviceAccount: "ebs-csi-controller-sa",
    policies: {
      ebs: pulumi.interpolate`arn:${partition}:iam::aws:policy/service-role/AmazonEBSCSIDriverPolicy`,
    },
    statements: volumeKeyStatements(keyArn),
  }),
};

/**
 * What making encrypted volumes with a key of one's own needs.
 * Source: github.com/kubernetes-sigs/aws-ebs-csi-driver, docs/example-iam-policy.json and its KMS notes.
 */
function volumeKeyStatements(keyArn: pulumi.Input<string>): Statement[] {
  return [
    {
      Sid: "GrantToVolumes",
      Effect: "Allow",
      Action: ["kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant"],
      Resource: keyArn,
      Condition: { Bool: { "kms:GrantIsForAWSResource": "true" } },
    },
    {
      Sid: "EncryptVolumes",
      Effect: "Allow",
      Action: [
        "kms:Encrypt",
        "kms:Decrypt",
        "kms:ReEncrypt*",
        "kms:GenerateDataKey*",
        "kms:DescribeKey",
      ],
      Resource: keyArn,
    },
  ];
}
