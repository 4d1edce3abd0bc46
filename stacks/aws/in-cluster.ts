import * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import type { z } from "zod";
import { kubeconfigOf, tokenCommand } from "../../components/cluster/kubeconfig.ts";
import type { AwsContext } from "../../components/context.ts";
import { Gone } from "../../plugin/resources.ts";
import type { computeLayer } from "./layers.ts";
import type { AwsPlan } from "./plan.ts";

/** Makes a wait of our own provider for one cluster's objects. */
export type MakeGone = (
  name: string,
  args: {
    readonly apiVersion: string;
    readonly kind: string;
    readonly namespace?: string;
    readonly labelSelector?: string;
    readonly deadlineSeconds: number;
  },
  opts: pulumi.CustomResourceOptions,
) => pulumi.Resource;

/** The cluster as those see it who put something into it. */
export interface InCluster {
  /** Plain: roles say it in what they trust. */
  readonly clusterName: string;
  readonly provider: k8s.Provider;
  /** What any object waits for. Empty where another stack made the cluster. */
  readonly ready: readonly pulumi.Resource[];
  /** What pods on the workers' pool wait for. */
  readonly poolsReady: readonly pulumi.Resource[];
  /** What an ExternalSecret or a Certificate waits for. */
  readonly platformReady: readonly pulumi.Resource[];
  /** What a target group binding waits for. */
  readonly bindingReady: readonly pulumi.Resource[];
  /** With it goes what has no effect outside of it; undefined when it is not this stack's. */
  readonly deletedWith: pulumi.Resource | undefined;
  readonly securityGroupId: pulumi.Input<string>;
  readonly controllerRole: pulumi.Input<string>;
  readonly storageClass: pulumi.Input<string>;
  readonly gone: MakeGone;
}

/** A wait needs the way into the cluster. */
export function goneIn(cluster: {
  readonly clusterName: pulumi.Input<string>;
  readonly endpoint: pulumi.Input<string>;
  readonly certificateAuthority: pulumi.Input<string>;
  readonly token: { readonly command: string; readonly args: readonly string[] };
}): MakeGone {
  const { clusterName, endpoint, certificateAuthority, token } = cluster;
  const access = {
    cluster: clusterName,
    endpoint,
    certificateAuthority,
    token: { command: token.command, args: [...token.args] },
  };
  return (name, wait, opts) => new Gone(name, { ...access, ...wait }, opts);
}

/** The way into a cluster that another stack made. */
export function adoptedCluster(
  name: string,
  cluster: NonNullable<z.output<typeof computeLayer>["cluster"]>,
  { context, plan }: { readonly context: AwsContext; readonly plan: AwsPlan },
  opts: pulumi.ResourceOptions,
): InCluster {
  const { assumeRoleArn } = plan.aws;
  const { endpoint, certificateAuthority } = cluster;
  const token = tokenCommand({
    name: cluster.name,
    region: context.region,
    ...(assumeRoleArn ? { roleArn: assumeRoleArn } : {}),
  });
  const provider = new k8s.Provider(
    name,
    {
      kubeconfig: kubeconfigOf({ name: cluster.name, endpoint, certificateAuthority, token }),
      clusterIdentifier: cluster.arn,
      deleteUnreachable: context.lifetime.forceDestroy,
      enableServerSideApply: true,
    },
    opts,
  );
  return {
    clusterName: cluster.name,
    provider,
    ready: [],
    poolsReady: [],
    platformReady: [],
    bindingReady: [],
    deletedWith: undefined,
    securityGroupId: cluster.securityGroupId,
    controllerRole: cluster.controllerRole,
    storageClass: cluster.storageClass,
    gone: goneIn({ clusterName: cluster.name, endpoint, certificateAuthority, token }),
  };
}
