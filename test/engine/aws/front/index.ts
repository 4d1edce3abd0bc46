import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { AwsContext } from "../../../../components/context.ts";
import { Edge } from "../../../../components/edge/index.ts";
import { planEdge } from "../../../../components/edge/plan.ts";
import { edgeSettings } from "../../../../components/edge/settings.ts";
import { LIFETIMES } from "../../../../components/lifetime.ts";

/** A way in with a network and a zone of its own, whose names and kind a test changes. */
const config = new pulumi.Config();
const names = (config.get("names") ?? "").split(" ").filter(Boolean);

const region = "eu-central-1";
const zones = ["a", "b"].map((zone, i) => ({ name: `${region}${zone}`, id: `euc1-az${i}` }));
const context: AwsContext = {
  fleet: "front",
  region,
  accountId: "123456789012",
  zones,
  partition: "aws",
  lifetime: LIFETIMES.staging,
  tags: { fleet: "front" },
};

const provider = new aws.Provider("aws", { region, allowedAccountIds: [context.accountId] });
const here = { provider };
const vpc = new aws.ec2.Vpc("net", { cidrBlock: "10.0.0.0/16" }, here);
const gateway = new aws.ec2.InternetGateway("net-out", { vpcId: vpc.id }, here);
const table = new aws.ec2.RouteTable("net", { vpcId: vpc.id }, here);
const ways: pulumi.Resource[] = [
  new aws.ec2.Route(
    "net-out",
    { routeTableId: table.id, destinationCidrBlock: "0.0.0.0/0", gatewayId: gateway.id },
    here,
  ),
];
const publicSubnetIds = zones.map(({ name }, i) => {
  const subnet = new aws.ec2.Subnet(
    name,
    { vpcId: vpc.id, cidrBlock: `10.0.${i}.0/24`, availabilityZone: name },
    here,
  );
  ways.push(
    new aws.ec2.RouteTableAssociation(name, { subnetId: subnet.id, routeTableId: table.id }, here),
  );
  return subnet.id;
});
const zone = new aws.route53.Zone("zone", { name: "example.com" }, here);

const edge = new Edge(
  "front-edge",
  {
    context,
    plan: planEdge({
      target: "ec2",
      front: "alb",
      waf: config.getBoolean("waf") ?? true,
      nodes: ["a", "b"],
      zones: zones.length,
      users: 100,
      turnsPerMonth: 150_000,
      turnsPerSecond: 10,
      domain: "chat.example.com",
      tlsRequired: true,
      certificateChosen: false,
      port: 18_789,
      settings: edgeSettings.parse({
        alternativeNames: names,
        ...(config.get("front") ? { front: config.get("front") } : {}),
      }),
    }),
    vpcId: vpc.id,
    vpcCidr: vpc.cidrBlock,
    publicSubnetIds,
    zoneId: zone.zoneId,
    runtime: config.getBoolean("runtime") ?? false,
  },
  { providers: { aws: provider }, dependsOn: ways },
);
export const endpoint = edge.endpoint;
