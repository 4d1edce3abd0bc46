import { type Props, UNKNOWN } from "../../../plugin/values.ts";
import type { Row, World } from "../world.ts";
import { textAt, valuesAt } from "../world.ts";
import { KNOWN_CHARTS } from "./charts.ts";
import { ADDON, ENTRY, hasAddon, NODE_GROUP, roleMay } from "./eks.ts";
import {
  CLUSTER_WIDE,
  chartName,
  clusterOf,
  identityFault,
  inCluster,
  knownKind,
  NAMESPACED,
  NODES,
  nameIn,
  namespaceIn,
  REACH,
  RELEASE,
} from "./helm.ts";
import { need } from "./parts.ts";
import { SECRET } from "./small.ts";
import type { Made, Need, Rule } from "./types.ts";

/** Groups of Kubernetes itself; every other kind comes from a chart. */
const BUILT_IN =
  /^(core|apps|batch|autoscaling|policy|rbac\.authorization\.k8s\.io|networking\.k8s\.io|storage\.k8s\.io|scheduling\.k8s\.io|apiextensions\.k8s\.io|admissionregistration\.k8s\.io|node\.k8s\.io|coordination\.k8s\.io|discovery\.k8s\.io)\//;

/** What cannot change in place, by kind; names and namespaces never can. */
const IMMUTABLE: Readonly<Record<string, readonly string[]>> = {
  StorageClass: ["parameters", "provisioner", "reclaimPolicy", "volumeBindingMode", "mountOptions"],
  Deployment: ["spec.selector"],
  DaemonSet: ["spec.selector"],
  StatefulSet: [
    "spec.selector",
    "spec.serviceName",
    "spec.volumeClaimTemplates",
    "spec.podManagementPolicy",
  ],
  Job: ["spec.template", "spec.selector", "spec.completions"],
  ConfigMap: ["data", "binaryData"],
  Secret: ["data", "stringData", "type"],
  Service: ["spec.clusterIP"],
  PersistentVolumeClaim: ["spec.accessModes", "spec.storageClassName", "spec.volumeName"],
  RoleBinding: ["roleRef"],
  ClusterRoleBinding: ["roleRef"],
};

/** Kinds whose pods Pulumi waits for. */
const AWAITED = new Set(["Deployment", "StatefulSet", "Job"]);

interface Kind {
  readonly group: string;
  readonly kind: string;
}

function kindOf(type: string): Kind {
  const [, version = "", kind = ""] = type.split(":");
  return {
    group: version.includes("/") ? version.slice(0, version.lastIndexOf("/")) : version,
    kind,
  };
}

const crd = ({ kind, group }: Kind): Need =>
  need(`the kind ${kind}.${group} is known to the cluster`, (row, world) =>
    knownKind(row, `${kind}.${group}`, world)
      ? null
      : `no matches for kind "${kind}" in version "${group}"`,
  );

/** A kind that a chart controls needs it, and its rights, as long as it is there. */
const controller = ({ kind, group }: Kind): Need[] => {
  const wanted = `${kind}.${group}`;
  const charts = Object.entries(KNOWN_CHARTS).filter(([, chart]) =>
    chart.controls?.includes(wanted),
  );
  return charts.map(([name]) =>
    need(`${wanted} has its controller, ${name}, with its rights`, (row, world) => {
      const release = inCluster(row, world, RELEASE).find((one) => chartName(one.inputs) === name);
      return release
        ? identityFault(release, world)
        : `nobody acts on ${wanted}: there is no ${name}, and its finalizer stays for ever`;
    }),
  );
};

/** Kinds that would leave something outside of the cluster when it is deleted with them in it. */
const OUTSIDE: Readonly<Record<string, (row: Row) => string | null>> = {
  "NodePool.karpenter.sh": (row) =>
    `nodes of pool ${nameIn(row.inputs)} by class ${textAt(row.inputs, "spec.template.spec.nodeClassRef.name")}`,
  "TargetGroupBinding.elbv2.k8s.aws": (row) => `targets of binding ${nameIn(row.inputs)}`,
  "PersistentVolumeClaim.core": (row) => `volume of claim ${nameIn(row.inputs)}`,
  "Service.core": (row) =>
    textAt(row.inputs, "spec.type") === "LoadBalancer"
      ? `balancer of service ${nameIn(row.inputs)}`
      : null,
  "Ingress.networking.k8s.io": (row) => `balancer of ingress ${nameIn(row.inputs)}`,
};

/** Rule of a Kubernetes object. Null: no such kind. */
export function kubernetesRule(type: string): Rule | null {
  const { group, kind } = kindOf(type);
  const builtIn = BUILT_IN.test(type.split(":")[1] ?? "");
  const known = Object.values(KNOWN_CHARTS).some((chart) =>
    chart.crds?.(ALL_ON, false).includes(`${kind}.${group}`),
  );
  if (!builtIn && !known) return null;
  const outside = OUTSIDE[`${kind}.${group}`];
  const wide = CLUSTER_WIDE.has(kind);
  return {
    source: builtIn ? "the API server's own validation" : "the chart's CRD",
    id: ({ inputs }: Made) =>
      wide ? nameIn(inputs) : `${namespaceIn({ inputs })}/${nameIn(inputs)}`,
    replaces: [
      "apiVersion",
      "kind",
      "metadata.name",
      "metadata.namespace",
      ...(IMMUTABLE[kind] ?? []),
    ],
    computed: (made) => ({
      metadata: {
        ...(made.inputs.metadata as object),
        ...(wide ? {} : { namespace: namespaceIn(made) }),
        uid: made.hex(32),
        resourceVersion: "1",
        generation: 1,
      },
    }),
    faults: (inputs) => SHAPES[`${kind}.${group}`]?.(inputs) ?? [],
    needs: [
      outside ? { ...REACH, when: undefined } : REACH,
      NAMESPACED,
      ...(builtIn ? [] : [crd({ group, kind })]),
      ...controller({ group, kind }),
      ...(AWAITED.has(kind) ? [NODES] : []),
      ...(MORE[`${kind}.${group}`] ?? []),
    ],
    refusesDelete: (row, world) => {
      if (kind === "Namespace") return stuck(row, world);
      if (kind !== "EC2NodeClass") return null;
      const nodes = ending(world, ` by class ${nameIn(row.inputs)}`);
      return nodes ? `its finalizer stays: ${nodes} are not gone` : null;
    },
    takesAlong: (row, world) => (kind === "Namespace" ? within(row, world) : []),
    leaves: (row, _, when) => {
      const name = outside?.(row);
      if (!name || when === "create") return [];
      if (when === "along") return [{ kind: "orphan", name }];
      // Its object is gone at once; what it stands for ends later, and somebody has to wait for it.
      const slow = kind === "NodePool" || kind === "TargetGroupBinding";
      return slow ? [{ kind: "ending", name: `${row.scope.cluster} ${name}` }] : [];
    },
  };
}

/** Values under which every optional CRD is brought. */
const ALL_ON: Props = { installCRDs: true, crds: { enabled: true, install: true } };

function within(row: Row, world: World): Row[] {
  return [...world.rows.values()].filter(
    (one) =>
      one.scope.cluster === row.scope.cluster &&
      one.key !== row.key &&
      one.type !== RELEASE &&
      textAt(one.inputs, "metadata.namespace") === nameIn(row.inputs),
  );
}

/** Something that still comes to its end, by a part of its name. */
export function ending(world: World, part: string): string | undefined {
  const all = [...world.residue.values()];
  return all.find((one) => one.kind === "ending" && one.name.includes(part))?.name;
}

/** Why a namespace would stay in Terminating. */
function stuck(row: Row, world: World): string | null {
  const release = inCluster(row, world, RELEASE).find(
    (one) => one.inputs.namespace === nameIn(row.inputs),
  );
  if (release) return `release ${release.id} is still in it`;
  const held = within(row, world).find((one) => {
    const { group, kind } = kindOf(one.type);
    return OUTSIDE[`${kind}.${group}`]?.(one);
  });
  return held ? `it stays in Terminating: ${held.id} has a finalizer` : null;
}

/** What a custom object must say. */
const SHAPES: Readonly<Record<string, (inputs: Props) => (string | null)[]>> = {
  "NodePool.karpenter.sh": (i) => {
    const path = "spec.template.spec.nodeClassRef";
    return ["group", "kind", "name"].map((key) =>
      valuesAt(i, `${path}.${key}`).length > 0 ? null : `${path}.${key} is required`,
    );
  },
  "EC2NodeClass.karpenter.k8s.aws": (i) => [
    valuesAt(i, "spec.role").length + valuesAt(i, "spec.instanceProfile").length === 1
      ? null
      : "spec has one of role and instanceProfile",
    ...["amiSelectorTerms", "subnetSelectorTerms", "securityGroupSelectorTerms"].map((key) =>
      valuesAt(i, `spec.${key}[]`).length > 0 || valuesAt(i, `spec.${key}`)[0] === UNKNOWN
        ? null
        : `spec.${key} is required`,
    ),
    ...valuesAt(i, "spec.amiSelectorTerms[].alias").map((alias) =>
      /@latest$/.test(String(alias)) ? "an alias @latest replaces nodes by itself: pin it" : null,
    ),
  ],
  "TargetGroupBinding.elbv2.k8s.aws": (i) => [
    valuesAt(i, "spec.targetGroupARN").length > 0 || valuesAt(i, "spec.targetGroupName").length > 0
      ? null
      : "spec.targetGroupARN is required",
  ],
};

const MORE: Readonly<Record<string, readonly Need[]>> = {
  "TargetGroupBinding.elbv2.k8s.aws": [
    need("a binding's target group exists and takes addresses", (row, world) => {
      const group = world.find(
        "aws:lb/targetGroup:TargetGroup",
        "arn",
        textAt(row.inputs, "spec.targetGroupARN"),
      );
      if (!group) return "TargetGroupNotFound";
      return group.inputs.targetType === (textAt(row.inputs, "spec.targetType") ?? "instance")
        ? null
        : `its target group takes ${group.inputs.targetType}`;
    }),
    need("a binding's Service exists", (row, world) => {
      const name = textAt(row.inputs, "spec.serviceRef.name");
      return inCluster(row, world, "kubernetes:core/v1:Service").some(
        (one) => nameIn(one.inputs) === name && namespaceIn(one) === namespaceIn(row),
      )
        ? null
        : `services "${name}" not found`;
    }),
    need(
      "the way from the balancer to its pods is open, until the last of them is drained",
      (row, world) => {
        const group = world.find(
          "aws:lb/targetGroup:TargetGroup",
          "arn",
          textAt(row.inputs, "spec.targetGroupARN"),
        );
        const security = textAt(clusterOf(row, world)?.state, "vpcConfig.clusterSecurityGroupId");
        const port = Number(group?.inputs.port);
        const open = world
          .of("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
          .some(
            ({ inputs }) =>
              inputs.securityGroupId === security &&
              Number(inputs.fromPort) <= port &&
              port <= Number(inputs.toPort),
          );
        return open || !port ? null : `the balancer may not reach port ${port} of its pods`;
      },
    ),
    need("the controller may change this target group", (row, world) => {
      const arn = String(textAt(row.inputs, "spec.targetGroupARN"));
      return world.of("aws:iam/rolePolicy:RolePolicy", "aws:iam/policy:Policy").some((one) => {
        const text = String(one.inputs.policy);
        return (
          /elasticloadbalancing:(RegisterTargets|\*)/.test(text) &&
          (text.includes(arn) || /"Resource":"\*"/.test(text))
        );
      })
        ? null
        : "AccessDenied: the controller's role may not RegisterTargets of this group";
    }),
  ],
  "EC2NodeClass.karpenter.k8s.aws": [
    need("its instance profile exists, and its nodes may join", (row, world) => {
      const name = textAt(row.inputs, "spec.instanceProfile");
      if (!name) return null;
      const profile = world.find("aws:iam/instanceProfile:InstanceProfile", "id", name);
      if (!profile) return `there is no instance profile ${name}`;
      const role = world.find("aws:iam/role:Role", "id", profile.inputs.role);
      const cluster = clusterOf(row, world)?.id;
      const entry = world
        .of(ENTRY)
        .some(
          (one) =>
            one.inputs.clusterName === cluster &&
            one.inputs.principalArn === role?.state.arn &&
            one.inputs.type === "EC2_LINUX",
        );
      const group = world.of(NODE_GROUP).some((one) => one.inputs.nodeRoleArn === role?.state.arn);
      if (!entry && !group)
        return `its nodes cannot join: role ${role?.id} has no access entry of type EC2_LINUX`;
      return roleMay(role?.state.arn, /AmazonEKSWorkerNode(Minimal)?Policy$/, world)
        ? null
        : `role ${role?.id} lacks AmazonEKSWorkerNodePolicy`;
    }),
  ],
  "ExternalSecret.external-secrets.io": [
    need(
      "what it reads has a value",
      (row, world) => {
        for (const key of valuesAt(row.inputs, "spec.data[].remoteRef.key")) {
          const secret = world.of(SECRET).find((one) => [one.state.name, one.id].includes(key));
          if (!secret) continue;
          if (
            !world.find("aws:secretsmanager/secretVersion:SecretVersion", "secretId", secret.id)
          ) {
            return `SecretSyncedError: ${key} has no value`;
          }
        }
        return null;
      },
      ["create"],
    ),
  ],
  "NodePool.karpenter.sh": [
    need("its node class exists", (row, world) => {
      const name = textAt(row.inputs, "spec.template.spec.nodeClassRef.name");
      return inCluster(row, world, "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass").some(
        (one) => nameIn(one.inputs) === name,
      )
        ? null
        : `node class ${name} not found`;
    }),
  ],
  "StorageClass.storage.k8s.io": [
    need(
      "its provisioner is installed",
      (row, world) => {
        const addon = {
          "ebs.csi.aws.com": "aws-ebs-csi-driver",
          "efs.csi.aws.com": "aws-efs-csi-driver",
        }[String(row.inputs.provisioner)];
        return !addon || hasAddon(clusterOf(row, world)?.id, addon, world)
          ? null
          : `nobody makes its volumes: there is no ${addon}`;
      },
      ["create"],
    ),
  ],
  "PersistentVolumeClaim.core": [
    need("its driver is there, to make and to delete its volume", (_row, world) =>
      world.of(ADDON).some((one) => /csi-driver$/.test(String(one.inputs.addonName)))
        ? null
        : "nobody makes or deletes its volume: there is no CSI driver",
    ),
  ],
};
