import { TYPE } from "../../policies/resources.ts";
import * as rules from "../../policies/workloads.ts";
import type { ResourceCase, StackCase } from "./cases.ts";
import { quotaOf, routers, shard } from "./runtime.ts";
import { changed, later, type Made, stackOf, UNKNOWN_TEXT, withValue } from "./support.ts";

export const eks = () => stackOf("eks", "medium");

export const made = () => Promise.resolve(shard());

export const POD = "spec.template.spec";

export const ONE = `${POD}.containers.0`;

export const NAMESPACE = "kubernetes:core/v1:Namespace";

/** Cases of single resources. */
export const RESOURCES: readonly ResourceCase[] = [
  {
    policy: rules.imageDigest,
    made,
    breaks: [
      [`${ONE}.image`, "registry.example.com/fleet:1.2.3", "containers[gateway].image is registry"],
      [`${ONE}.image`, "fleet@sha256:abc", "image is fleet@sha256:abc"],
      [
        `${POD}.initContainers`,
        [{ name: "first", image: "busybox" }],
        "initContainers[first].image is busybox",
      ],
    ],
    unknown: [
      [`${ONE}.image`, "refused"],
      [`${POD}.containers`, "refused"],
      [POD, "refused"],
    ],
  },
  {
    policy: rules.limits,
    made,
    breaks: [
      [`${ONE}.resources.requests.cpu`, undefined, "requests.cpu is not set"],
      [`${ONE}.resources.limits`, undefined, "limits.memory is not set"],
    ],
    unknown: [
      [`${ONE}.resources.limits.memory`, "passes"],
      [POD, "refused"],
    ],
  },
  {
    policy: rules.privileged,
    made,
    breaks: [
      [`${ONE}.securityContext.privileged`, true, "privileged is true"],
      [
        `${ONE}.securityContext.allowPrivilegeEscalation`,
        undefined,
        "allowPrivilegeEscalation is not set",
      ],
      [`${ONE}.securityContext.capabilities.add`, ["SYS_ADMIN"], "capabilities.add is SYS_ADMIN"],
      [`${ONE}.securityContext.capabilities`, undefined, "capabilities.drop is not set"],
      [`${POD}.hostNetwork`, true, "hostNetwork is true"],
      [`${ONE}.ports`, [{ containerPort: 80, hostPort: 80 }], "hostPort is 80"],
    ],
    unknown: [
      [`${ONE}.securityContext.privileged`, "refused"],
      [`${POD}.hostPID`, "refused"],
    ],
  },
  {
    policy: rules.confined,
    made,
    breaks: [
      [`${POD}.securityContext.runAsNonRoot`, undefined, "runAsNonRoot is not set"],
      [`${ONE}.securityContext.runAsUser`, 0, "runAsUser is 0"],
      [`${ONE}.securityContext.readOnlyRootFilesystem`, false, "readOnlyRootFilesystem is false"],
      [
        `${POD}.securityContext.seccompProfile.type`,
        "Unconfined",
        "seccompProfile.type is Unconfined",
      ],
    ],
    unknown: [[`${POD}.securityContext`, "refused"]],
  },
  {
    policy: rules.hostPaths,
    made,
    breaks: [
      [
        `${POD}.volumes`,
        [{ name: "logs", hostPath: { path: "/var/log" } }],
        "volume logs is /var/log of the node",
      ],
    ],
    unknown: [[`${POD}.volumes`, "refused"]],
  },
  {
    policy: rules.namespaceSecurity,
    made: later(eks, NAMESPACE, "platform-fleet"),
    breaks: [
      [
        "metadata.labels.pod-security\\.kubernetes\\.io/enforce",
        "privileged",
        "enforce is privileged",
      ],
      ["metadata.labels", {}, "enforce is not set"],
    ],
    unknown: [["metadata.labels", "refused"]],
  },
  {
    policy: rules.agentMemory,
    made: async () =>
      withValue(
        withValue((await eks()).find((r) => r.type === TYPE.plan) as Made, "shardMemoryMiB", 4096),
        "largestAgentMiB",
        512,
      ),
    breaks: [["largestAgentMiB", 8192, "the largest agent's memory, MiB, is 8192"]],
    unknown: [["largestAgentMiB", "refused"]],
  },
];

export const running = async (preview: boolean) => [
  ...(await stackOf("eks", "medium", {}, preview)),
  shard(),
  routers(),
  quotaOf("fleet"),
];

/** Cases of whole stacks. */
export const STACKS: readonly StackCase[] = [
  {
    policy: rules.networkPolicies,
    made: eks,
    previewed: () => stackOf("eks", "medium", {}, true),
    breaks: [
      {
        what: "a namespace without a policy",
        change: (all) =>
          all.filter(
            (r) => !(r.type.endsWith(":NetworkPolicy") && r.name.includes("monitoring-agents")),
          ),
        found: "no NetworkPolicy closes it",
        at: "team-monitoring-agents",
      },
      {
        what: "policies that select some pods only",
        change: (all) =>
          changed(
            all,
            (r) => r.type.endsWith(":NetworkPolicy") && r.name.includes("platform-fleet"),
            (r) => withValue(r, "spec.podSelector", { matchLabels: { app: "x" } }),
          ),
        found: "no NetworkPolicy closes it",
        at: "team-platform-fleet",
      },
    ],
  },
  {
    policy: rules.quotas,
    made: () => running(false),
    previewed: () => running(true),
    breaks: [
      {
        what: "pods of the fleet without a quota",
        change: (all) => all.filter((r) => !r.type.endsWith(":ResourceQuota")),
        found: "no ResourceQuota in namespace fleet",
        at: "team-shard-s1",
      },
      {
        what: "a quota of another namespace",
        change: (all) => [
          ...all.filter((r) => !r.type.endsWith(":ResourceQuota")),
          quotaOf("other"),
        ],
        found: "no ResourceQuota in namespace fleet",
      },
      {
        what: "a namespace that is not known",
        change: (all) => [...all, withValue(shard("s9"), "metadata.namespace", UNKNOWN_TEXT)],
        found: "no ResourceQuota in namespace not known before up",
      },
    ],
  },
];

/** Parts of a chart's values that hold the security of containers or pods. */
export function contexts(
  value: unknown,
  path = "",
): { path: string; fields: Record<string, unknown> }[] {
  if (value === null || typeof value !== "object") return [];
  const here = /(securityContext|podSecurityContext|containerSecurityContext)$/i.test(path)
    ? [{ path, fields: value as Record<string, unknown> }]
    : [];
  return [
    ...here,
    ...Object.entries(value).flatMap(([key, inner]) => contexts(inner, `${path}.${key}`)),
  ];
}
