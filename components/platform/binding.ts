import * as aws from "@pulumi/aws";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { AwsContext } from "../context.ts";
import type { MakeGone } from "../gone.ts";
import { NAMESPACES, ROUTERS } from "./catalog.ts";

/** Longest wait for the controller to take every target out, seconds: the group's delay and some. */
const RELEASE_SECONDS = 600;

export interface RouterBindingArgs {
  readonly context: AwsContext;
  /** The load balancer controller's role, from Platform. */
  readonly controllerRole: pulumi.Input<string>;
  /** From Platform: controller and namespace. */
  readonly bindingReady: readonly pulumi.Resource[];
  readonly targetGroupArn: pulumi.Input<string>;
  /** The balancer's security group. */
  readonly edgeSecurityGroupId: pulumi.Input<string>;
  /** The nodes' security group. */
  readonly nodeSecurityGroupId: pulumi.Input<string>;
  readonly vpcId: pulumi.Input<string>;
  /** Port of the routers' pods. */
  readonly routerPort: number;
  readonly kubernetes: k8s.Provider;
  /** Makes the wait for the binding's end. */
  readonly gone: MakeGone;
}

/**
 * Brings the routers' pods into the edge's target group: their Service, the binding, the controller's
 * right to exactly this group, and the way from the balancer to the pods. Deleted before the
 * controller: a binding without one keeps its finalizer, and its namespace, for ever.
 */
export class RouterBinding extends pulumi.ComponentResource {
  /** What has to wait until requests can arrive. */
  readonly binding: pulumi.Resource;

  constructor(name: string, args: RouterBindingArgs, opts?: pulumi.ComponentResourceOptions) {
    super("openclaw-fleet:fleet:RouterBinding", name, {}, opts);
    const { context, routerPort } = args;
    const child = { parent: this };
    const inside = { parent: this, provider: args.kubernetes };

    const right = new aws.iam.RolePolicy(
      `${name}-targets`,
      {
        role: args.controllerRole,
        policy: pulumi.jsonStringify({
          Version: "2012-10-17",
          Statement: [
            {
              Sid: "ChangeTargets",
              Effect: "Allow",
              Action: [
                "elasticloadbalancing:RegisterTargets",
                "elasticloadbalancing:DeregisterTargets",
              ],
              Resource: args.targetGroupArn,
            },
          ],
        }),
      },
      child,
    );
    const way = new aws.vpc.SecurityGroupIngressRule(
      `${name}-from-balancer`,
      {
        securityGroupId: args.nodeSecurityGroupId,
        referencedSecurityGroupId: args.edgeSecurityGroupId,
        description: "balancer to routers",
        ipProtocol: "tcp",
        fromPort: routerPort,
        toPort: routerPort,
        tags: { ...context.tags, Name: `${name}-from-balancer` },
      },
      child,
    );
    const service = new k8s.core.v1.Service(
      `${name}-service`,
      {
        metadata: {
          name: ROUTERS.service,
          namespace: NAMESPACES.fleet,
          // By them monitoring finds it.
          labels: ROUTERS.labels,
          // Routers come with the runtime, later than their Service.
          annotations: { "pulumi.com/skipAwait": "true" },
        },
        spec: {
          type: "ClusterIP",
          selector: ROUTERS.labels,
          ports: [{ name: ROUTERS.portName, port: routerPort, targetPort: routerPort }],
        },
      },
      { ...inside, dependsOn: [...args.bindingReady] },
    );
    const gone = args.gone(
      `${name}-gone`,
      {
        apiVersion: "elbv2.k8s.aws/v1beta1",
        kind: "TargetGroupBinding",
        namespace: NAMESPACES.fleet,
        deadlineSeconds: RELEASE_SECONDS,
      },
      { parent: this, dependsOn: [...args.bindingReady, right] },
    );
    this.binding = new k8s.apiextensions.CustomResource(
      `${name}-binding`,
      {
        apiVersion: "elbv2.k8s.aws/v1beta1",
        kind: "TargetGroupBinding",
        metadata: { name: ROUTERS.service, namespace: NAMESPACES.fleet },
        spec: {
          serviceRef: { name: ROUTERS.service, port: routerPort },
          targetGroupARN: args.targetGroupArn,
          targetType: "ip",
          ipAddressType: "ipv4",
          vpcID: args.vpcId,
        },
      },
      {
        ...inside,
        dependsOn: [...args.bindingReady, right, way, service, gone],
        customTimeouts: { delete: `${RELEASE_SECONDS}s` },
      },
    );
    this.registerOutputs({});
  }
}
