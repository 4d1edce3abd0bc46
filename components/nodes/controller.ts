import * as aws from "@pulumi/aws";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { AwsContext } from "../context.ts";
import { podIdentity } from "../pod-identity.ts";
import { KARPENTER } from "./catalog.ts";
import type { NodesCluster } from "./index.ts";
import type { NodesPlan } from "./plan.ts";
import { controllerPolicies, volumeKey } from "./policies.ts";
import { controllerValues } from "./values.ts";

export interface ControllerArgs {
  readonly context: AwsContext;
  readonly plan: NodesPlan;
  readonly cluster: NodesCluster;
  readonly keyArn: pulumi.Input<string>;
  readonly queue: aws.sqs.Queue;
  readonly nodeRoleArn: pulumi.Input<string>;
  /** What it must find when it starts. */
  readonly dependsOn: readonly pulumi.Resource[];
}

/** Karpenter: its rights, its definitions, and then itself. */
export function controller(
  name: string,
  args: ControllerArgs,
  parent: pulumi.Resource,
): { readonly role: aws.iam.Role; readonly release: k8s.helm.v3.Release } {
  const { context, plan, cluster, queue } = args;
  const rights = {
    context,
    clusterName: plan.clusterName,
    queueArn: queue.arn,
    nodeRoleArn: args.nodeRoleArn,
    keyArn: args.keyArn,
  };
  const policies = Object.entries(controllerPolicies(rights)).map(([policy, Statement]) => {
    const document = { Version: "2012-10-17", Statement };
    const made = new aws.iam.Policy(
      `${name}-controller-${policy}`,
      {
        description: `Karpenter of ${plan.clusterName}: ${policy}`,
        policy: pulumi.jsonStringify(document),
        tags: { ...context.tags, Name: `${name}-controller-${policy}` },
      },
      { parent },
    );
    return [policy, made.arn] as const;
  });
  const pods = podIdentity(
    `${name}-controller`,
    {
      context,
      clusterName: cluster.clusterName,
      namespace: KARPENTER.namespace,
      serviceAccount: KARPENTER.serviceAccount,
      policies: Object.fromEntries(policies),
      statements: volumeKey(rights),
    },
    parent,
  );
  const opts = { parent, provider: cluster.provider, deletedWith: cluster.deletedWith };
  const definitions = new k8s.helm.v3.Release(
    `${name}-definitions`,
    { ...chart(KARPENTER.crdChart), timeout: 300 },
    { ...opts, dependsOn: [...cluster.ready] },
  );
  const release = new k8s.helm.v3.Release(
    `${name}-controller`,
    {
      ...chart(KARPENTER.chart),
      // They came before, and Helm never renews what a chart's crds folder brought.
      skipCrds: true,
      timeout: 600,
      values: controllerValues({
        region: context.region,
        clusterName: plan.clusterName,
        endpoint: cluster.endpoint,
        queueName: queue.name,
        zonalShift: plan.zonalShift,
        isolated: plan.isolated,
      }),
    },
    { ...opts, dependsOn: [...cluster.ready, definitions, ...pods.ready, ...args.dependsOn] },
  );
  return { role: pods.role, release };
}

function chart(name: string) {
  return {
    name,
    chart: `${KARPENTER.repository}/${name}`,
    version: KARPENTER.version,
    namespace: KARPENTER.namespace,
    atomic: true,
    cleanupOnFail: true,
    maxHistory: 5,
  };
}
