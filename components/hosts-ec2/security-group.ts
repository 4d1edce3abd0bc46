import * as aws from "@pulumi/aws";
import type * as pulumi from "@pulumi/pulumi";
import type { HostsEc2Args } from "./index.ts";

/** Who may call a host: its own kind, and the balancer on the routers' port. Nobody by SSH. */
export function hostGroup(
  name: string,
  { context, plan, vpcId, front }: HostsEc2Args,
  parent: pulumi.Resource,
): aws.ec2.SecurityGroup {
  const child = { parent };
  const named = (role: string) => ({ ...context.tags, Name: `${name}-${role}` });
  const group = new aws.ec2.SecurityGroup(
    `${name}-sg`,
    {
      description: "Hosts of the fleet",
      vpcId,
      // Rules of stores that name this group would hold up its deletion.
      revokeRulesOnDelete: true,
      tags: named("sg"),
    },
    child,
  );
  new aws.vpc.SecurityGroupIngressRule(
    `${name}-from-hosts`,
    {
      securityGroupId: group.id,
      referencedSecurityGroupId: group.id,
      // Between hosts everything is TLS with certificates of the fleet on both sides.
      description: "Between hosts of the fleet",
      ipProtocol: "tcp",
      fromPort: 0,
      toPort: 65_535,
      tags: named("from-hosts"),
    },
    child,
  );
  if (front?.targetGroupArn) {
    new aws.vpc.SecurityGroupIngressRule(
      `${name}-from-edge`,
      {
        securityGroupId: group.id,
        referencedSecurityGroupId: front.securityGroupId,
        description: "Requests and probes of the balancer",
        ipProtocol: "tcp",
        fromPort: plan.port,
        toPort: plan.port,
        tags: named("from-edge"),
      },
      child,
    );
  }
  new aws.vpc.SecurityGroupEgressRule(
    `${name}-to-anywhere`,
    {
      securityGroupId: group.id,
      // Model providers, channels and what agents browse have no list of addresses.
      description: "Models, channels, tools",
      ipProtocol: "-1",
      cidrIpv4: "0.0.0.0/0",
      tags: named("to-anywhere"),
    },
    child,
  );
  return group;
}
