import { isObject, type Props } from "../../../plugin/values.ts";
import { type Row, textAt, valuesAt, type World } from "../world.ts";
import { KNOWN_CHARTS, usedKinds } from "./charts.ts";
import { ASSOCIATION, CLUSTER, ENTRY, ENTRY_POLICY, hasAddon, NODE_GROUP, roleMay } from "./eks.ts";
import { need } from "./parts.ts";
import type { Need, Rule } from "./types.ts";

export const RELEASE = "kubernetes:helm.sh/v3:Release";
export const NAMESPACE = "kubernetes:core/v1:Namespace";

export const nameIn = (inputs: Props) => textAt(inputs, "metadata.name") ?? "";
export const namespaceIn = (row: { inputs: Props }) =>
  textAt(row.inputs, "metadata.namespace") ?? "default";

/** Last part of a chart's place. */
export const chartName = (inputs: Props) => String(inputs.chart).split("/").at(-1) as string;

/** Kinds without a namespace, of those used here. */
export const CLUSTER_WIDE = new Set([
  "Namespace",
  "StorageClass",
  "ClusterRole",
  "ClusterRoleBinding",
  "PriorityClass",
  "PersistentVolume",
  "CustomResourceDefinition",
  "IngressClass",
  "RuntimeClass",
  "ValidatingAdmissionPolicy",
  "ValidatingAdmissionPolicyBinding",
  "MutatingWebhookConfiguration",
  "ValidatingWebhookConfiguration",
  "VolumeSnapshotClass",
  "NodePool",
  "EC2NodeClass",
  "ClusterSecretStore",
  "ClusterIssuer",
  "ClusterTriggerAuthentication",
]);

/** The cluster a row is in. */
export function clusterOf(row: Row, world: World): Row | undefined {
  return world.find(CLUSTER, "arn", row.scope.cluster);
}

export const REACH: Need = need(
  "the cluster is there and lets the caller in",
  (row, world) => {
    const cluster = clusterOf(row, world);
    if (!cluster) return "configured Kubernetes cluster is unreachable";
    const { caller } = row.scope;
    const entry = world
      .of(ENTRY)
      .some((one) => one.inputs.clusterName === cluster.id && one.inputs.principalArn === caller);
    const rights = world
      .of(ENTRY_POLICY)
      .some(
        (one) =>
          one.inputs.clusterName === cluster.id &&
          one.inputs.principalArn === caller &&
          String(one.inputs.policyArn).endsWith("AmazonEKSClusterAdminPolicy"),
      );
    return entry && rights
      ? null
      : `Unauthorized: ${caller} has no access entry with rights in ${cluster.id}`;
  },
  ["create", "update", "delete"],
);

export const NAMESPACED: Need = need(
  "its namespace exists",
  (row, world) => {
    const kind = row.type.split(":").at(-1) as string;
    if (row.type !== RELEASE && CLUSTER_WIDE.has(kind)) return null;
    const name =
      row.type === RELEASE ? String(row.inputs.namespace ?? "default") : namespaceIn(row);
    if (["default", "kube-system", "kube-public", "kube-node-lease"].includes(name)) return null;
    if (row.type === RELEASE && row.inputs.createNamespace === true) return null;
    return inCluster(row, world, NAMESPACE).some((one) => nameIn(one.inputs) === name)
      ? null
      : `namespaces "${name}" not found`;
  },
  ["create", "update"],
);

export const NODES: Need = need(
  "there are nodes and DNS for its pods",
  (row, world) => {
    const cluster = clusterOf(row, world)?.id;
    if (!world.find(NODE_GROUP, "clusterName", cluster))
      return "timeout: its pods stay Pending, there are no nodes";
    return hasAddon(cluster, "coredns", world)
      ? null
      : "timeout: its pods find no names, there is no coredns";
  },
  ["create", "update"],
);

export function inCluster(row: Row, world: World, type: string): readonly Row[] {
  return world.of(type).filter((one) => one.scope.cluster === row.scope.cluster);
}

/** Why a chart's pods have no rights in AWS; null when they have, or need none. */
export function identityFault(row: Row, world: World): string | null {
  const values = (row.inputs.values ?? {}) as Props;
  const account = KNOWN_CHARTS[chartName(row.inputs)]?.identity?.(values, String(row.inputs.name));
  if (!account) return null;
  const cluster = clusterOf(row, world)?.id;
  const namespace = row.inputs.namespace ?? "default";
  const association = world
    .of(ASSOCIATION)
    .find(
      (one) =>
        one.inputs.clusterName === cluster &&
        one.inputs.namespace === namespace &&
        one.inputs.serviceAccount === account,
    );
  if (!association) {
    return `AccessDenied: service account ${namespace}/${account} has no pod identity association`;
  }
  if (!roleMay(association.inputs.roleArn, null, world)) {
    return `AccessDenied: the role of ${namespace}/${account} has no policy`;
  }
  return hasAddon(cluster, "eks-pod-identity-agent", world)
    ? null
    : "its pods start without credentials: there is no eks-pod-identity-agent";
}

/** Whether some release brought a kind, given as `Kind.group`. */
export function knownKind(row: Row, kind: string, world: World): boolean {
  return inCluster(row, world, RELEASE).some((release) => {
    const values = (release.inputs.values ?? {}) as Props;
    const chart = KNOWN_CHARTS[chartName(release.inputs)];
    return chart?.crds?.(values, release.inputs.skipCrds === true).includes(kind);
  });
}

/** What a release asks for once: with its cluster it goes without anybody taking it away. */
const ONCE = ["create", "update"] as const;

/** Helm releases. */
export const RELEASE_RULE: Rule = {
  source: "pulumi/pulumi-kubernetes provider/pkg/provider/helm_release.go",
  id: ({ inputs }) => `${inputs.namespace ?? "default"}/${inputs.name}`,
  name: { property: "name", max: 53, pattern: /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/ },
  replaces: ["name", "namespace"],
  faults: (i) => {
    if (typeof i.chart !== "string") return ["chart is required"];
    const chart = KNOWN_CHARTS[chartName(i)];
    if (!chart) return [`chart ${i.chart} has no row: add it to test/standin/rules/charts.ts`];
    const unnamed = (chart.wants ?? []).filter((path) => valuesAt(i.values, path).length === 0);
    return [
      unnamed.length > 0 ? `its pods crash: values ${unnamed.join(", ")} are missing` : null,
      /^v?\d+\.\d+\.\d+/.test(String(i.version))
        ? null
        : `version ${i.version} is no exact version`,
    ];
  },
  needs: [
    REACH,
    NAMESPACED,
    NODES,
    need(
      "a chart that calls AWS has its role, and the agent that hands it out",
      identityFault,
      ONCE,
    ),
    need(
      "its interruption queue exists",
      (row, world) => {
        const queue = textAt(row.inputs, "values.settings.interruptionQueue");
        return !queue || world.find("aws:sqs/queue:Queue", "name", queue)
          ? null
          : `there is no queue ${queue}`;
      },
      ONCE,
    ),
    need(
      "the kinds that it uses are known to the cluster",
      (row, world) => {
        const chart = KNOWN_CHARTS[chartName(row.inputs)];
        const values = (row.inputs.values ?? {}) as Props;
        const own = chart?.crds?.(values, row.inputs.skipCrds === true) ?? [];
        const unknown = (chart ? usedKinds(chart, values) : []).find(
          (kind) => !own.includes(kind) && !knownKind(row, kind, world),
        );
        return unknown ? `no matches for kind "${unknown}"` : null;
      },
      ONCE,
    ),
    need(
      "the namespace that it watches, and the Secret that it reads, exist",
      (row, world) => {
        const watched = textAt(row.inputs, "values.watchNamespace");
        const there = (name: string) =>
          inCluster(row, world, NAMESPACE).some((one) => nameIn(one.inputs) === name);
        const others = [
          ...JSON.stringify(row.inputs.values ?? {}).matchAll(/"namespaceOverride":"([^"]+)"/g),
        ];
        const missing = [watched, ...others.map(([, name]) => name)].find(
          (name) => name && !there(name),
        );
        if (missing) return `namespaces "${missing}" not found`;
        const secret = textAt(row.inputs, "values.admin.existingSecret");
        const made = inCluster(row, world, "kubernetes:external-secrets.io/v1:ExternalSecret");
        return !secret ||
          made.some(
            (one) => (textAt(one.inputs, "spec.target.name") ?? nameIn(one.inputs)) === secret,
          )
          ? null
          : `secret "${secret}" not found`;
      },
      ONCE,
    ),
    need(
      "its volumes have a driver",
      (row, world) => {
        const claims =
          KNOWN_CHARTS[chartName(row.inputs)]?.claims?.((row.inputs.values ?? {}) as Props) ?? [];
        return claims.length === 0 ||
          hasAddon(clusterOf(row, world)?.id, "aws-ebs-csi-driver", world)
          ? null
          : "its volumes stay Pending: there is no aws-ebs-csi-driver";
      },
      ONCE,
    ),
  ],
  computed: (made) => ({
    status: {
      name: made.inputs.name,
      namespace: made.inputs.namespace ?? "default",
      revision: 1,
      status: "deployed",
      version: made.inputs.version,
    },
    resourceNames: {},
  }),
  refusesDelete: (row, world) => {
    const ending = [...world.residue.values()].find(
      (one) => one.kind === "ending" && one.name.startsWith(`${row.scope.cluster} nodes `),
    );
    return ending && chartName(row.inputs) === "karpenter"
      ? `its work is not done: ${ending.name}`
      : null;
  },
  leaves: (row, _, when) => {
    if (when === "create") return [];
    const values = isObject(row.inputs.values) ? row.inputs.values : {};
    return (KNOWN_CHARTS[chartName(row.inputs)]?.claims?.(values) ?? []).map(({ name, kept }) =>
      kept || when === "along"
        ? { kind: "orphan", name: `volume of ${name} of ${row.id}` }
        : { kind: "ending", name: `${row.scope.cluster} volume of ${name} of ${row.id}` },
    );
  },
};
