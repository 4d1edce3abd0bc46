import type * as aws from "@pulumi/aws";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { AwsContext } from "../context.ts";
import { POOL_LABEL } from "./catalog.ts";
import { controller } from "./controller.ts";
import { interruptions } from "./interruption.ts";
import { nodeRole } from "./node-role.ts";
import type { NodesPlan } from "./plan.ts";
import { nodePoolSpec, type PoolPlan } from "./pools.ts";

/** What a cluster gives: the outputs of Cluster. */
export interface NodesCluster {
  readonly clusterName: pulumi.Input<string>;
  readonly endpoint: pulumi.Input<string>;
  /** Security group of nodes. */
  readonly securityGroupId: pulumi.Input<string>;
  readonly provider: k8s.Provider;
  /** Kubernetes objects depend on all of these. */
  readonly ready: readonly pulumi.Resource[];
  /** The cluster, where it is ours: with it goes what has no effect outside of it. */
  readonly deletedWith: pulumi.Resource | undefined;
  /** Makes a resource whose delete waits until no such object is left. */
  readonly gone: (
    name: string,
    args: {
      readonly apiVersion: string;
      readonly kind: string;
      readonly labelSelector?: string;
      readonly deadlineSeconds: number;
    },
    opts: pulumi.CustomResourceOptions,
  ) => pulumi.Resource;
}

export interface NodesArgs {
  readonly context: AwsContext;
  /** From `planNodes`. */
  readonly plan: NodesPlan;
  readonly cluster: NodesCluster;
  /** Private subnets, one a zone. */
  readonly subnetIds: readonly pulumi.Input<string>[];
  /** Key of disks and of the interruption queue. */
  readonly keyArn: pulumi.Input<string>;
}

/** Karpenter and its pools: where gateways, workers and GPUs run. */
export class Nodes extends pulumi.ComponentResource {
  /** Of interruption warnings; null where Karpenter is not ours. */
  readonly queueName: pulumi.Output<string> | null;
  readonly controllerRoleArn: pulumi.Output<string> | null;
  /** Role of the nodes. */
  readonly nodeRoleArn: pulumi.Output<string>;
  /** What runs on the pools depends on these, and so is gone before they are. */
  readonly poolsReady: readonly pulumi.Resource[];

  constructor(name: string, args: NodesArgs, opts?: pulumi.ComponentResourceOptions) {
    super("openclaw-fleet:compute:Nodes", name, {}, opts);
    const { context, plan, cluster, keyArn } = args;
    const nodes = nodeRole(
      name,
      { context, clusterName: cluster.clusterName, cni: plan.adopted },
      this,
    );
    let karpenter: { role: aws.iam.Role; queue: aws.sqs.Queue } | null = null;
    const before: pulumi.Resource[] = [...cluster.ready, ...nodes.ready];
    if (plan.install) {
      const { queue, ready } = interruptions(name, { context, keyArn }, this);
      const made = controller(
        name,
        { context, plan, cluster, keyArn, queue, nodeRoleArn: nodes.role.arn, dependsOn: ready },
        this,
      );
      before.push(made.release);
      karpenter = { role: made.role, queue };
    }
    const { profile } = nodes;
    this.poolsReady = plan.pools.map((pool) => this.#pool(name, pool, args, profile, before));
    this.queueName = karpenter?.queue.name ?? null;
    this.controllerRoleArn = karpenter?.role.arn ?? null;
    this.nodeRoleArn = nodes.role.arn;
    this.registerOutputs({
      queueName: this.queueName,
      controllerRoleArn: this.controllerRoleArn,
      nodeRoleArn: this.nodeRoleArn,
    });
  }

  /**
   * A pool. At destroy it goes first and at once; then its machines are waited for, while their class,
   * their role and Karpenter are still there to end them.
   */
  #pool(
    name: string,
    pool: PoolPlan,
    { context, plan, cluster, subnetIds, keyArn }: NodesArgs,
    profile: aws.iam.InstanceProfile,
    before: readonly pulumi.Resource[],
  ): pulumi.Resource {
    const opts = { parent: this, provider: cluster.provider };
    const labels = { [POOL_LABEL]: pool.pool };
    const nodeClass = new k8s.apiextensions.CustomResource(
      `${name}-${pool.pool}-class`,
      {
        apiVersion: "karpenter.k8s.aws/v1",
        kind: "EC2NodeClass",
        metadata: { name: pool.name, labels },
        spec: {
          amiSelectorTerms: [{ alias: plan.amiAlias }],
          instanceProfile: profile.name,
          subnetSelectorTerms: subnetIds.map((id) => ({ id })),
          securityGroupSelectorTerms: [{ id: cluster.securityGroupId }],
          associatePublicIPAddress: false,
          metadataOptions: {
            httpEndpoint: "enabled",
            httpProtocolIPv6: "disabled",
            httpPutResponseHopLimit: 1,
            httpTokens: "required",
          },
          blockDeviceMappings: Object.entries({
            ...plan.systemDisks,
            [plan.dataDevice]: pool.diskGiB,
          }).map(([deviceName, sizeGiB]) => ({
            deviceName,
            ebs: {
              volumeType: "gp3",
              volumeSize: `${sizeGiB}Gi`,
              encrypted: true,
              kmsKeyID: keyArn,
              deleteOnTermination: true,
            },
          })),
          tags: { ...context.tags },
        },
      },
      { ...opts, dependsOn: [...before], customTimeouts: { delete: "15m" } },
    );
    const gone = cluster.gone(
      `${name}-${pool.pool}-gone`,
      {
        apiVersion: "karpenter.sh/v1",
        kind: "NodeClaim",
        labelSelector: `karpenter.sh/nodepool=${pool.name}`,
        // A drain may take its whole grace, and a machine some minutes to end.
        deadlineSeconds: pool.graceMinutes * 60 + 600,
      },
      { parent: this, dependsOn: [nodeClass, ...before] },
    );
    return new k8s.apiextensions.CustomResource(
      `${name}-${pool.pool}`,
      {
        apiVersion: "karpenter.sh/v1",
        kind: "NodePool",
        metadata: {
          name: pool.name,
          labels,
          // The wait is the one before, which shows what it waits for.
          annotations: { "pulumi.com/deletionPropagationPolicy": "background" },
        },
        spec: nodePoolSpec(pool),
      },
      { ...opts, dependsOn: [gone, nodeClass] },
    );
  }
}
