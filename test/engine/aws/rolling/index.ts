import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { AwsContext } from "../../../../components/context.ts";
import { type HostSteps, HostsEc2 } from "../../../../components/hosts-ec2/index.ts";
import { planHosts } from "../../../../components/hosts-ec2/plan.ts";
import { ec2Settings } from "../../../../components/hosts-ec2/settings.ts";
import { LIFETIMES } from "../../../../components/lifetime.ts";

/** Hosts in a network of their own, whose image, class and number a test changes. */
const config = new pulumi.Config();
const nodes = (config.get("nodes") ?? "a,b,c").split(",");
const ami = config.get("ami");
const instanceType = config.get("instanceType");

const region = "eu-central-1";
const zones = ["a", "b", "c"].map((zone, i) => ({ name: `${region}${zone}`, id: `euc1-az${i}` }));
const context: AwsContext = {
  fleet: "roll",
  region,
  accountId: "123456789012",
  zones,
  partition: "aws",
  lifetime: LIFETIMES.staging,
  tags: { fleet: "roll" },
};

const provider = new aws.Provider("aws", { region, allowedAccountIds: [context.accountId] });
const here = { provider };
const vpc = new aws.ec2.Vpc("net", { cidrBlock: "10.0.0.0/16" }, here);
const gateway = new aws.ec2.InternetGateway("net-out", { vpcId: vpc.id }, here);
const table = new aws.ec2.RouteTable("net", { vpcId: vpc.id }, here);
const out = new aws.ec2.Route(
  "net-out",
  { routeTableId: table.id, destinationCidrBlock: "0.0.0.0/0", gatewayId: gateway.id },
  here,
);
const ways: pulumi.Resource[] = [out];
const subnetIds = zones.map(({ name }, i) => {
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
const key = new aws.kms.Key("key", {}, here);
const bucket = new aws.s3.Bucket("replicas", { forceDestroy: true }, here);
const targets = new aws.lb.TargetGroup(
  "targets",
  { vpcId: vpc.id, port: 18_789, protocol: "HTTP", targetType: "instance" },
  here,
);
const front = new aws.ec2.SecurityGroup("front", { vpcId: vpc.id, description: "front" }, here);

/** Parameters stand for a drain and for a verified health: they change when those would. */
const steps: HostSteps = {
  beforeChange: ({ node, machine, opts }) =>
    new aws.ssm.Parameter(
      `drained-${node}`,
      { name: `/roll/drained/${node}`, type: "String", value: pulumi.jsonStringify(machine) },
      opts,
    ),
  afterHealthy: ({ name, instanceId }, { opts, machine }) =>
    new aws.ssm.Parameter(
      `healthy-${name}`,
      {
        name: `/roll/healthy/${name}`,
        type: "String",
        value: pulumi.interpolate`${instanceId} ${machine.instanceType}`,
      },
      opts,
    ),
};

new HostsEc2(
  "roll-hosts",
  {
    context,
    plan: planHosts({
      nodes,
      node: { memoryMiB: 1_000, cores: 1 },
      shards: nodes.length,
      shardDiskMiB: 60,
      zones: zones.length,
      loss: { survives: true, nodesLost: 1 },
      publicHosts: true,
      addressed: 0,
      port: 18_789,
      settings: ec2Settings.parse({
        ...(ami ? { ami } : {}),
        ...(instanceType ? { instanceType } : {}),
      }),
    }),
    vpcId: vpc.id,
    subnetIds,
    keyArn: key.arn,
    replicas: { bucketArn: bucket.arn, keyArn: key.arn },
    front: { securityGroupId: front.id, targetGroupArn: targets.arn, addresses: {} },
    steps: () => steps,
  },
  { providers: { aws: provider }, dependsOn: ways },
);
