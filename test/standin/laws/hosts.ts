import { groupsOf, mappedInterfaces, subnetIdOf } from "../rules/interfaces.ts";
import { valuesAt } from "../world.ts";
import {
  actionsOf,
  allowed,
  BALANCER,
  EGRESS,
  each,
  has,
  INGRESS,
  type Law,
  opens,
} from "./law.ts";

const INSTANCE = "aws:ec2/instance:Instance";

export const HOSTS_LAWS: readonly Law[] = [
  {
    says: "a machine has a way out to AWS",
    broken: each(INSTANCE, (row, world) => {
      const association = world.find(
        "aws:ec2/routeTableAssociation:RouteTableAssociation",
        "subnetId",
        subnetIdOf(row, world),
      );
      const way = world
        .of("aws:ec2/route:Route")
        .find(
          (one) =>
            one.inputs.routeTableId === association?.inputs.routeTableId &&
            one.inputs.destinationCidrBlock === "0.0.0.0/0",
        );
      if (!way) return "its subnet has no default route";
      const out = world
        .of(EGRESS)
        .some((one) => groupsOf(row, world).includes(one.inputs.securityGroupId));
      return !out && "no rule lets it out";
    }),
  },
  {
    says: "machines of a fleet reach each other, and what stands before them reaches them",
    broken: each(INSTANCE, (row, world) => {
      const into = world
        .of(INGRESS)
        .filter((one) => groupsOf(row, world).includes(one.inputs.securityGroupId));
      const own = into.some((one) =>
        groupsOf(row, world).includes(one.inputs.referencedSecurityGroupId),
      );
      if (!own && world.of(INSTANCE).length > 1) return "its peers may not reach it";
      const fronts = world.of(BALANCER).flatMap((one) => valuesAt(one.inputs, "securityGroups[]"));
      const served =
        fronts.length === 0 ||
        into.some((one) => fronts.includes(one.inputs.referencedSecurityGroupId));
      return !served && "the balancer may not reach it";
    }),
  },
  {
    says: "a volume is attached",
    broken: each(
      "aws:ebs/volume:Volume",
      (row, world) =>
        !has(world, "aws:ec2/volumeAttachment:VolumeAttachment", "volumeId", row.id) &&
        "it is nobody's",
    ),
  },
  {
    says: "whoever is put on a machine is drained before that is touched, and the fleet is proved",
    broken: each(
      "openclaw:host:Release",
      ({ inputs: { node, fleet } }, world) =>
        (!has(world, "openclaw:host:Drained", "node", node) && "nobody drains it") ||
        (!has(world, "openclaw:host:Fleet", "fleet", fleet) && "nobody asks whether it serves"),
    ),
  },
  {
    says: "a host may keep replicas, and read no secret: what it needs is brought to it",
    broken: (world) => {
      const profiles = new Set(world.of(INSTANCE).map((one) => one.inputs.iamInstanceProfile));
      const roles = world
        .of("aws:iam/instanceProfile:InstanceProfile")
        .filter((one) => profiles.has(one.id))
        .map((one) => one.inputs.role);
      const wanted = ["s3:GetObject", "s3:PutObject", "s3:ListBucket"];
      return roles.flatMap((role) => {
        const may = (one: string) => allowed(actionsOf(world, role), one);
        return [
          ...wanted.filter((one) => !may(one)).map((one) => `role ${role} may not ${one}`),
          ...["secretsmanager:GetSecretValue"].filter(may).map((one) => `role ${role} may ${one}`),
        ];
      });
    },
  },
  {
    says: "without a balancer the hosts are reached themselves: by name, at fixed addresses, with and without TLS",
    broken: (world) => {
      const hosts = world.of(INSTANCE);
      if (hosts.length === 0 || world.of(BALANCER).length > 0) return [];
      const groups = hosts.flatMap((host) => groupsOf(host, world));
      const shut = [80, 443].filter((port) => !groups.some((group) => opens(world, group, port)));
      const named = world
        .of("aws:route53/record:Record")
        .flatMap((one) => valuesAt(one.inputs, "records[]"));
      const unnamed = world
        .of("aws:ec2/eip:Eip")
        .filter((one) => hosts.length > 0 && !named.includes(one.state.publicIp));
      const loose = unnamed.filter(
        (one) =>
          !world
            .of("aws:ec2/natGateway:NatGateway")
            .some((nat) => nat.inputs.allocationId === one.id),
      );
      return [
        ...shut.map((port) => `nobody may connect to port ${port}`),
        ...loose.map((one) => `no name leads to ${one.state.publicIp}`),
      ];
    },
  },
  {
    says: "an address that is paid for is used, or waits for the host that takes it over",
    broken: (world) => {
      const used = [
        ...mappedInterfaces(world).map(({ eip }) => eip),
        ...world
          .of("aws:ec2/natGateway:NatGateway")
          .flatMap((one) => [
            one.inputs.allocationId,
            ...valuesAt(one.inputs, "availabilityZoneAddresses[].allocationIds[]"),
          ]),
      ];
      return world
        .of("aws:ec2/eip:Eip")
        .filter(({ id }) => !used.includes(id))
        .map(({ id }) => `${id} is nobody's`);
    },
  },
];
