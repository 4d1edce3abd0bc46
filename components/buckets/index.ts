import * as pulumi from "@pulumi/pulumi";
import type { AwsContext } from "../context.ts";
import { type BucketRef, type BucketStatement, makeBucket } from "./bucket.ts";
import { LOG_DELIVERY } from "./catalog.ts";
import type { BucketsPlan } from "./plan.ts";

export type { BucketRef } from "./bucket.ts";

export interface BucketsArgs {
  readonly context: AwsContext;
  /** Lifecycles and locks, from `planBuckets`. */
  readonly plan: BucketsPlan;
  /** KMS key of replicas and chat logs. */
  readonly keyArn: pulumi.Input<string>;
}

/**
 * S3: replicas of shards, which survivors restore a lost node's shards from; chat logs, kept and
 * archived; access logs of the balancer. Access logs lie under S3's own key, the only one that
 * balancers deliver to.
 */
export class Buckets extends pulumi.ComponentResource {
  readonly replicasBucket: BucketRef;
  readonly chatLogsBucket: BucketRef;
  /** Undefined where no balancer writes. */
  readonly accessLogsBucket: BucketRef | undefined;

  constructor(name: string, args: BucketsArgs, opts?: pulumi.ComponentResourceOptions) {
    super("openclaw-fleet:data:Buckets", name, {}, opts);
    const { context, plan, keyArn } = args;
    const child = { parent: this };
    this.replicasBucket = makeBucket(
      `${name}-replicas`,
      { context, plan: plan.replicas, keyArn },
      child,
    );
    this.chatLogsBucket = makeBucket(
      `${name}-chat-logs`,
      { context, plan: plan.chatLogs, keyArn },
      child,
    );
    this.accessLogsBucket = plan.accessLogs
      ? makeBucket(
          `${name}-access-logs`,
          {
            context,
            plan: plan.accessLogs,
            keyArn,
            statements: delivery(context, plan.balancerAccount),
          },
          child,
        )
      : undefined;
    this.registerOutputs({
      replicasBucket: this.replicasBucket,
      chatLogsBucket: this.chatLogsBucket,
      accessLogsBucket: this.accessLogsBucket,
    });
  }
}

/** Balancers of this account, and no other's, write below their account's folder. */
function delivery(context: AwsContext, balancerAccount: string | null): BucketStatement[] {
  const write = { Action: "s3:PutObject", path: `/AWSLogs/${context.accountId}/*` };
  const service = { Sid: "BalancerLogs", Principal: { Service: LOG_DELIVERY }, ...write };
  if (!balancerAccount) return [service];
  const AWS = pulumi.interpolate`arn:${context.partition}:iam::${balancerAccount}:root`;
  return [service, { Sid: "BalancerLogsByAccount", Principal: { AWS }, ...write }];
}
