import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { AwsContext } from "../context.ts";
import { addresses, type FixedAddress } from "./addresses.ts";
import { balancer } from "./balancer.ts";
import { certificate, inZone } from "./certificate.ts";
import { oneOfSeveral, slug } from "./names.ts";
import type { EdgePlan } from "./plan.ts";
import { webAcl } from "./web-acl.ts";

export interface EdgeArgs {
  readonly context: AwsContext;
  /** From {@link planEdge}. */
  readonly plan: EdgePlan;
  readonly vpcId: pulumi.Input<string>;
  /** Addresses of the VPC: the balancer talks to nothing else. */
  readonly vpcCidr: pulumi.Input<string>;
  /** One per zone, in the context's order. */
  readonly publicSubnetIds: pulumi.Input<string>[];
  /** Zone on Route 53 that holds the plan's names, known once its delegation was checked. Needed with a domain. */
  readonly zoneId?: pulumi.Input<string>;
  /** Provider of the zone, when it is in another account. */
  readonly zoneProvider?: pulumi.ProviderResource;
  /** Name of the bucket for the balancer's access logs, known once its policy lets the balancer write. */
  readonly accessLogsBucket?: pulumi.Input<string>;
  /** Whether routers run behind it. Without them everything gets 503 `no_fleet`. */
  readonly runtime: boolean;
}

/** A balancer takes certificates for names only; hosts have one of the fleet's own authority for their address. */
const hasTls = ({ plan, runtime }: EdgeArgs): boolean =>
  plan.domain !== null || (plan.front !== "alb" && runtime);

/** The way in: a load balancer with TLS and a firewall, or fixed addresses of the hosts themselves. */
export class Edge extends pulumi.ComponentResource {
  /** URL that clients use. */
  readonly endpoint: pulumi.Output<string>;
  /** Name that AWS gave the balancer; the fixed address of the first host where there is none. */
  readonly dnsName: pulumi.Output<string>;
  /** Group that routers are registered in; null without a balancer. */
  readonly targetGroupArn: pulumi.Output<string> | null;
  readonly targetGroupName: pulumi.Output<string> | null;
  /** The balancer's group, from which routers take requests; without one the group for hosts that clients reach. */
  readonly securityGroupId: pulumi.Output<string>;
  /** Null without a firewall. */
  readonly wafArn: pulumi.Output<string> | null;
  /** By node: fixed addresses that wait for their hosts; empty behind a balancer. */
  readonly addresses: Readonly<Record<string, FixedAddress>>;

  constructor(name: string, args: EdgeArgs, opts?: pulumi.ComponentResourceOptions) {
    super("openclaw-fleet:fleet:Edge", name, {}, opts);
    const { plan, context, zoneId, zoneProvider } = args;
    if (plan.domain !== null && zoneId === undefined) {
      throw new Error(`${name}: a plan with a domain needs the zone that holds it`);
    }
    const group = this.securityGroup(name, args);
    this.securityGroupId = group.id;

    if (plan.front === "alb") {
      const certificateArn =
        plan.domain === null
          ? null
          : certificate(
              name,
              { plan, zoneId: zoneId as pulumi.Input<string>, zoneProvider, tags: context.tags },
              this,
            );
      const { balancer: lb, targets } = balancer(name, args, group.id, certificateArn, this);
      this.alias(name, args, lb);
      this.wafArn = this.firewall(name, args, lb);
      this.targetGroupArn = targets.arn;
      this.targetGroupName = targets.name;
      this.dnsName = lb.dnsName;
      this.addresses = {};
    } else {
      this.addresses = addresses(name, args, this);
      const first = this.addresses[plan.addressOf[0] as string] as FixedAddress;
      this.wafArn = null;
      this.targetGroupArn = null;
      this.targetGroupName = null;
      this.dnsName = first.publicIp;
    }
    const scheme = hasTls(args) ? "https" : "http";
    this.endpoint = pulumi.interpolate`${scheme}://${plan.domain ?? this.dnsName}`;
    this.registerOutputs({
      endpoint: this.endpoint,
      dnsName: this.dnsName,
      targetGroupArn: this.targetGroupArn,
      targetGroupName: this.targetGroupName,
      securityGroupId: this.securityGroupId,
      wafArn: this.wafArn,
      addresses: this.addresses,
    });
  }

  /** Who may knock, and what the balancer may call. */
  private securityGroup(name: string, args: EdgeArgs): aws.ec2.SecurityGroup {
    const { plan, context } = args;
    const child = { parent: this };
    const named = (role: string) => ({ ...context.tags, Name: `${name}-${role}` });
    const group = new aws.ec2.SecurityGroup(
      `${name}-sg`,
      {
        description: "Clients of the fleet",
        vpcId: args.vpcId,
        tags: named("sg"),
      },
      child,
    );
    for (const [what, port] of [
      ["http", 80],
      ...(hasTls(args) ? [["https", 443] as const] : []),
    ] as const) {
      for (const cidr of plan.publicTo) {
        new aws.vpc.SecurityGroupIngressRule(
          `${name}-${what}-from-${slug(cidr)}`,
          {
            securityGroupId: group.id,
            description: `${what} from clients`,
            ipProtocol: "tcp",
            fromPort: port,
            toPort: port,
            cidrIpv4: cidr,
            tags: named(what),
          },
          child,
        );
      }
    }
    if (plan.front === "alb") {
      new aws.vpc.SecurityGroupEgressRule(
        `${name}-to-routers`,
        {
          securityGroupId: group.id,
          description: "Requests and probes to routers",
          ipProtocol: "tcp",
          fromPort: plan.port,
          toPort: plan.port,
          cidrIpv4: args.vpcCidr,
          tags: named("to-routers"),
        },
        child,
      );
    }
    return group;
  }

  private alias(
    name: string,
    { plan, zoneId, zoneProvider }: EdgeArgs,
    lb: aws.lb.LoadBalancer,
  ): void {
    for (const each of plan.names) {
      for (const type of ["A", "AAAA"] as const) {
        new aws.route53.Record(
          `${name}-${type.toLowerCase()}-${slug(each)}`,
          {
            zoneId: zoneId as pulumi.Input<string>,
            name: each,
            type,
            ...oneOfSeveral("alb"),
            aliases: [{ name: lb.dnsName, zoneId: lb.zoneId, evaluateTargetHealth: true }],
          },
          inZone(this, zoneProvider),
        );
      }
    }
  }

  private firewall(
    name: string,
    { plan, context }: EdgeArgs,
    lb: aws.lb.LoadBalancer,
  ): pulumi.Output<string> | null {
    if (plan.waf === null) return null;
    const acl = webAcl(name, plan.waf, context.tags, { parent: this });
    new aws.wafv2.WebAclAssociation(
      `${name}-waf-on-lb`,
      { resourceArn: lb.arn, webAclArn: acl.arn },
      { parent: this },
    );
    return acl.arn;
  }
}
