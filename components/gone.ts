import type * as pulumi from "@pulumi/pulumi";

/** Objects of a cluster that must be gone before what comes after them at destroy. */
export interface GoneArgs {
  /** E.g. `v1`, `elbv2.k8s.aws/v1beta1`. */
  readonly apiVersion: string;
  /** E.g. `PersistentVolumeClaim`. */
  readonly kind: string;
  readonly namespace: string;
  /** Longest wait, seconds; what is left then is named, and the destroy fails. */
  readonly deadlineSeconds: number;
}

/**
 * Makes a resource whose *delete* waits. `pulumi destroy` does not run the program, so a wait has to
 * be a resource: what it waits for depends on it, and so is deleted before; it depends on the
 * controller that does the work, which is deleted after.
 */
export type MakeGone = (
  name: string,
  args: GoneArgs,
  opts: pulumi.CustomResourceOptions,
) => pulumi.Resource;
