import { machineOf } from "../machines.ts";
import { type Row, textAt, valuesAt, type World } from "../world.ts";
import { arnOf, cidrRange, ec2Id, exclusive, need, oneOf, ref } from "./parts.ts";
import { groupNeed } from "./security-groups.ts";
import type { Made, Rules } from "./types.ts";

const SUBNET = "aws:ec2/subnet:Subnet";
const INSTANCE = "aws:ec2/instance:Instance";
const EIP = "aws:ec2/eip:Eip";
const ASSOCIATION = "aws:ec2/eipAssociation:EipAssociation";
export const INTERFACE = "aws:ec2/networkInterface:NetworkInterface";

export const INTERFACES: Rules = {
  [ASSOCIATION]: {
    source: "ec2/ec2_eip_association.go",
    id: ec2Id("eipassoc"),
    replaces: [
      "allocationId",
      "allowReassociation",
      "instanceId",
      "networkInterfaceId",
      "privateIpAddress",
      "publicIp",
    ],
    faults: (i) => [
      exclusive(i, "instanceId", "networkInterfaceId"),
      oneOf(i, "instanceId", "networkInterfaceId"),
    ],
    needs: [
      ref("allocationId", EIP),
      ref("instanceId", INSTANCE),
      ref("networkInterfaceId", INTERFACE),
      mappedNeed("networkInterfaceId"),
    ],
  },
  [INTERFACE]: {
    source: "ec2/vpc_network_interface.go",
    id: ec2Id("eni"),
    replaces: ["interfaceType", "subnetId"],
    values: { description: /^.{0,255}$/, interfaceType: ["efa", "branch", "trunk"] },
    needs: [ref("subnetId", SUBNET), groupNeed("securityGroups[]")],
    computed: (made, id) => ({
      arn: arnOf(made, "ec2", `network-interface/${id}`),
      privateIp: made.inputs.privateIp ?? addressIn(made),
    }),
    // AWS takes its public address off it: docs.aws.amazon.com/AWSEC2/latest/UserGuide/delete_eni.html.
    takesAlong: ({ id }, world) =>
      world.of(ASSOCIATION).filter((one) => one.inputs.networkInterfaceId === id),
    // What a machine starts with stays with it until its end.
    refusesDelete: ({ id }, world) => {
      const machine = world.of(INSTANCE).find((one) => textAt(one.inputs, PRIMARY) === id);
      return machine ? `InvalidParameterValue: ${id} is currently in use by ${machine.id}` : null;
    },
  },
};

/** Where an instance says which interface it starts with. */
export const PRIMARY = "primaryNetworkInterface.networkInterfaceId";

/** The interface that an instance was given; undefined when EC2 makes one. */
export function interfaceOf(instance: Pick<Row, "inputs">, world: World): Row | undefined {
  const id = textAt(instance.inputs, PRIMARY);
  return id === undefined ? undefined : world.find(INTERFACE, "id", id);
}

/** The subnet that an instance stands in. */
export function subnetIdOf(instance: Pick<Row, "inputs">, world: World): unknown {
  return interfaceOf(instance, world)?.inputs.subnetId ?? instance.inputs.subnetId;
}

/** Security groups that an instance is in. */
export function groupsOf(instance: Row, world: World): unknown[] {
  const card = interfaceOf(instance, world);
  return card
    ? valuesAt(card.inputs, "securityGroups[]")
    : valuesAt(instance.inputs, "vpcSecurityGroupIds[]");
}

/** Interfaces that a public address leads to, with the address. */
export function mappedInterfaces(world: World): { readonly card: Row; readonly eip: unknown }[] {
  const pairs = [
    ...world.of(EIP).map((one) => [one.inputs.networkInterface, one.id]),
    ...world.of(ASSOCIATION).map((one) => [one.inputs.networkInterfaceId, one.inputs.allocationId]),
  ];
  return pairs.flatMap(([id, eip]) => {
    const card = id === undefined ? undefined : world.find(INTERFACE, "id", id);
    return card ? [{ card, eip }] : [];
  });
}

/** Whether an instance's only way out takes public addresses, and nothing has given it one. */
export function isCutOff(instance: Row, world: World): boolean {
  const association = world.find(
    "aws:ec2/routeTableAssociation:RouteTableAssociation",
    "subnetId",
    subnetIdOf(instance, world),
  );
  const open = world
    .of("aws:ec2/route:Route")
    .some(
      ({ inputs }) =>
        association !== undefined &&
        inputs.routeTableId === association.inputs.routeTableId &&
        inputs.destinationCidrBlock === "0.0.0.0/0" &&
        inputs.gatewayId !== undefined,
    );
  const id = textAt(instance.inputs, PRIMARY);
  return open && !mappedInterfaces(world).some(({ card }) => card.id === id);
}

/** An input that maps a public address to an interface, which AWS does only where there is a way out. */
export function mappedNeed(property: string) {
  return need(
    "an interface with a public address is in a VPC with an internet gateway",
    (row, world) => {
      const card = world.find(INTERFACE, "id", row.inputs[property]);
      if (!card) return null;
      const vpc = world.find(SUBNET, "id", card.inputs.subnetId)?.inputs.vpcId;
      return world.find("aws:ec2/internetGateway:InternetGateway", "vpcId", vpc)
        ? null
        : `Gateway.NotAttached: network ${vpc} is not attached to any internet gateway`;
    },
  );
}

/**
 * The address of a host that is there, or a free one of the subnet; the first four and the last are
 * AWS's own.
 */
export function addressIn(made: Made): string {
  const machine = machineOf(made.urn, made.world);
  if (machine) return machine.address;
  const subnet = made.world.find(SUBNET, "id", made.inputs.subnetId);
  const range = cidrRange(subnet?.inputs.cidrBlock);
  if (!range) return "10.0.0.4";
  const taken = new Set(made.world.of(INTERFACE, INSTANCE).map((one) => one.state.privateIp));
  const room = range.last - range.first - 4;
  const start = made.number(room);
  for (let i = 0; i < room; i += 1) {
    const address = dotted(range.first + 4 + ((start + i) % room));
    if (!taken.has(address)) return address;
  }
  throw new Error(`InsufficientFreeAddressesInSubnet: ${made.inputs.subnetId} is full`);
}

const dotted = (number: number): string =>
  [24, 16, 8, 0].map((bits) => Math.floor(number / 2 ** bits) % 256).join(".");
