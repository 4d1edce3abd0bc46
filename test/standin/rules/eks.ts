import type { Row, World } from "../world.ts";
import { valuesAt } from "../world.ts";
import { ROLE, trustFaultFor } from "./iam.ts";
import { keyRef, ownLogGroup } from "./keys-logs.ts";
import { arn, arnOf, idFrom, joined, need, notJson, present, ref } from "./parts.ts";
import { groupNeed } from "./security-groups.ts";
import type { Need, Rules } from "./types.ts";

export const CLUSTER = "aws:eks/cluster:Cluster";
export const NODE_GROUP = "aws:eks/nodeGroup:NodeGroup";
export const ENTRY = "aws:eks/accessEntry:AccessEntry";
export const ENTRY_POLICY = "aws:eks/accessPolicyAssociation:AccessPolicyAssociation";
export const ADDON = "aws:eks/addon:Addon";
export const ASSOCIATION = "aws:eks/podIdentityAssociation:PodIdentityAssociation";
const SUBNET = "aws:ec2/subnet:Subnet";
const ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment";
const INLINE = "aws:iam/rolePolicy:RolePolicy";

/** Addons that AWS offers and code here may ask for; those of `pods` run under a service account with a role. */
export const ADDONS: Readonly<
  Record<
    string,
    {
      readonly serviceAccount?: string;
      readonly namespace?: string;
      readonly policy?: RegExp;
      readonly needsNodes?: boolean;
    }
  >
> = {
  "vpc-cni": { serviceAccount: "aws-node", policy: /AmazonEKS_CNI_Policy/ },
  "kube-proxy": {},
  "eks-pod-identity-agent": {},
  coredns: { needsNodes: true },
  "aws-ebs-csi-driver": {
    serviceAccount: "ebs-csi-controller-sa",
    policy: /AmazonEBSCSIDriverPolicy/,
    needsNodes: true,
  },
  "aws-efs-csi-driver": {
    serviceAccount: "efs-csi-controller-sa",
    policy: /AmazonEFSCSIDriverPolicy/,
    needsNodes: true,
  },
  "metrics-server": { needsNodes: true },
  "eks-node-monitoring-agent": {},
  "snapshot-controller": { needsNodes: true },
};

/** A role has a managed policy, or any policy of its own. */
export function roleMay(roleArn: unknown, policy: RegExp | null, world: World): boolean {
  const role = world.find(ROLE, "arn", roleArn);
  if (!role) return false;
  const attached = world.of(ATTACHMENT).filter((one) => one.inputs.role === role.id);
  if (policy) return attached.some((one) => policy.test(String(one.inputs.policyArn)));
  return attached.length > 0 || world.of(INLINE).some((one) => one.inputs.role === role.id);
}

export function hasAddon(cluster: unknown, name: string, world: World): boolean {
  return world
    .of(ADDON)
    .some((one) => one.inputs.clusterName === cluster && one.inputs.addonName === name);
}

const clusterName = (row: Row) => row.inputs.clusterName;
const inCluster = ref("clusterName", CLUSTER, { by: "name" });

/** What the rules of a role demand of it as long as the thing that uses it is there. */
const managed = (path: string, ...policies: readonly string[]): Need =>
  need(`the role (${path}) has ${policies.join(", ")}`, (row, world) => {
    const role = valuesAt(row.inputs, path)[0];
    const missing = policies.find((policy) => !roleMay(role, new RegExp(`/${policy}$`), world));
    return missing ? `the role lacks ${missing}` : null;
  });

/** A subnet with pods or nodes reaches AWS: through NAT, an internet gateway, or endpoints. */
const wayOut = (path: string): Need =>
  need(
    "nodes' subnets have a way to AWS",
    (row, world) => {
      for (const subnet of valuesAt(row.inputs, path)) {
        const association = world.find(
          "aws:ec2/routeTableAssociation:RouteTableAssociation",
          "subnetId",
          subnet,
        );
        const table = association?.inputs.routeTableId;
        const out = world
          .of("aws:ec2/route:Route")
          .some(
            (one) =>
              one.inputs.routeTableId === table && one.inputs.destinationCidrBlock === "0.0.0.0/0",
          );
        const inline = world.find("aws:ec2/routeTable:RouteTable", "id", table);
        const within = valuesAt(inline?.inputs, "routes[].cidrBlock").includes("0.0.0.0/0");
        if (!association || (!out && !within)) {
          return `NodeCreationFailure: nodes in ${subnet} have no way to the cluster and to AWS`;
        }
      }
      return null;
    },
    ["create", "alive"],
  );

export const EKS: Rules = {
  [CLUSTER]: {
    source: "eks/cluster.go@00555dc5",
    id: idFrom("name"),
    name: { property: "name", max: 100, pattern: /^[0-9A-Za-z][\w-]*$/ },
    guard: "deletionProtection",
    replaces: [
      "accessConfig.bootstrapClusterCreatorAdminPermissions",
      "bootstrapSelfManagedAddons",
      "kubernetesNetworkConfig.ipFamily",
      "kubernetesNetworkConfig.serviceIpv4Cidr",
      "name",
      "outpostConfig",
      "roleArn",
    ],
    values: {
      roleArn: arn("iam"),
      "accessConfig.authenticationMode": ["API", "API_AND_CONFIG_MAP", "CONFIG_MAP"],
      "enabledClusterLogTypes[]": [
        "api",
        "audit",
        "authenticator",
        "controllerManager",
        "scheduler",
      ],
      "encryptionConfig.resources[]": ["secrets"],
      "upgradePolicy.supportType": ["STANDARD", "EXTENDED"],
      "kubernetesNetworkConfig.ipFamily": ["ipv4", "ipv6"],
      "kubernetesNetworkConfig.serviceIpv4Cidr": /^(10|172|192)\..*\/(1[2-9]|2[0-4])$/,
      version: /^1\.\d+$/,
    },
    faults: (i) => {
      const [open] = valuesAt(i, "vpcConfig.endpointPublicAccess");
      const [inside] = valuesAt(i, "vpcConfig.endpointPrivateAccess");
      return [
        open === false && inside !== true ? "neither public nor private access to the API" : null,
        open === false && valuesAt(i, "vpcConfig.publicAccessCidrs[]").length > 0
          ? "publicAccessCidrs without public access"
          : null,
      ];
    },
    needs: [
      ref("roleArn", ROLE, { by: "arn" }),
      ref("vpcConfig.subnetIds[]", SUBNET),
      groupNeed("vpcConfig.securityGroupIds[]"),
      keyRef("encryptionConfig.provider.keyArn"),
      managed("roleArn", "AmazonEKSClusterPolicy"),
      trustFaultFor("roleArn", "eks.amazonaws.com"),
      need("a control plane's subnets are in two zones", (row, world) => {
        const zones = valuesAt(row.inputs, "vpcConfig.subnetIds[]").map(
          (id) => world.find(SUBNET, "id", id)?.state.availabilityZone,
        );
        return new Set(zones).size >= 2
          ? null
          : "InvalidParameter: subnets of two zones are needed";
      }),
      // github.com/aws/containers-roadmap/issues/170 (comment of 2023-10-24) and 2258
      need(
        "a control plane's zones are for good",
        (row, world) => {
          const zonesOf = (one: Row | undefined) =>
            [
              ...new Set(
                valuesAt(one?.inputs, "vpcConfig.subnetIds[]").map(
                  (id) => world.find(SUBNET, "id", id)?.state.availabilityZone,
                ),
              ),
            ].sort();
          const [was, now] = [zonesOf(world.rows.get(row.key)), zonesOf(row)];
          return was.join() === now.join()
            ? null
            : `InvalidParameter: subnets must belong to the zones ${was.join(", ")}, not ${now.join(", ")}`;
        },
        ["update"],
      ),
      need("a VPC with a cluster has DNS", (row, world) => {
        const subnet = world.find(SUBNET, "id", valuesAt(row.inputs, "vpcConfig.subnetIds[]")[0]);
        const vpc = world.find("aws:ec2/vpc:Vpc", "id", subnet?.inputs.vpcId);
        return !vpc ||
          (vpc.inputs.enableDnsHostnames === true && vpc.inputs.enableDnsSupport !== false)
          ? null
          : "the VPC needs enableDnsHostnames and enableDnsSupport";
      }),
    ],
    update: (old, next) => {
      const [from, to] = [old, next].map((i) => Number(String(i.version ?? "1.0").split(".")[1]));
      if (from === undefined || to === undefined) return null;
      if (to < from) return `InvalidParameter: no way back from ${old.version} to ${next.version}`;
      if (to > from + 1)
        return `InvalidParameter: from ${old.version} only one minor at a time, not ${next.version}`;
      if (present(old.encryptionConfig) && !present(next.encryptionConfig))
        return "encryption cannot be turned off";
      return null;
    },
    computed: (made, id) => ({
      arn: arnOf(made, "eks", `cluster/${id}`),
      endpoint: `https://${made.hex(32).toUpperCase()}.gr7.${made.scope.region}.eks.amazonaws.com`,
      certificateAuthority: { data: Buffer.from(`certificate of ${id}`).toString("base64") },
      status: "ACTIVE",
      platformVersion: "eks.1",
      version: made.inputs.version ?? "1.35",
      createdAt: "2026-11-21T00:00:00Z",
      identities: [
        {
          oidcs: [
            {
              issuer: `https://oidc.eks.${made.scope.region}.amazonaws.com/id/${made.hex(32).toUpperCase()}`,
            },
          ],
        },
      ],
      vpcConfig: {
        ...(made.inputs.vpcConfig as object),
        clusterSecurityGroupId: `sg-0${made.hex(16)}`,
        vpcId:
          made.world.find(SUBNET, "id", valuesAt(made.inputs, "vpcConfig.subnetIds[]")[0])?.inputs
            .vpcId ?? "",
      },
    }),
    refusesDelete: (row, world) =>
      world.find(NODE_GROUP, "clusterName", row.id) ? "ResourceInUse: it has node groups" : null,
    takesAlong: (row, world) => [
      ...world
        .of(ADDON, ENTRY, ENTRY_POLICY, ASSOCIATION)
        .filter((one) => one.inputs.clusterName === row.id),
      ...[...world.rows.values()].filter((one) => one.scope.cluster === row.state.arn),
    ],
    leaves: (row, world, when) =>
      when === "create" && valuesAt(row.inputs, "enabledClusterLogTypes[]").length > 0
        ? ownLogGroup(`/aws/eks/${row.id}/cluster`, world)
        : [],
  },
  [NODE_GROUP]: {
    source: "eks/node_group.go@012e0a32",
    id: joined(":", "clusterName", "nodeGroupName"),
    name: { property: "nodeGroupName", max: 63, pattern: /^[0-9A-Za-z][\w-]*$/ },
    replaces: [
      "amiType",
      "capacityType",
      "clusterName",
      "diskSize",
      "instanceTypes",
      "launchTemplate.id",
      "launchTemplate.name",
      "nodeGroupName",
      "nodeGroupNamePrefix",
      "nodeRoleArn",
      "remoteAccess",
      "subnetIds",
    ],
    values: {
      capacityType: ["ON_DEMAND", "SPOT", "CAPACITY_BLOCK"],
      amiType: [
        "AL2023_x86_64_STANDARD",
        "AL2023_ARM_64_STANDARD",
        "AL2023_x86_64_NVIDIA",
        "AL2023_ARM_64_NVIDIA",
        "BOTTLEROCKET_ARM_64",
        "BOTTLEROCKET_x86_64",
        "BOTTLEROCKET_ARM_64_NVIDIA",
        "BOTTLEROCKET_x86_64_NVIDIA",
        "CUSTOM",
      ],
      "taints[].effect": ["NO_SCHEDULE", "NO_EXECUTE", "PREFER_NO_SCHEDULE"],
    },
    faults: (i) => {
      const { minSize, maxSize, desiredSize } = (i.scalingConfig ?? {}) as Record<string, number>;
      return [
        Number(minSize) > Number(desiredSize) || Number(desiredSize) > Number(maxSize)
          ? "minSize ≤ desiredSize ≤ maxSize does not hold"
          : null,
        present(i.launchTemplate) && present(i.diskSize)
          ? "diskSize goes into the launch template"
          : null,
        present(i.launchTemplate) && present(i.remoteAccess)
          ? "remoteAccess goes into the launch template"
          : null,
      ];
    },
    needs: [
      inCluster,
      ref("nodeRoleArn", ROLE, { by: "arn" }),
      ref("subnetIds[]", SUBNET),
      ref("launchTemplate.id", "aws:ec2/launchTemplate:LaunchTemplate"),
      trustFaultFor("nodeRoleArn", "ec2.amazonaws.com"),
      need("nodes may join and pull images", (row, world) => {
        const role = row.inputs.nodeRoleArn;
        if (!roleMay(role, /AmazonEKSWorkerNode(Minimal)?Policy$/, world))
          return "NodeCreationFailure: the role lacks AmazonEKSWorkerNodePolicy";
        return roleMay(role, /AmazonEC2ContainerRegistry(PullOnly|ReadOnly)$/, world)
          ? null
          : "NodeCreationFailure: the role may not pull images";
      }),
      need("nodes become ready with a network: vpc-cni, kube-proxy", (row, world) => {
        const missing = ["vpc-cni", "kube-proxy"].find(
          (name) => !hasAddon(clusterName(row), name, world),
        );
        if (missing) return `NodeCreationFailure: nodes stay NotReady without ${missing}`;
        const byPod = world
          .of(ASSOCIATION)
          .some(
            (one) =>
              one.inputs.clusterName === clusterName(row) &&
              one.inputs.serviceAccount === "aws-node",
          );
        return byPod && !hasAddon(clusterName(row), "eks-pod-identity-agent", world)
          ? "NodeCreationFailure: aws-node gets no credentials without eks-pod-identity-agent"
          : null;
      }),
      wayOut("subnetIds[]"),
    ],
    computed: (made, id) => ({
      arn: arnOf(made, "eks", `nodegroup/${id.replace(":", "/")}/${made.hex(8)}`),
      status: "ACTIVE",
      resources: [
        { autoscalingGroups: [{ name: `eks-${made.hex(12)}` }], remoteAccessSecurityGroupId: "" },
      ],
    }),
  },
  [ADDON]: {
    source: "eks/addon.go",
    id: joined(":", "clusterName", "addonName"),
    replaces: ["addonName", "clusterName"],
    values: {
      addonName: Object.keys(ADDONS),
      addonVersion: /^v\d+\.\d+\.\d+(\.\d+)?-eks-?build\.\d+$/,
      resolveConflictsOnCreate: ["NONE", "OVERWRITE"],
      resolveConflictsOnUpdate: ["NONE", "OVERWRITE", "PRESERVE"],
    },
    faults: (i) => [notJson(i, "configurationValues")],
    needs: [
      inCluster,
      ref("serviceAccountRoleArn", ROLE, { by: "arn" }),
      ref("podIdentityAssociations[].roleArn", ROLE, { by: "arn" }),
      need("an addon that runs on nodes has some", (row, world) => {
        const nodes = world.find(NODE_GROUP, "clusterName", clusterName(row));
        return ADDONS[String(row.inputs.addonName)]?.needsNodes && !nodes
          ? `DEGRADED for 20 minutes: InsufficientNumberOfReplicas, ${row.inputs.addonName} has no nodes`
          : null;
      }),
      need("an addon that calls AWS has a role with its policy", (row, world) => {
        const name = String(row.inputs.addonName);
        const { serviceAccount, policy } = ADDONS[name] ?? {};
        if (!serviceAccount || !policy) return null;
        const own =
          valuesAt(row.inputs, "podIdentityAssociations[].roleArn")[0] ??
          row.inputs.serviceAccountRoleArn;
        const outside = world
          .of(ASSOCIATION)
          .find(
            (one) =>
              one.inputs.clusterName === clusterName(row) &&
              one.inputs.serviceAccount === serviceAccount,
          );
        const role = own ?? outside?.inputs.roleArn;
        if (!role)
          return `AccessDenied: service account ${serviceAccount} of ${name} has no association`;
        return roleMay(role, policy, world)
          ? null
          : `AccessDenied: the role of ${name} lacks its policy ${policy}`;
      }),
      need("Pod Identity needs its agent", (row, world) => {
        const { serviceAccount, needsNodes } = ADDONS[String(row.inputs.addonName)] ?? {};
        const uses = serviceAccount !== undefined && row.inputs.serviceAccountRoleArn === undefined;
        return uses && needsNodes && !hasAddon(clusterName(row), "eks-pod-identity-agent", world)
          ? "its pods start without credentials: the addon eks-pod-identity-agent is not there"
          : null;
      }),
    ],
    computed: (made, id) => ({
      arn: arnOf(made, "eks", `addon/${id.replace(":", "/")}/${made.hex(12)}`),
    }),
    refusesDelete: (row, world) => {
      const volume = [...world.residue.values()].find(
        ({ kind, name }) => kind === "ending" && name.includes(" volume "),
      );
      return volume && /csi-driver$/.test(String(row.inputs.addonName))
        ? `its work is not done: ${volume.name}`
        : null;
    },
  },
};
