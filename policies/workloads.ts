import type { ReportViolation, ResourceValidationArgs } from "@pulumi/policy";
import { LABEL } from "../gateway/labels.ts";
import { is, refuseUnless } from "./judge.ts";
import { type Container, containersOf, contextOf, hidden, podOf, WORKLOADS } from "./pods.ts";
import type { Policy } from "./policy.ts";
import { at, items, read, shown, UNKNOWN } from "./read.ts";
import { allOf, fieldsOf, from, meta } from "./resources.ts";

const REFUSED = "Refused: nothing generates these.";
const SYSTEM = "kube-system";

/** Judges the pod of a workload of ours; one that is wholly unknown is refused. */
function eachPod(
  judge: (pod: unknown, containers: readonly Container[], report: ReportViolation) => void,
) {
  return ({ type, props }: ResourceValidationArgs, report: ReportViolation): void => {
    const fields = read(props);
    const pod = podOf(type, fields);
    if (pod === undefined || meta(fields, "namespace") === SYSTEM) return;
    if (hidden(pod)) report("the pod is not known before up");
    else judge(pod, containersOf(pod), report);
  };
}

export const imageDigest: Policy = {
  id: "workloads-image-digest",
  sentence: "Images are named by digest: what was reviewed is what runs.",
  severity: "blocking",
  setting: "",
  fix: "write the image as name@sha256:…",
  unknown: REFUSED,
  validateResource: eachPod((_, containers, report) => {
    for (const { where, fields } of containers) {
      const pinned = (image: unknown) => /@sha256:[0-9a-f]{64}$/.test(`${String(image)}`);
      refuseUnless(report, `${where}.image`, at(fields, "image"), pinned);
    }
  }),
};

export const limits: Policy = {
  id: "workloads-limits",
  sentence: "Containers ask for processor and memory, and have an upper end of memory.",
  severity: "blocking",
  setting: "sizes",
  fix: "set resources.requests.cpu, resources.requests.memory and resources.limits.memory",
  unknown: "A number that is not known is a number: what counts is that it is set.",
  validateResource: eachPod((_, containers, report) => {
    for (const { where, fields } of containers)
      for (const path of [
        ["requests", "cpu"],
        ["requests", "memory"],
        ["limits", "memory"],
      ])
        if (at(fields, "resources", ...path) === undefined)
          report(`${where}.resources.${path.join(".")} is not set`);
  }),
};

export const privileged: Policy = {
  id: "workloads-privileged",
  sentence:
    "No pod has rights over its node: nothing privileged, no host namespaces, no capabilities.",
  severity: "mandatory",
  setting: "",
  fix: "drop ALL capabilities, set allowPrivilegeEscalation and privileged to false, no hostNetwork, hostPID, hostIPC",
  unknown: REFUSED,
  validateResource: eachPod((pod, containers, report) => {
    for (const kind of ["hostNetwork", "hostPID", "hostIPC"])
      refuseUnless(report, kind, at(pod, "spec", kind), is(false, undefined));
    for (const { where, fields } of containers) {
      const own = (...path: string[]) => contextOf(pod, fields, ...path);
      refuseUnless(report, `${where}.privileged`, own("privileged"), is(false, undefined));
      refuseUnless(
        report,
        `${where}.allowPrivilegeEscalation`,
        own("allowPrivilegeEscalation"),
        is(false),
      );
      const dropped = items(own("capabilities", "drop"));
      if (!dropped.includes("ALL"))
        report(`${where}.capabilities.drop is ${shown(own("capabilities", "drop"))}`);
      for (const added of items(own("capabilities", "add")))
        refuseUnless(report, `${where}.capabilities.add`, added, is("NET_BIND_SERVICE"));
      for (const port of items(at(fields, "ports")))
        refuseUnless(report, `${where}.hostPort`, at(port, "hostPort"), is(undefined));
    }
  }),
};

export const confined: Policy = {
  id: "workloads-confined",
  sentence:
    "Pods run as an ordinary user, on a read-only root, under the runtime's system call filter.",
  severity: "blocking",
  setting: "",
  fix: "set runAsNonRoot, readOnlyRootFilesystem and seccompProfile RuntimeDefault; mount emptyDir where it writes",
  unknown: REFUSED,
  validateResource: eachPod((pod, containers, report) => {
    for (const { where, fields } of containers) {
      const own = (...path: string[]) => contextOf(pod, fields, ...path);
      refuseUnless(report, `${where}.runAsNonRoot`, own("runAsNonRoot"), is(true));
      const user = own("runAsUser");
      if (user === 0) report(`${where}.runAsUser is 0`);
      const root = at(fields, "securityContext", "readOnlyRootFilesystem");
      refuseUnless(report, `${where}.readOnlyRootFilesystem`, root, is(true));
      const filter = own("seccompProfile", "type");
      refuseUnless(
        report,
        `${where}.seccompProfile.type`,
        filter,
        is("RuntimeDefault", "Localhost"),
      );
    }
  }),
};

export const hostPaths: Policy = {
  id: "workloads-host-paths",
  sentence: "No pod sees files of its node.",
  severity: "mandatory",
  setting: "",
  fix: "use a volume claim or an emptyDir",
  unknown: "A list of volumes that is not known is refused.",
  validateResource: eachPod((pod, _, report) => {
    for (const volume of items(at(pod, "spec", "volumes"))) {
      if (volume === UNKNOWN) report("volumes are not known before up");
      const path = at(volume, "hostPath");
      if (path !== undefined)
        report(`volume ${shown(at(volume, "name"))} is ${shown(at(path, "path"))} of the node`);
    }
  }),
};

const NAMESPACE = "kubernetes:core/v1:Namespace";

export const namespaceSecurity: Policy = {
  id: "workloads-namespace-security",
  sentence: "Every namespace has a Pod Security Standard that the API server enforces.",
  severity: "blocking",
  setting: "",
  fix: "label it pod-security.kubernetes.io/enforce with baseline or restricted",
  unknown: REFUSED,
  validateResource({ type, props }, report) {
    if (type !== NAMESPACE) return;
    const level = at(read(props), "metadata", "labels", "pod-security.kubernetes.io/enforce");
    refuseUnless(report, "pod-security.kubernetes.io/enforce", level, is("baseline", "restricted"));
  },
};

export const networkPolicies: Policy = {
  id: "workloads-network-policies",
  sentence: "Every namespace has a NetworkPolicy that selects all of its pods.",
  severity: "blocking",
  setting: "",
  fix: "add a NetworkPolicy with an empty podSelector and policyTypes Ingress, and let in what must come in",
  unknown: "Policies belong to a namespace by what their namespace came from, or by its name.",
  validateStack({ resources }, report) {
    const policies = allOf(resources, "kubernetes:networking.k8s.io/v1:NetworkPolicy");
    for (const namespace of allOf(resources, NAMESPACE)) {
      const name = meta(fieldsOf(namespace), "name");
      const closed = policies.some((policy) => {
        const fields = fieldsOf(policy);
        const here =
          from(policy, "metadata").some(({ urn }) => urn === namespace.urn) ||
          (name !== UNKNOWN && name !== undefined && meta(fields, "namespace") === name);
        const all = JSON.stringify(at(fields, "spec", "podSelector") ?? {}) === "{}";
        return here && all && items(at(fields, "spec", "policyTypes")).includes("Ingress");
      });
      if (!closed) report("no NetworkPolicy closes it", namespace.urn);
    }
  },
};

export const quotas: Policy = {
  id: "workloads-quotas",
  sentence: "A namespace in which the fleet's pods run has a ResourceQuota.",
  severity: "blocking",
  setting: "sizes",
  fix: "add a ResourceQuota with requests.cpu, requests.memory and limits.memory as the plan has them",
  unknown: "A namespace whose name is not known has no quota by name, and is refused.",
  validateStack({ resources }, report) {
    const held = new Set(
      allOf(resources, "kubernetes:core/v1:ResourceQuota").map((one) =>
        meta(fieldsOf(one), "namespace"),
      ),
    );
    for (const workload of allOf(resources, ...WORKLOADS)) {
      const fields = fieldsOf(workload);
      const labels = [fields, podOf(workload.type, fields)].map((one) =>
        at(one, "metadata", "labels"),
      );
      if (
        !labels.some(
          (one) => at(one, LABEL.role) !== undefined || at(one, LABEL.shard) !== undefined,
        )
      )
        continue;
      const space = meta(fields, "namespace");
      if (space === UNKNOWN || !held.has(space))
        report(`no ResourceQuota in namespace ${shown(space)}`, workload.urn);
    }
  },
};

export const agentMemory: Policy = {
  id: "workloads-agent-memory",
  sentence: "No agent is planned with more memory than its shard has for agents.",
  severity: "blocking",
  setting: "agents[].memoryMiB",
  fix: "lower the agent's memoryMiB, or raise sizes.shardMemoryMiB",
  unknown: REFUSED,
  validateResource({ type, props }, report) {
    if (type !== "openclaw-fleet:fleet:Plan") return;
    const fields = read(props);
    const most = at(fields, "shardMemoryMiB");
    const largest = at(fields, "largestAgentMiB");
    if (largest === undefined) return;
    refuseUnless(
      report,
      "the largest agent's memory, MiB,",
      largest,
      (n) => Number(n) <= Number(most),
    );
  },
};

export const WORKLOAD: readonly Policy[] = [
  imageDigest,
  limits,
  privileged,
  confined,
  hostPaths,
  namespaceSecurity,
  networkPolicies,
  quotas,
  agentMemory,
];
