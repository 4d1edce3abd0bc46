import { mappedInterfaces } from "../rules/interfaces.ts";
import { valuesAt } from "../world.ts";
import { BALANCER, each, has, type Law, opens, SUBNET } from "./law.ts";

export const NETWORK_LAWS: readonly Law[] = [
  {
    says: "a VPC's default security group is emptied, S3 is reached without NAT, and its traffic is logged if there is a log for it",
    broken: each("aws:ec2/vpc:Vpc", (row, world) => {
      if (!has(world, "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", "vpcId", row.id))
        return "its default group lets everything through";
      return (
        !has(world, "aws:ec2/vpcEndpoint:VpcEndpoint", "vpcId", row.id) &&
        "S3 is reached through NAT"
      );
    }),
  },
  {
    says: "a subnet follows a route table of ours",
    broken: each(SUBNET, (row, world) =>
      has(world, "aws:ec2/routeTableAssociation:RouteTableAssociation", "subnetId", row.id)
        ? null
        : "it follows the VPC's main table",
    ),
  },
  {
    says: "what has a public address has a way to the internet",
    broken: (world) => {
      const subnets = [
        ...world.of("aws:ec2/natGateway:NatGateway").map((one) => one.inputs.subnetId),
        ...world.of(BALANCER).flatMap((one) => valuesAt(one.inputs, "subnets[]")),
        ...mappedInterfaces(world).map(({ card }) => card.inputs.subnetId),
      ].filter((id) => id !== undefined);
      return subnets.flatMap((id) => {
        const association = world.find(
          "aws:ec2/routeTableAssociation:RouteTableAssociation",
          "subnetId",
          id,
        );
        const way = world
          .of("aws:ec2/route:Route")
          .some(
            (one) =>
              one.inputs.routeTableId === association?.inputs.routeTableId &&
              one.inputs.gatewayId !== undefined,
          );
        return way ? [] : [`${id} has no route to an internet gateway`];
      });
    },
  },
  {
    says: "a log group is written to",
    broken: each("aws:cloudwatch/logGroup:LogGroup", (row, world) => {
      const name = String(row.inputs.name);
      if (/^\/aws\/(eks|rds)\//.test(name)) return null;
      const users = world.of(
        "aws:ec2/flowLog:FlowLog",
        "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration",
        "aws:elasticache/replicationGroup:ReplicationGroup",
      );
      return (
        !users.some((one) => JSON.stringify(one.inputs).includes(name)) && "nobody writes to it"
      );
    }),
  },
  {
    says: "a key has a name",
    broken: each("aws:kms/key:Key", (row, world) =>
      world
        .of("aws:kms/alias:Alias")
        .some((one) => [row.id, row.state.arn].includes(one.inputs.targetKeyId))
        ? null
        : "it has no alias",
    ),
  },
  {
    says: "a file system has a mount target a zone of the data subnets",
    broken: each("aws:efs/fileSystem:FileSystem", (row, world) => {
      const targets = world
        .of("aws:efs/mountTarget:MountTarget")
        .filter((one) => one.inputs.fileSystemId === row.id);
      const zones = new Set(world.of(SUBNET).map((one) => one.state.availabilityZone));
      return (
        targets.length < zones.size && `${targets.length} mount targets for ${zones.size} zones`
      );
    }),
  },
  {
    says: "a gateway endpoint keeps S3 off NAT, and interface endpoints are reached by HTTPS",
    broken: (world) => {
      const endpoints = world.of("aws:ec2/vpcEndpoint:VpcEndpoint");
      const gateways = endpoints.filter(
        (one) =>
          String(one.inputs.serviceName).endsWith(".s3") &&
          one.inputs.vpcEndpointType === "Gateway",
      );
      const vpcs = world
        .of("aws:ec2/vpc:Vpc")
        .filter((vpc) => !gateways.some((one) => one.inputs.vpcId === vpc.id));
      const shut = endpoints.filter((one) => {
        const groups = valuesAt(one.inputs, "securityGroupIds[]");
        return groups.length > 0 && !groups.some((group) => opens(world, group, 443));
      });
      return [
        ...vpcs.map(({ id }) => `${id} has no gateway endpoint`),
        ...shut.map(({ id }) => `${id} is shut`),
      ];
    },
  },
  {
    says: "nodes that give pods whole blocks have blocks kept for them",
    broken: (world) => {
      const blocks = world
        .of("aws:eks/addon:Addon")
        .some((one) =>
          String(one.inputs.configurationValues).includes('"ENABLE_PREFIX_DELEGATION":"true"'),
        );
      const subnets = blocks
        ? world
            .of("aws:eks/nodeGroup:NodeGroup")
            .flatMap((one) => valuesAt(one.inputs, "subnetIds[]"))
        : [];
      return subnets
        .filter(
          (id) =>
            !has(world, "aws:ec2/subnetCidrReservation:SubnetCidrReservation", "subnetId", id),
        )
        .map((id) => `${id} keeps none`);
    },
  },
];
