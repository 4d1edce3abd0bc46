import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { AwsContext } from "../context.ts";

/**
 * What makes Karpenter drain a node before AWS takes it.
 * Source: github.com/aws/karpenter-provider-aws, tag v1.14.1, getting-started/cloudformation.yaml.
 */
const EVENTS = {
  "scheduled-change": { source: "aws.health", type: "AWS Health Event" },
  "spot-interruption": { source: "aws.ec2", type: "EC2 Spot Instance Interruption Warning" },
  rebalance: { source: "aws.ec2", type: "EC2 Instance Rebalance Recommendation" },
  "state-change": { source: "aws.ec2", type: "EC2 Instance State-change Notification" },
  "capacity-reservation": {
    source: "aws.ec2",
    type: "EC2 Capacity Reservation Instance Interruption Warning",
  },
} as const;

/** Seconds; a warning is of no use any longer. */
const RETENTION = 300;

/** The queue of warnings, the rules that fill it, and who else may: nobody. */
export function interruptions(
  name: string,
  { context, keyArn }: { readonly context: AwsContext; readonly keyArn: pulumi.Input<string> },
  parent: pulumi.Resource,
): { readonly queue: aws.sqs.Queue; readonly ready: readonly pulumi.Resource[] } {
  const { tags } = context;
  const queue = new aws.sqs.Queue(
    `${name}-interruptions`,
    {
      messageRetentionSeconds: RETENTION,
      kmsMasterKeyId: keyArn,
      kmsDataKeyReusePeriodSeconds: 300,
      tags: { ...tags, Name: `${name}-interruptions` },
    },
    { parent },
  );
  const rules = Object.entries(EVENTS).map(([event, { source, type }]) => {
    const rule = new aws.cloudwatch.EventRule(
      `${name}-${event}`,
      {
        description: `${type}, for Karpenter`,
        eventPattern: JSON.stringify({ source: [source], "detail-type": [type] }),
        tags: { ...tags, Name: `${name}-${event}` },
      },
      { parent },
    );
    const target = new aws.cloudwatch.EventTarget(
      `${name}-${event}`,
      { rule: rule.name, targetId: "interruptions", arn: queue.arn },
      { parent },
    );
    return { rule, target };
  });
  const policy = new aws.sqs.QueuePolicy(
    `${name}-interruptions`,
    {
      queueUrl: queue.url,
      policy: pulumi.jsonStringify({
        Version: "2012-10-17",
        Statement: [
          {
            Sid: "TakeEvents",
            Effect: "Allow",
            Principal: { Service: "events.amazonaws.com" },
            Action: "sqs:SendMessage",
            Resource: queue.arn,
            Condition: { ArnEquals: { "aws:SourceArn": rules.map(({ rule }) => rule.arn) } },
          },
          {
            Sid: "RefusePlainHttp",
            Effect: "Deny",
            Principal: "*",
            Action: "sqs:*",
            Resource: queue.arn,
            Condition: { Bool: { "aws:SecureTransport": "false" } },
          },
        ],
      }),
    },
    { parent },
  );
  return { queue, ready: [policy, ...rules.map(({ target }) => target)] };
}
