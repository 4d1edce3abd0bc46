import * as aws from "@pulumi/aws";
import type * as pulumi from "@pulumi/pulumi";
import { type FixedAnswer, NO_FLEET, NOT_FOUND } from "./answers.ts";
import { TLS_POLICY } from "./catalog.ts";
import type { EdgeArgs } from "./index.ts";

export interface Balancer {
  readonly balancer: aws.lb.LoadBalancer;
  readonly targets: aws.lb.TargetGroup;
}

/** A balancer with its listeners and one group of routers behind it. */
export function balancer(
  name: string,
  args: EdgeArgs,
  securityGroupId: pulumi.Input<string>,
  certificateArn: pulumi.Input<string> | null,
  parent: pulumi.Resource,
): Balancer {
  const { plan, context } = args;
  const child = { parent };
  const named = (role: string) => ({ ...context.tags, Name: `${name}-${role}` });
  const lb = new aws.lb.LoadBalancer(
    `${name}-lb`,
    {
      loadBalancerType: "application",
      internal: false,
      ipAddressType: "ipv4",
      subnets: args.publicSubnetIds,
      securityGroups: [securityGroupId],
      idleTimeout: plan.idleSeconds,
      dropInvalidHeaderFields: true,
      desyncMitigationMode: "defensive",
      xffHeaderProcessingMode: "append",
      preserveHostHeader: true,
      enableHttp2: true,
      // Without the firewall the routers still ask for a token; without an answer nobody is served.
      enableWafFailOpen: true,
      enableDeletionProtection: context.lifetime.deletionProtection,
      ...(args.accessLogsBucket
        ? { accessLogs: { bucket: args.accessLogsBucket, enabled: true } }
        : {}),
      tags: named("lb"),
    },
    child,
  );
  const { probe } = plan;
  const targets = new aws.lb.TargetGroup(
    `${name}-tg`,
    {
      vpcId: args.vpcId,
      targetType: plan.targetType,
      port: plan.port,
      protocol: "HTTP",
      protocolVersion: "HTTP1",
      loadBalancingAlgorithmType: "least_outstanding_requests",
      deregistrationDelay: plan.drainSeconds,
      healthCheck: {
        enabled: true,
        protocol: "HTTP",
        port: "traffic-port",
        path: probe.path,
        matcher: probe.matcher,
        interval: probe.intervalSeconds,
        timeout: probe.timeoutSeconds,
        healthyThreshold: probe.healthyAfter,
        unhealthyThreshold: probe.unhealthyAfter,
      },
      // Any router takes any request and finds the conversation's owner.
      stickiness: { enabled: false, type: "lb_cookie" },
      tags: named("tg"),
    },
    child,
  );

  const plain = new aws.lb.Listener(
    `${name}-http`,
    {
      loadBalancerArn: lb.arn,
      port: 80,
      protocol: "HTTP",
      defaultActions: certificateArn
        ? [
            {
              type: "redirect",
              redirect: { protocol: "HTTPS", port: "443", statusCode: "HTTP_301" },
            },
          ]
        : [catchAll(args, targets)],
      tags: named("http"),
    },
    child,
  );
  const open = certificateArn
    ? new aws.lb.Listener(
        `${name}-https`,
        {
          loadBalancerArn: lb.arn,
          port: 443,
          protocol: "HTTPS",
          sslPolicy: TLS_POLICY,
          certificateArn,
          defaultActions: [catchAll(args, targets)],
          tags: named("https"),
        },
        child,
      )
    : plain;
  new aws.lb.ListenerRule(
    `${name}-closed-paths`,
    {
      listenerArn: open.arn,
      priority: 1,
      conditions: [{ pathPattern: { values: [...plan.closedPaths] } }],
      actions: [fixed(NOT_FOUND)],
      tags: named("closed-paths"),
    },
    child,
  );
  return { balancer: lb, targets };
}

/** Where everything goes that no rule took: to the routers, or nowhere while there are none. */
function catchAll({ runtime }: EdgeArgs, targets: aws.lb.TargetGroup) {
  return runtime ? { type: "forward", targetGroupArn: targets.arn } : fixed(NO_FLEET);
}

function fixed({ status, body }: FixedAnswer) {
  return {
    type: "fixed-response",
    fixedResponse: {
      statusCode: String(status),
      contentType: "application/json",
      messageBody: body,
    },
  };
}
