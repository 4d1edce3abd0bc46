import * as aws from "@pulumi/aws";
import { describe, expect, test } from "vitest";
import type { AwsContext } from "../../../components/context.ts";
import { LIFETIMES } from "../../../components/lifetime.ts";
import { PRICED } from "../../../components/network/catalog.ts";
import { Network } from "../../../components/network/index.ts";
import { lookUpAdopted, lookUpOffering, lookUpZones } from "../../../components/network/lookup.ts";
import {
  type NetworkLoad,
  type NetworkNeed,
  planNetwork,
} from "../../../components/network/plan.ts";
import { record, settled } from "../../support/pulumi-mocks.ts";

const CONTEXT: AwsContext = {
  fleet: "prod",
  region: "eu-central-1",
  accountId: "123456789012",
  zones: [
    { name: "eu-central-1a", id: "euc1-az2" },
    { name: "eu-central-1b", id: "euc1-az3" },
    { name: "eu-central-1c", id: "euc1-az1" },
  ],
  partition: "aws",
  lifetime: LIFETIMES.prod,
  tags: { fleet: "prod" },
};
const LOAD: NetworkLoad = { balancers: 1, publicHosts: 0, privateHosts: 3, dataPerZone: 8 };
const KEY = "arn:aws:kms:eu-central-1:123456789012:key/logs";

function build(need: Partial<NetworkNeed> = {}, context = CONTEXT) {
  const plan = planNetwork({ zones: context.zones.length, load: LOAD, ...need });
  return record(() => new Network("prod-network", { context, plan, logsKeyArn: KEY }));
}
const policy = (text: string) => JSON.parse(text).Statement;

describe("a network of our own", () => {
  test("has three kinds of subnets in each zone, named by the zone, none giving public addresses away", async () => {
    const built = await build();
    expect(built.of("aws:ec2/subnet:Subnet").map((s) => [s.name, s.inputs])).toContainEqual([
      "prod-network-private-eu-central-1b",
      {
        vpcId: "prod-network-vpc-id",
        cidrBlock: "10.64.64.0/19",
        availabilityZone: "eu-central-1b",
        mapPublicIpOnLaunch: false,
        tags: { fleet: "prod", Name: "prod-network-private-eu-central-1b" },
      },
    ]);
    expect(built.of("aws:ec2/subnet:Subnet")).toHaveLength(9);
    expect(built.of("aws:ec2/routeTableAssociation:RouteTableAssociation")).toHaveLength(9);
    expect(built.one("aws:ec2/vpc:Vpc").inputs).toEqual({
      cidrBlock: "10.64.0.0/16",
      enableDnsSupport: true,
      enableDnsHostnames: true,
      tags: { fleet: "prod", Name: "prod-network-vpc" },
    });
  });

  test("empties the default security group", async () => {
    const built = await build();
    expect(built.one("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup").inputs).toMatchObject({
      vpcId: "prod-network-vpc-id",
      ingress: [],
      egress: [],
    });
  });

  test("lets public subnets out through the internet gateway, and data subnets nowhere", async () => {
    const built = await build();
    const routes = built.of("aws:ec2/route:Route");
    expect(routes.map((r) => r.inputs.routeTableId).sort()).toEqual([
      "prod-network-private-eu-central-1a-id",
      "prod-network-private-eu-central-1b-id",
      "prod-network-private-eu-central-1c-id",
      "prod-network-public-id",
    ]);
    expect(built.one("aws:ec2/route:Route", "prod-network-public").inputs).toEqual({
      routeTableId: "prod-network-public-id",
      destinationCidrBlock: "0.0.0.0/0",
      gatewayId: "prod-network-internet-id",
    });
    const data = built
      .of("aws:ec2/routeTableAssociation:RouteTableAssociation")
      .filter((a) => a.name.includes("data"));
    expect(data.map((a) => a.inputs.routeTableId)).toEqual(Array(3).fill("prod-network-data-id"));
  });

  test("reaches S3 past NAT, from public and private subnets", async () => {
    const built = await build();
    expect(built.one("aws:ec2/vpcEndpoint:VpcEndpoint").inputs).toEqual({
      vpcId: "prod-network-vpc-id",
      vpcEndpointType: "Gateway",
      serviceName: "com.amazonaws.eu-central-1.s3",
      routeTableIds: [
        "prod-network-public-id",
        "prod-network-private-eu-central-1a-id",
        "prod-network-private-eu-central-1b-id",
        "prod-network-private-eu-central-1c-id",
      ],
      tags: { fleet: "prod", Name: "prod-network-s3" },
    });
  });

  test("gives a subnet's id away only with its way out: who uses it waits for the route, and goes before it", async () => {
    const plan = planNetwork({ zones: 3, load: LOAD });
    const built = await record(() => {
      const { privateSubnetIds, publicSubnetIds } = new Network("prod-network", {
        context: CONTEXT,
        plan,
        logsKeyArn: KEY,
      });
      const iface = (name: string, subnetId = privateSubnetIds[0]) =>
        new aws.ec2.NetworkInterface(name, { subnetId: subnetId as NonNullable<typeof subnetId> });
      iface("private");
      iface("public", publicSubnetIds[2]);
    });
    const routes = (name: string) =>
      built
        .one("aws:ec2/networkInterface:NetworkInterface", name)
        .dependencies.filter((urn) => urn.includes("route:Route::"))
        .map((urn) => urn.split("::").at(-1));
    expect(routes("private")).toEqual(["prod-network-private-eu-central-1a"]);
    expect(routes("public")).toEqual(["prod-network-public"]);
  });

  test("is protected as a whole where the environment protects, and nowhere else", async () => {
    expect((await build()).one("aws:ec2/vpc:Vpc").options.protect).toBe(true);
    const staging = await build({}, { ...CONTEXT, lifetime: LIFETIMES.staging });
    expect(staging.resources.some((r) => r.options.protect)).toBe(false);
  });

  test("puts everything under itself, tagged, with a price or a reason for none", async () => {
    const built = await build({
      interfaceEndpoints: ["sts"],
      flowLogs: true,
      natGateways: "per_zone",
      load: { ...LOAD, privateHosts: 0, pods: { nodes: 3, podsPerNode: 58 } },
    });
    const component = built.one("openclaw-fleet:base:Network");
    const untagged = /RouteTableAssociation|:Route$|SubnetCidrReservation|RolePolicy/;
    for (const child of built.resources.filter((r) => r !== component)) {
      expect(child.parent, child.name).toBe(component.urn);
      expect(PRICED, child.type).toHaveProperty([child.type]);
      if (!untagged.test(child.type)) {
        expect(child.inputs.tags, child.name).toMatchObject({ fleet: "prod", Name: child.name });
      }
    }
    expect(new Set(built.resources.slice(1).map((r) => r.type)).size).toBe(
      Object.keys(PRICED).length,
    );
  });

  test("tells the balancer's ranges as plain text", async () => {
    const { value } = await build();
    expect(value.publicCidrs).toEqual(["10.64.32.0/20", "10.64.96.0/20", "10.64.160.0/20"]);
    expect(await settled(value.vpcId)).toBe("prod-network-vpc-id");
    expect(await Promise.all(value.dataSubnetIds.map(settled))).toEqual([
      "prod-network-data-eu-central-1a-id",
      "prod-network-data-eu-central-1b-id",
      "prod-network-data-eu-central-1c-id",
    ]);
  });
});

describe("the way out of private subnets", () => {
  const natOf = (built: Awaited<ReturnType<typeof build>>) =>
    built.of("aws:ec2/route:Route").flatMap((r) => r.inputs.natGatewayId ?? []);

  test("none: no gateway, no address, no route", async () => {
    const built = await build({ natGateways: "none", load: { ...LOAD, privateHosts: 0 } });
    expect(built.of("aws:ec2/natGateway:NatGateway")).toEqual([]);
    expect(built.of("aws:ec2/eip:Eip")).toEqual([]);
    expect(natOf(built)).toEqual([]);
    expect(built.value.egressAddresses).toEqual([]);
  });

  test("one: all zones go through the first zone's", async () => {
    const built = await build({ natGateways: "one" });
    expect(built.one("aws:ec2/natGateway:NatGateway").inputs).toEqual({
      subnetId: "prod-network-public-eu-central-1a-id",
      allocationId: "prod-network-nat-eu-central-1a-id",
      connectivityType: "public",
      tags: { fleet: "prod", Name: "prod-network-nat-eu-central-1a" },
    });
    expect(natOf(built)).toEqual(Array(3).fill("prod-network-nat-eu-central-1a-id"));
  });

  test("per_zone: each zone goes through its own; the first one is the same as with one", async () => {
    const built = await build({ natGateways: "per_zone" });
    expect(natOf(built)).toEqual(CONTEXT.zones.map((z) => `prod-network-nat-${z.name}-id`));
    const one = await build({ natGateways: "one" });
    const first = "prod-network-nat-eu-central-1a";
    expect(built.one("aws:ec2/natGateway:NatGateway", first)).toEqual(
      one.one("aws:ec2/natGateway:NatGateway", first),
    );
  });

  test("regional: one gateway in no subnet, in the pinned zones, with addresses of ours", async () => {
    const built = await build({ natGateways: "regional" });
    expect(built.one("aws:ec2/natGateway:NatGateway").inputs).toEqual({
      vpcId: "prod-network-vpc-id",
      availabilityMode: "regional",
      connectivityType: "public",
      availabilityZoneAddresses: CONTEXT.zones.map(({ name }) => ({
        availabilityZone: name,
        allocationIds: [`prod-network-nat-${name}-id`],
      })),
      tags: { fleet: "prod", Name: "prod-network-nat-regional" },
    });
    expect(natOf(built)).toEqual(Array(3).fill("prod-network-nat-regional-id"));
  });

  test("addresses and gateways go before the internet gateway does", async () => {
    const built = await build({ natGateways: "per_zone" });
    const internet = built.one("aws:ec2/internetGateway:InternetGateway").urn;
    for (const type of ["aws:ec2/eip:Eip", "aws:ec2/natGateway:NatGateway"]) {
      for (const each of built.of(type)) expect(each.dependencies).toContain(internet);
    }
  });
});

test("a cluster's subnets carry roles, and keep a half of the private ones for blocks of pods", async () => {
  const load = { ...LOAD, privateHosts: 0, pods: { nodes: 3, podsPerNode: 110 } };
  const built = await build({ load });
  const tags = (kind: string) =>
    built.one("aws:ec2/subnet:Subnet", `prod-network-${kind}-eu-central-1a`).inputs.tags;
  expect(tags("public")).toHaveProperty(["kubernetes.io/role/elb"], "1");
  expect(tags("private")).toHaveProperty(["kubernetes.io/role/internal-elb"], "1");
  expect(Object.keys(tags("data"))).toEqual(["Name", "fleet"]);
  expect(built.of("aws:ec2/subnetCidrReservation:SubnetCidrReservation")[0]?.inputs).toEqual({
    subnetId: "prod-network-private-eu-central-1a-id",
    cidrBlock: "10.64.16.0/20",
    reservationType: "prefix",
    description: "Blocks for pods",
  });
  const hosts = await build();
  expect(hosts.of("aws:ec2/subnetCidrReservation:SubnetCidrReservation")).toEqual([]);
  expect(JSON.stringify(hosts.of("aws:ec2/subnet:Subnet"))).not.toContain("kubernetes.io");
});

test("endpoints have an interface in each zone and admit HTTPS from the VPC alone", async () => {
  const built = await build({ interfaceEndpoints: ["ecr.api", "sts"] });
  const name = "prod-network-endpoint-ecr.api";
  expect(built.one("aws:ec2/vpcEndpoint:VpcEndpoint", name).inputs).toMatchObject({
    vpcEndpointType: "Interface",
    serviceName: "com.amazonaws.eu-central-1.ecr.api",
    subnetIds: CONTEXT.zones.map((z) => `prod-network-private-${z.name}-id`),
    securityGroupIds: ["prod-network-endpoints-id"],
    privateDnsEnabled: true,
  });
  expect(built.one("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule").inputs).toEqual({
    securityGroupId: "prod-network-endpoints-id",
    cidrIpv4: "10.64.0.0/16",
    ipProtocol: "tcp",
    fromPort: 443,
    toPort: 443,
    description: "HTTPS from the VPC",
    tags: { fleet: "prod", Name: "prod-network-endpoints-https" },
  });
  expect((await build()).of("aws:ec2/securityGroup:SecurityGroup")).toEqual([]);
});

describe("flow logs", () => {
  test("go to a group of ours: encrypted, with an end, gone with the stack", async () => {
    const built = await build({ flowLogs: true });
    expect(built.one("aws:cloudwatch/logGroup:LogGroup").inputs).toEqual({
      retentionInDays: 90,
      kmsKeyId: KEY,
      tags: { fleet: "prod", Name: "prod-network-flow-logs" },
    });
    expect(built.one("aws:ec2/flowLog:FlowLog").inputs).toEqual({
      vpcId: "prod-network-vpc-id",
      trafficType: "ALL",
      logDestinationType: "cloud-watch-logs",
      logDestination: "arn:aws:cloudwatch:eu-central-1:123456789012:prod-network-flow-logs",
      iamRoleArn: "arn:aws:iam:eu-central-1:123456789012:prod-network-flow-logs",
      maxAggregationInterval: 600,
      tags: { fleet: "prod", Name: "prod-network-flow-logs" },
    });
    expect(built.one("aws:ec2/flowLog:FlowLog").dependencies).toContain(
      built.one("aws:iam/rolePolicy:RolePolicy").urn,
    );
  });

  test("are written by a role that can neither make groups nor be taken on for another account", async () => {
    const boundary = "arn:aws:iam::123456789012:policy/boundary";
    const context = {
      ...CONTEXT,
      partition: "aws-us-gov",
      permissionsBoundaryArn: boundary,
      rolePath: "/fleet/",
    };
    const built = await build({ flowLogs: true }, context);
    const role = built.one("aws:iam/role:Role").inputs;
    expect(role).toMatchObject({ permissionsBoundary: boundary, path: "/fleet/" });
    expect(policy(role.assumeRolePolicy)).toEqual([
      {
        Effect: "Allow",
        Principal: { Service: "vpc-flow-logs.amazonaws.com" },
        Action: "sts:AssumeRole",
        Condition: {
          StringEquals: { "aws:SourceAccount": "123456789012" },
          ArnLike: {
            "aws:SourceArn": "arn:aws-us-gov:ec2:eu-central-1:123456789012:vpc-flow-log/*",
          },
        },
      },
    ]);
    const granted = policy(built.one("aws:iam/rolePolicy:RolePolicy").inputs.policy);
    expect(granted.flatMap((s: { Action: string | string[] }) => s.Action)).toEqual([
      "logs:CreateLogStream",
      "logs:DescribeLogStreams",
      "logs:PutLogEvents",
      "logs:DescribeLogGroups",
    ]);
  });

  test("are off unless asked for", async () => {
    const built = await build();
    expect(built.of("aws:ec2/flowLog:FlowLog")).toEqual([]);
    expect(built.of("aws:iam/role:Role")).toEqual([]);
  });
});

describe("a VPC that exists", () => {
  const ADOPT = {
    vpcId: "vpc-0123456789abcdef0",
    publicSubnetIds: ["subnet-00000001", "subnet-00000002"],
    privateSubnetIds: ["subnet-00000003", "subnet-00000004"],
    dataSubnetIds: ["subnet-00000005", "subnet-00000006"],
  };
  const lookups = {
    "aws:ec2/getVpc:getVpc": () => ({
      cidrBlock: "10.9.0.0/16",
      enableDnsSupport: true,
      enableDnsHostnames: true,
    }),
    "aws:ec2/getSubnet:getSubnet": ({ id }: Record<string, unknown>) => {
      const n = Number(String(id).at(-1));
      return {
        vpcId: ADOPT.vpcId,
        availabilityZone: `eu-central-1${n % 2 ? "b" : "a"}`,
        availabilityZoneId: `euc1-az${n % 2 ? 3 : 2}`,
        cidrBlock: `10.9.${n}.0/24`,
        availableIpAddressCount: 200,
      };
    },
  };

  test("is never modified: nothing of it is registered, neither gateway, route, endpoint nor log", async () => {
    const built = await record(
      async () => {
        const adopted = await lookUpAdopted(ADOPT, {});
        const plan = planNetwork({ zones: 2, load: LOAD, flowLogs: true, adopted });
        const context = { ...CONTEXT, zones: CONTEXT.zones.slice(0, 2) };
        return new Network("prod-network", { context, plan, logsKeyArn: KEY });
      },
      { lookups },
    );
    expect(built.resources.map((r) => r.type)).toEqual(["openclaw-fleet:base:Network"]);
    expect(await settled(built.value.vpcId)).toBe(ADOPT.vpcId);
    expect(await Promise.all(built.value.privateSubnetIds.map(settled))).toEqual([
      "subnet-00000004",
      "subnet-00000003",
    ]);
    expect(built.value.publicCidrs).toEqual(["10.9.2.0/24", "10.9.1.0/24"]);
    expect(built.value.privateRouteTableIds).toEqual([]);
  });
});

test("zones and offerings are looked up by id, without local zones", async () => {
  const seen: unknown[] = [];
  const { value } = await record(
    async () => ({ zones: await lookUpZones({}), gpu: await lookUpOffering("g6.xlarge", {}) }),
    {
      lookups: {
        "aws:index/getAvailabilityZones:getAvailabilityZones": (args) => {
          seen.push(args);
          return { names: ["eu-central-1a", "eu-central-1b"], zoneIds: ["euc1-az2", "euc1-az3"] };
        },
        "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings": (args) => {
          seen.push(args);
          return { locations: ["euc1-az3"] };
        },
      },
    },
  );
  expect(value.zones).toEqual(CONTEXT.zones.slice(0, 2));
  expect(value.gpu).toEqual({ instanceType: "g6.xlarge", zoneIds: ["euc1-az3"] });
  expect(seen).toEqual([
    { state: "available", filters: [{ name: "zone-type", values: ["availability-zone"] }] },
    {
      locationType: "availability-zone-id",
      filters: [{ name: "instance-type", values: ["g6.xlarge"] }],
    },
  ]);
});
