import * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import type { ChartPin } from "./charts.ts";

/** Values of a chart, as they stand in its values.yaml. */
export type Values = Readonly<Record<string, unknown>>;

export interface ReleaseArgs {
  readonly pin: ChartPin;
  readonly namespace: pulumi.Input<string>;
  /** Never a secret: Helm keeps values readable in the cluster. Names of Secrets instead. */
  readonly values: Values;
  /** The CRDs in its `crds` folder are installed by something else. @default false */
  readonly skipCrds?: boolean;
  /**
   * Values whose change means another release in its place, e.g. the size of a StatefulSet's claims,
   * which Kubernetes refuses to change. The preview names it.
   */
  readonly replaceOn?: readonly string[];
  /** Longest wait for everything in it to be ready, seconds. @default 600 */
  readonly timeoutSeconds?: number;
}

/**
 * A chart, installed by Helm under its own name, so that the names of its services are known: one
 * cluster holds one of each. A failed install is taken away again, so that the next `up` starts clean.
 */
export function release(
  name: string,
  { pin, namespace, values, skipCrds = false, replaceOn = [], timeoutSeconds = 600 }: ReleaseArgs,
  opts: pulumi.CustomResourceOptions,
): k8s.helm.v3.Release {
  return new k8s.helm.v3.Release(
    name,
    {
      name: pin.chart,
      chart: pin.chart,
      version: pin.version,
      repositoryOpts: { repo: pin.repository },
      namespace,
      values: values as Record<string, unknown>,
      skipCrds,
      timeout: timeoutSeconds,
      atomic: true,
      cleanupOnFail: true,
      maxHistory: 5,
    },
    // Its name is fixed, so that the old one has to go first.
    {
      ...opts,
      deleteBeforeReplace: true,
      replaceOnChanges: replaceOn.map((path) => `values.${path}`),
    },
  );
}
