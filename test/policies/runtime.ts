import { LABEL, ROUTER_ROLE } from "../../gateway/labels.ts";
import { type Made, STACK } from "./support.ts";

/**
 * Objects of a runtime in a cluster, as it labels them. No component registers pods of its own: what
 * runs in a cluster comes by charts and by the fleet's operator.
 */
const IMAGE = `registry.example.com/fleet@sha256:${"0f".repeat(32)}`;

const object = (type: string, name: string, inputs: Record<string, unknown>): Made => ({
  type,
  name: `${STACK}-${name}`,
  urn: `urn:pulumi:test::openclaw-fleet::openclaw-fleet:fleet:Fleet$${type}::${STACK}-${name}`,
  parent: "",
  inputs,
  secrets: [],
  dependencies: [],
  provider: "",
  options: {
    protect: false,
    retainOnDelete: false,
    deleteBeforeReplace: false,
    ignoreChanges: [],
    replaceOnChanges: [],
    deletedWith: "",
  },
  from: {},
});

const container = (name: string) => ({
  name,
  image: IMAGE,
  resources: { requests: { cpu: "1", memory: "2Gi" }, limits: { memory: "2Gi" } },
  securityContext: {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["ALL"] },
  },
  volumeMounts: [
    { name: "state", mountPath: "/state" },
    { name: "skills", mountPath: "/skills", readOnly: true },
  ],
});

const pod = (labels: Record<string, string>, name: string) => ({
  metadata: { labels },
  spec: {
    terminationGracePeriodSeconds: 330,
    securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
    containers: [container(name)],
    volumes: [{ name: "skills", csi: { driver: "efs.csi.aws.com", volumeHandle: "fs-1" } }],
  },
});

/** The one pod that owns a shard. */
export const shard = (id = "s1", name = `shard-${id}`): Made =>
  object("kubernetes:apps/v1:StatefulSet", name, {
    metadata: { name, namespace: "fleet", labels: { [LABEL.shard]: id } },
    spec: {
      replicas: 1,
      template: pod({ [LABEL.shard]: id, [LABEL.role]: "gateway" }, "gateway"),
      volumeClaimTemplates: [
        {
          metadata: { name: "state" },
          spec: { accessModes: ["ReadWriteOnce"], storageClassName: "gp3" },
        },
      ],
    },
  });

/** Routers of a fleet. */
export const routers = (): Made =>
  object("kubernetes:apps/v1:Deployment", "routers", {
    metadata: { name: "routers", namespace: "fleet" },
    spec: { replicas: 2, template: pod({ [LABEL.role]: ROUTER_ROLE }, "router") },
  });

export const budgetOf = (namespace: string): Made =>
  object("kubernetes:policy/v1:PodDisruptionBudget", "routers-budget", {
    metadata: { name: "routers", namespace },
    spec: { minAvailable: 1, selector: { matchLabels: { [LABEL.role]: ROUTER_ROLE } } },
  });

export const quotaOf = (namespace: string): Made =>
  object("kubernetes:core/v1:ResourceQuota", `quota-${namespace}`, {
    metadata: { name: "quota", namespace },
    spec: { hard: { "requests.memory": "64Gi" } },
  });

/** A fleet or node on this machine, as the local target registers it. */
export const local = (
  kind: "Fleet" | "Node",
  inputs: Record<string, unknown>,
  name: string,
): Made => object(`openclaw:index:${kind}`, name, inputs);
