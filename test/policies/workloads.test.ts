import { describe, expect, test } from "vitest";
import { CHARTS } from "../../components/charts.ts";
import { CHART_EXCEPTIONS } from "../../policies/named-exceptions.ts";
import type { Policy } from "../../policies/policy.ts";
import { TYPE } from "../../policies/resources.ts";
import * as rules from "../../policies/workloads.ts";
import { resourceCases, stackCases } from "./cases.ts";
import { quotaOf, routers, shard } from "./runtime.ts";
import {
  changed,
  judge,
  later,
  type Made,
  stackOf,
  UNKNOWN_TEXT,
  withUnknown,
  withValue,
} from "./support.ts";

const eks = () => stackOf("eks", "medium");
const made = () => Promise.resolve(shard());
const POD = "spec.template.spec";
const ONE = `${POD}.containers.0`;
const NAMESPACE = "kubernetes:core/v1:Namespace";

resourceCases([
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
]);

test("pods of kube-system are AWS's and Kubernetes' own", () => {
  const own = withValue(
    withValue(shard(), "metadata.namespace", "kube-system"),
    `${ONE}.image`,
    "x",
  );
  expect(judge(rules.imageDigest, own).found).toEqual([]);
});

test("a CronJob's pod is found where it is", () => {
  const pod = shard().inputs.spec.template;
  const job = {
    ...shard(),
    type: "kubernetes:batch/v1:CronJob",
    inputs: { metadata: {}, spec: { jobTemplate: { spec: { template: pod } } } },
  };
  expect(judge(rules.imageDigest, job).found).toEqual([]);
  const path = "spec.jobTemplate.spec.template.spec.containers.0.image";
  expect(judge(rules.imageDigest, withUnknown(job, path)).found).toHaveLength(1);
});

const running = async (preview: boolean) => [
  ...(await stackOf("eks", "medium", {}, preview)),
  shard(),
  routers(),
  quotaOf("fleet"),
];
stackCases([
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
]);

/** Parts of a chart's values that hold the security of containers or pods. */
function contexts(value: unknown, path = ""): { path: string; fields: Record<string, unknown> }[] {
  if (value === null || typeof value !== "object") return [];
  const here = /(securityContext|podSecurityContext|containerSecurityContext)$/i.test(path)
    ? [{ path, fields: value as Record<string, unknown> }]
    : [];
  return [
    ...here,
    ...Object.entries(value).flatMap(([key, inner]) => contexts(inner, `${path}.${key}`)),
  ];
}

/**
 * A Release hides its objects from policies: what a chart is told is judged here, by the same words.
 */
describe("values of charts", () => {
  const releases = async () => (await eks()).filter(({ type }) => type === TYPE.release);

  test("ask for nothing that pods may not have, but in the charts that are named with a reason", async () => {
    for (const { inputs } of await releases()) {
      if (CHART_EXCEPTIONS[inputs.chart]) continue;
      const text = JSON.stringify(inputs.values ?? {});
      expect([inputs.chart, text]).toEqual([
        inputs.chart,
        expect.not.stringMatching(
          /"(hostNetwork|hostPID|hostIPC|privileged|allowPrivilegeEscalation)":true/,
        ),
      ]);
      expect(text).not.toMatch(/"hostPath":\{/);
      for (const { path, fields } of contexts(inputs.values)) {
        expect([inputs.chart, path, fields.runAsNonRoot ?? true]).toEqual([
          inputs.chart,
          path,
          true,
        ]);
        expect([inputs.chart, path, fields.runAsUser === 0]).toEqual([inputs.chart, path, false]);
      }
    }
  });

  test("limit memory", async () => {
    for (const { inputs } of await releases()) {
      const crdsOnly = /crd/.test(inputs.chart);
      const text = JSON.stringify(inputs.values ?? {});
      if (!crdsOnly)
        expect([inputs.chart, text]).toEqual([
          inputs.chart,
          expect.stringMatching(/"limits":\{[^}]*"memory"/),
        ]);
    }
  });

  test("every named chart is one that is installed", () => {
    const known: string[] = Object.values(CHARTS).map(({ chart }) => chart);
    for (const chart of Object.keys(CHART_EXCEPTIONS)) expect(known).toContain(chart);
  });
});

test("policies of workloads leave Releases to that", async () => {
  const [release] = (await eks()).filter(({ type }) => type === TYPE.release);
  for (const policy of rules.WORKLOAD as Policy[])
    expect(judge(policy, release as Made).found).toEqual([]);
});
