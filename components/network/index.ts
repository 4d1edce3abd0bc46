import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { AwsContext, Zone } from "../context.ts";
import type { SubnetKind } from "./addresses.ts";
import { makeFlowLogs } from "./flow-logs.ts";
import { makeNat } from "./nat.ts";
import type { NetworkPlan, SubnetPlan } from "./plan.ts";

export interface NetworkArgs {
  readonly context: AwsContext;
  /** From `planNetwork`. */
  readonly plan: NetworkPlan;
  /** Key of the flow logs' group. */
  readonly logsKeyArn: pulumi.Input<string>;
}

/** Everything, in IPv4. */
const ANYWHERE = "0.0.0.0/0";

/**
 * A VPC with public, private and isolated subnets in two or three zones, or one that exists. Of an
 * adopted one nothing is registered: it has no resource of ours, and is in no state.
 *
 * All kinds of subnets exist in every preset, used or not (they cost nothing): so growing from hosts
 * with public addresses to private ones moves no subnet.
 */
export class Network extends pulumi.ComponentResource {
  readonly vpcId: pulumi.Output<string>;
  readonly cidr: string;
  /** In the order of the zones. An id is known once its way to the internet is there, and that way
   *  goes only after everything in the subnet. */
  readonly publicSubnetIds: pulumi.Output<string>[];
  /** Like the public ones; their way out is NAT, if there is any. */
  readonly privateSubnetIds: pulumi.Output<string>[];
  /** In the order of the zones; no way out, no way in but from the VPC. */
  readonly dataSubnetIds: pulumi.Output<string>[];
  /** Ranges of the public subnets: the balancer's addresses, for `trustedProxies`. */
  readonly publicCidrs: string[];
  /** In the order of the zones; none of an adopted VPC. */
  readonly privateRouteTableIds: pulumi.Output<string>[];
  /** Addresses from which private machines reach the world, for others' allow-lists. */
  readonly egressAddresses: pulumi.Output<string>[];

  constructor(name: string, args: NetworkArgs, opts?: pulumi.ComponentResourceOptions) {
    super("openclaw-fleet:base:Network", name, {}, opts);
    const { plan } = args;
    this.cidr = plan.cidr;
    this.publicCidrs = plan.subnets.public.map(({ cidr }) => cidr);
    const made = plan.adoptedVpcId === null ? this.make(name, args) : adopted(plan);
    this.vpcId = made.vpcId;
    this.publicSubnetIds = made.subnetIds.public;
    this.privateSubnetIds = made.subnetIds.private;
    this.dataSubnetIds = made.subnetIds.data;
    this.privateRouteTableIds = made.privateRouteTableIds;
    this.egressAddresses = made.egressAddresses;
    this.registerOutputs({
      vpcId: this.vpcId,
      cidr: this.cidr,
      publicSubnetIds: this.publicSubnetIds,
      privateSubnetIds: this.privateSubnetIds,
      dataSubnetIds: this.dataSubnetIds,
      publicCidrs: this.publicCidrs,
      privateRouteTableIds: this.privateRouteTableIds,
      egressAddresses: this.egressAddresses,
    });
  }

  private make(name: string, { context, plan, logsKeyArn }: NetworkArgs): Made {
    const child = { parent: this };
    const { zones } = context;
    const tags = (role: string) => ({ ...context.tags, Name: `${name}-${role}` });
    const vpc = new aws.ec2.Vpc(
      `${name}-vpc`,
      {
        cidrBlock: plan.cidr,
        enableDnsSupport: true,
        enableDnsHostnames: true, // EFS, endpoints and clusters are found by name
        tags: tags("vpc"),
      },
      // It holds no data itself, but another range would take everything in it along.
      { ...child, protect: context.lifetime.protect },
    );
    // AWS's own lets everything in it talk to everything; whoever forgets a group gets an empty one.
    new aws.ec2.DefaultSecurityGroup(
      `${name}-default`,
      { vpcId: vpc.id, ingress: [], egress: [], tags: tags("default") },
      child,
    );
    const internet = new aws.ec2.InternetGateway(
      `${name}-internet`,
      { vpcId: vpc.id, tags: tags("internet") },
      child,
    );
    const routeTable = (role: string) =>
      new aws.ec2.RouteTable(`${name}-${role}`, { vpcId: vpc.id, tags: tags(role) }, child);
    const subnet = (kind: SubnetKind, zone: Zone, { cidr, podCidr }: SubnetPlan, table: Table) => {
      const role = `${kind}-${zone.name}`;
      const made = new aws.ec2.Subnet(
        `${name}-${role}`,
        {
          vpcId: vpc.id,
          cidrBlock: cidr,
          availabilityZone: zone.name,
          mapPublicIpOnLaunch: false, // who needs a public address asks for one
          tags: { ...tags(role), ...(plan.kubernetes ? ROLE_TAGS[kind] : {}) },
        },
        child,
      );
      const inTable = new aws.ec2.RouteTableAssociation(
        `${name}-${role}`,
        { subnetId: made.id, routeTableId: table.id },
        child,
      );
      if (!podCidr) return { id: made.id, ready: [inTable.id] };
      const pods = new aws.ec2.SubnetCidrReservation(
        `${name}-${role}-pods`,
        {
          subnetId: made.id,
          cidrBlock: podCidr,
          reservationType: "prefix",
          description: "Blocks for pods",
        },
        child,
      );
      return { id: made.id, ready: [inTable.id, pods.id] };
    };
    const planOf = (kind: SubnetKind, i: number) => plan.subnets[kind][i] as SubnetPlan;

    const publicTable = routeTable("public");
    const outside = new aws.ec2.Route(
      `${name}-public`,
      {
        routeTableId: publicTable.id,
        destinationCidrBlock: ANYWHERE,
        gatewayId: internet.id,
      },
      child,
    );
    const publicSubnetIds = zones.map((zone, i) => {
      const { id, ready } = subnet("public", zone, planOf("public", i), publicTable);
      return once(id, [...ready, outside.id]);
    });

    const nat = makeNat(
      name,
      { plan, zones, vpcId: vpc.id, publicSubnetIds, internet, tags },
      child,
    );
    const privateTables = zones.map((zone) => routeTable(`private-${zone.name}`));
    const privateSubnetIds = zones.map((zone, i) => {
      const table = privateTables[i] as Table;
      const { id, ready } = subnet("private", zone, planOf("private", i), table);
      const natGatewayId = nat.gatewayId(i);
      if (!natGatewayId) return once(id, ready);
      const way = new aws.ec2.Route(
        `${name}-private-${zone.name}`,
        { routeTableId: table.id, destinationCidrBlock: ANYWHERE, natGatewayId },
        child,
      );
      return once(id, [...ready, way.id]);
    });

    const dataTable = routeTable("data");
    const dataSubnetIds = zones.map((zone, i) => {
      const { id, ready } = subnet("data", zone, planOf("data", i), dataTable);
      return once(id, ready);
    });

    // Free, and keeps images, packages and replicas off NAT. Packages and image layers lie in AWS's
    // own buckets, so its policy stays open; who may read ours is in the buckets' policies.
    new aws.ec2.VpcEndpoint(
      `${name}-s3`,
      {
        vpcId: vpc.id,
        vpcEndpointType: "Gateway",
        serviceName: `com.amazonaws.${context.region}.s3`,
        routeTableIds: [publicTable, ...privateTables].map(({ id }) => id),
        tags: tags("s3"),
      },
      child,
    );
    if (plan.interfaceEndpoints.length > 0) {
      const group = new aws.ec2.SecurityGroup(
        `${name}-endpoints`,
        {
          description: `HTTPS from ${plan.cidr} to endpoints of AWS services`,
          vpcId: vpc.id,
          tags: tags("endpoints"),
        },
        child,
      );
      new aws.vpc.SecurityGroupIngressRule(
        `${name}-endpoints-https`,
        {
          securityGroupId: group.id,
          cidrIpv4: plan.cidr,
          ipProtocol: "tcp",
          fromPort: 443,
          toPort: 443,
          description: "HTTPS from the VPC",
          tags: tags("endpoints-https"),
        },
        child,
      );
      for (const service of plan.interfaceEndpoints) {
        new aws.ec2.VpcEndpoint(
          `${name}-endpoint-${service}`,
          {
            vpcId: vpc.id,
            vpcEndpointType: "Interface",
            serviceName: `com.amazonaws.${context.region}.${service}`,
            subnetIds: privateSubnetIds,
            securityGroupIds: [group.id],
            privateDnsEnabled: true,
            tags: tags(`endpoint-${service}`),
          },
          child,
        );
      }
    }
    if (plan.flowLogs) makeFlowLogs(name, { context, vpcId: vpc.id, logsKeyArn, tags }, child);

    return {
      vpcId: vpc.id,
      subnetIds: { public: publicSubnetIds, private: privateSubnetIds, data: dataSubnetIds },
      privateRouteTableIds: privateTables.map(({ id }) => id),
      egressAddresses: nat.addresses,
    };
  }
}

type Table = aws.ec2.RouteTable;

interface Made {
  readonly vpcId: pulumi.Output<string>;
  readonly subnetIds: Readonly<Record<SubnetKind, pulumi.Output<string>[]>>;
  readonly privateRouteTableIds: pulumi.Output<string>[];
  readonly egressAddresses: pulumi.Output<string>[];
}

/** Where Kubernetes puts balancers. Source: docs.aws.amazon.com/eks/latest/userguide/network-reqs.html */
const ROLE_TAGS: Readonly<Record<SubnetKind, Record<string, string>>> = {
  public: { "kubernetes.io/role/elb": "1" },
  private: { "kubernetes.io/role/internal-elb": "1" },
  data: {},
};

/** An id that whoever uses it gets only once all of `ready` is there, and that goes before them. */
function once(
  id: pulumi.Output<string>,
  ready: readonly pulumi.Output<string>[],
): pulumi.Output<string> {
  return pulumi.all([id, ...ready]).apply(([first]) => first as string);
}

function adopted(plan: NetworkPlan): Made {
  const ids = (kind: SubnetKind) => plan.subnets[kind].map(({ id }) => pulumi.output(id as string));
  return {
    vpcId: pulumi.output(plan.adoptedVpcId as string),
    subnetIds: { public: ids("public"), private: ids("private"), data: ids("data") },
    privateRouteTableIds: [],
    egressAddresses: [],
  };
}
