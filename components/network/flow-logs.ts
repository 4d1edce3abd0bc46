import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { AwsContext } from "../context.ts";

export interface FlowLogsArgs {
  readonly context: AwsContext;
  readonly vpcId: pulumi.Input<string>;
  readonly logsKeyArn: pulumi.Input<string>;
  readonly tags: (role: string) => Record<string, string>;
}

/** Seconds that one record covers; 60 would make more of them and cost more. AWS knows these two. */
const AGGREGATION_SECONDS = 600;

/** Records of all connections in a VPC, in a log group of ours, so that it has a key, an end, and goes with the stack. */
export function makeFlowLogs(
  name: string,
  { context, vpcId, logsKeyArn, tags }: FlowLogsArgs,
  opts: pulumi.CustomResourceOptions,
): void {
  const { partition, region, accountId } = context;
  const group = new aws.cloudwatch.LogGroup(
    `${name}-flow-logs`,
    {
      retentionInDays: context.lifetime.logDays,
      kmsKeyId: logsKeyArn,
      tags: tags("flow-logs"),
    },
    opts,
  );
  const role = new aws.iam.Role(
    `${name}-flow-logs`,
    {
      description: `Lets the flow logs of ${context.fleet} write their log group`,
      assumeRolePolicy: pulumi.jsonStringify({
        Version: "2012-10-17",
        Statement: [
          {
            Effect: "Allow",
            Principal: { Service: "vpc-flow-logs.amazonaws.com" },
            Action: "sts:AssumeRole",
            Condition: {
              StringEquals: { "aws:SourceAccount": accountId },
              ArnLike: {
                "aws:SourceArn": pulumi.interpolate`arn:${partition}:ec2:${region}:${accountId}:vpc-flow-log/*`,
              },
            },
          },
        ],
      }),
      ...(context.permissionsBoundaryArn
        ? { permissionsBoundary: context.permissionsBoundaryArn }
        : {}),
      path: context.rolePath ?? "/",
      tags: tags("flow-logs"),
    },
    opts,
  );
  const policy = new aws.iam.RolePolicy(
    `${name}-flow-logs`,
    {
      role: role.name,
      policy: pulumi.jsonStringify({
        Version: "2012-10-17",
        Statement: [
          {
            // No CreateLogGroup: it would bring the group back after the stack is gone.
            Effect: "Allow",
            Action: ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            Resource: [group.arn, pulumi.interpolate`${group.arn}:*`],
          },
          {
            // AWS checks this one against every group of the account.
            Effect: "Allow",
            Action: "logs:DescribeLogGroups",
            Resource: pulumi.interpolate`arn:${partition}:logs:${region}:${accountId}:log-group:*`,
          },
        ],
      }),
    },
    opts,
  );
  new aws.ec2.FlowLog(
    `${name}-flow-logs`,
    {
      vpcId,
      trafficType: "ALL",
      logDestinationType: "cloud-watch-logs",
      logDestination: group.arn,
      iamRoleArn: role.arn,
      maxAggregationInterval: AGGREGATION_SECONDS,
      tags: tags("flow-logs"),
    },
    { ...opts, dependsOn: [policy] },
  );
}
