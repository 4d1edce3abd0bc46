import { at, items, UNKNOWN } from "./read.ts";

/** Types that run pods. */
export const WORKLOADS: readonly string[] = [
  "kubernetes:core/v1:Pod",
  "kubernetes:apps/v1:Deployment",
  "kubernetes:apps/v1:StatefulSet",
  "kubernetes:apps/v1:DaemonSet",
  "kubernetes:apps/v1:ReplicaSet",
  "kubernetes:batch/v1:Job",
  "kubernetes:batch/v1:CronJob",
];

/** The pod that a workload runs, with metadata and spec; undefined for what runs none. */
export function podOf(type: string, fields: unknown): unknown {
  if (!WORKLOADS.includes(type)) return undefined;
  if (type.endsWith(":Pod")) return fields;
  if (type.endsWith(":CronJob")) return at(fields, "spec", "jobTemplate", "spec", "template");
  return at(fields, "spec", "template");
}

/** A container of a pod, and where it stands. */
export interface Container {
  readonly where: string;
  readonly fields: unknown;
}

/** Containers of a pod, those before the start among them. An unknown list is one unknown container. */
export function containersOf(pod: unknown): readonly Container[] {
  return ["initContainers", "containers", "ephemeralContainers"].flatMap((list) =>
    items(at(pod, "spec", list)).map((fields, i) => {
      const name = at(fields, "name");
      return { where: `${list}[${typeof name === "string" ? name : i}]`, fields };
    }),
  );
}

/** A setting of a container, which may stand at its pod. */
export function contextOf(pod: unknown, container: unknown, ...path: string[]): unknown {
  const own = at(container, "securityContext", ...path);
  return own === undefined ? at(pod, "spec", "securityContext", ...path) : own;
}

/** Does an unknown pod or spec hide everything? */
export const hidden = (pod: unknown): boolean => pod === UNKNOWN || at(pod, "spec") === UNKNOWN;
