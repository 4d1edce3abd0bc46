import { machineOf } from "../machines.ts";
import { textAt } from "../world.ts";
import { INTERFACE, mappedInterfaces, mappedNeed } from "./interfaces.ts";
import {
  arnOf,
  cidrRange,
  ec2Id,
  exclusive,
  idFrom,
  need,
  notJson,
  oneOf,
  present,
  ref,
} from "./parts.ts";
import type { Rules } from "./types.ts";

const VPC = "aws:ec2/vpc:Vpc";
const SUBNET = "aws:ec2/subnet:Subnet";
const TABLE = "aws:ec2/routeTable:RouteTable";
const GROUP = "aws:ec2/securityGroup:SecurityGroup";

/** Types that keep network interfaces in subnets: their security groups and subnets cannot go first. */
const within = (child: unknown, parent: unknown) => {
  const [a, b] = [cidrRange(child), cidrRange(parent)];
  return a && b ? a.first >= b.first && a.last <= b.last : true;
};

const cidr = (value: unknown) => cidrRange(value) !== null;

export const NETWORK: Rules = {
  [VPC]: {
    source: "ec2/vpc_.go",
    id: ec2Id("vpc"),
    replaces: ["cidrBlock", "ipv4IpamPoolId", "ipv4NetmaskLength"],
    values: { instanceTenancy: ["default", "dedicated"], cidrBlock: /\/(1[6-9]|2[0-8])$/ },
    faults: (i) => [
      exclusive(i, "cidrBlock", "ipv4NetmaskLength"),
      oneOf(i, "cidrBlock", "ipv4IpamPoolId"),
      typeof i.cidrBlock === "string" && i.cidrBlock.includes("/") && !cidr(i.cidrBlock)
        ? `cidrBlock ${i.cidrBlock} is no IPv4 block`
        : null,
    ],
    computed: (made, id) => ({
      arn: arnOf(made, "ec2", `vpc/${id}`),
      defaultSecurityGroupId: `sg-0${made.hex(16)}`,
      defaultNetworkAclId: `acl-0${made.hex(16)}`,
      defaultRouteTableId: `rtb-0${made.hex(16)}`,
      mainRouteTableId: `rtb-0${made.hex(16)}`,
      dhcpOptionsId: "dopt-0123456789abcdef0",
    }),
  },
  [SUBNET]: {
    source: "ec2/vpc_subnet.go",
    takesAlong: (row, world) =>
      world
        .of("aws:ec2/subnetCidrReservation:SubnetCidrReservation")
        .filter((one) => one.inputs.subnetId === row.id),
    id: ec2Id("subnet"),
    replaces: [
      "availabilityZone",
      "availabilityZoneId",
      "cidrBlock",
      "ipv6Native",
      "outpostArn",
      "vpcId",
    ],
    faults: (i) => [exclusive(i, "availabilityZone", "availabilityZoneId")],
    needs: [
      ref("vpcId", VPC),
      need("a subnet lies within its VPC", (row, world) => {
        const vpc = world.find(VPC, "id", row.inputs.vpcId);
        return vpc && !within(row.inputs.cidrBlock, vpc.inputs.cidrBlock)
          ? `InvalidSubnet.Range: ${row.inputs.cidrBlock} is not within ${vpc.inputs.cidrBlock}`
          : null;
      }),
      need("subnets of a VPC do not overlap", (row, world) => {
        const mine = cidrRange(row.inputs.cidrBlock);
        const other = world.of(SUBNET).find((one) => {
          const its = cidrRange(one.inputs.cidrBlock);
          if (!mine || !its || one.key === row.key) return false;
          if (one.inputs.vpcId !== row.inputs.vpcId) return false;
          return its.first <= mine.last && mine.first <= its.last;
        });
        return other ? `InvalidSubnet.Conflict: it overlaps ${other.inputs.cidrBlock}` : null;
      }),
    ],
    computed: (made, id) => ({
      arn: arnOf(made, "ec2", `subnet/${id}`),
      availabilityZoneId: made.inputs.availabilityZoneId ?? "euc1-az1",
      availabilityZone: made.inputs.availabilityZone ?? `${made.scope.region}a`,
    }),
  },
  "aws:ec2/subnetCidrReservation:SubnetCidrReservation": {
    source: "ec2/vpc_subnet_cidr_reservation.go",
    id: ec2Id("scr"),
    replaces: ["cidrBlock", "description", "reservationType", "subnetId"],
    values: { reservationType: ["prefix", "explicit"] },
    needs: [
      ref("subnetId", SUBNET),
      need("a reservation lies within its subnet", (row, world) => {
        const subnet = world.find(SUBNET, "id", row.inputs.subnetId);
        return within(row.inputs.cidrBlock, subnet?.inputs.cidrBlock)
          ? null
          : `InvalidSubnetCidrReservation: ${row.inputs.cidrBlock} is not within ${subnet?.inputs.cidrBlock}`;
      }),
    ],
  },
  "aws:ec2/internetGateway:InternetGateway": {
    source: "ec2/vpc_internet_gateway.go",
    id: ec2Id("igw"),
    replaces: [],
    unique: [["vpcId"]],
    needs: [ref("vpcId", VPC)],
    computed: (made, id) => ({ arn: arnOf(made, "ec2", `internet-gateway/${id}`) }),
    refusesDelete: (row, world) => {
      const vpc = row.inputs.vpcId;
      const subnets = world.of(SUBNET).filter((one) => one.inputs.vpcId === vpc);
      const ids = new Set(subnets.map((one) => one.id));
      const nat = world
        .of("aws:ec2/natGateway:NatGateway")
        .find((one) => ids.has(String(one.inputs.subnetId)) || one.inputs.vpcId === vpc);
      if (nat) return `DependencyViolation: ${nat.id} has a public address in ${vpc}`;
      const mapped = mappedInterfaces(world).find(({ card }) =>
        ids.has(String(card.inputs.subnetId)),
      );
      return mapped
        ? `DependencyViolation: network ${vpc} has some mapped public address(es), ${mapped.eip} among them`
        : null;
    },
  },
  "aws:ec2/eip:Eip": {
    source: "ec2/ec2_eip.go",
    // The provider takes the address off what has it first.
    takesAlong: (row, world) =>
      world
        .of("aws:ec2/eipAssociation:EipAssociation")
        .filter((one) => one.inputs.allocationId === row.id),
    id: ec2Id("eipalloc"),
    replaces: [
      "domain",
      "address",
      "customerOwnedIpv4Pool",
      "networkBorderGroup",
      "publicIpv4Pool",
    ],
    values: { domain: ["vpc", "standard"] },
    faults: (i) => [exclusive(i, "instance", "networkInterface")],
    needs: [
      ref("instance", "aws:ec2/instance:Instance"),
      ref("networkInterface", INTERFACE),
      mappedNeed("networkInterface"),
    ],
    computed: (made, id) => ({
      arn: arnOf(made, "ec2", `elastic-ip/${id}`),
      allocationId: id,
      publicIp: machineOf(made.urn, made.world)?.publicAddress ?? `198.51.100.${made.number(250)}`,
      publicDns: `ec2-198-51-100-${made.number(250)}.compute.amazonaws.com`,
    }),
  },
  "aws:ec2/natGateway:NatGateway": {
    source: "ec2/vpc_nat_gateway.go@04088eaa",
    id: ec2Id("nat"),
    replaces: [
      "allocationId",
      "availabilityMode",
      "connectivityType",
      "privateIp",
      "secondaryPrivateIpAddressCount",
      "subnetId",
      "vpcId",
    ],
    values: {
      connectivityType: ["public", "private"],
      availabilityMode: ["zonal", "regional"],
    },
    faults: (i) => [
      exclusive(i, "subnetId", "vpcId"),
      i.availabilityMode === "regional" && !present(i.vpcId) && "a regional gateway needs vpcId",
      i.availabilityMode === "regional" && present(i.allocationId)
        ? "a regional gateway takes availabilityZoneAddresses, no allocationId"
        : null,
      i.availabilityMode !== "regional" && !present(i.subnetId) && "a zonal gateway needs subnetId",
      i.connectivityType !== "private" && i.availabilityMode !== "regional"
        ? oneOf(i, "allocationId")
        : null,
    ],
    needs: [
      ref("subnetId", SUBNET),
      ref("vpcId", VPC),
      ref("allocationId", "aws:ec2/eip:Eip"),
      ref("availabilityZoneAddresses[].allocationIds[]", "aws:ec2/eip:Eip"),
      need("a public gateway's VPC has an internet gateway", (row, world) => {
        if (row.inputs.connectivityType === "private") return null;
        const subnet = world.find(SUBNET, "id", row.inputs.subnetId);
        const vpc = row.inputs.vpcId ?? subnet?.inputs.vpcId;
        return world.find("aws:ec2/internetGateway:InternetGateway", "vpcId", vpc)
          ? null
          : `Gateway.NotAttached: network ${vpc} has no Internet gateway attached`;
      }),
    ],
    computed: (made) => ({
      publicIp: `203.0.113.${made.number(250)}`,
      privateIp: `10.0.0.${made.number(250)}`,
      networkInterfaceId: `eni-0${made.hex(16)}`,
      routeTableId: made.inputs.availabilityMode === "regional" ? `rtb-0${made.hex(16)}` : "",
    }),
  },
  [TABLE]: {
    source: "ec2/vpc_route_table.go",
    id: ec2Id("rtb"),
    replaces: ["vpcId"],
    needs: [
      ref("vpcId", VPC),
      ...["natGatewayId", "gatewayId"].map((key) => target(`routes[].${key}`)),
    ],
    computed: (made, id) => ({ arn: arnOf(made, "ec2", `route-table/${id}`) }),
  },
  "aws:ec2/route:Route": {
    source: "ec2/vpc_route.go",
    id: (made) => `r-${made.inputs.routeTableId}${made.hex(10)}`,
    replaces: [
      "destinationCidrBlock",
      "destinationIpv6CidrBlock",
      "destinationPrefixListId",
      "routeTableId",
    ],
    unique: [["routeTableId", "destinationCidrBlock"]],
    faults: (i) => [
      oneOf(i, "destinationCidrBlock", "destinationIpv6CidrBlock", "destinationPrefixListId"),
      oneOf(
        i,
        "gatewayId",
        "natGatewayId",
        "networkInterfaceId",
        "transitGatewayId",
        "vpcEndpointId",
        "vpcPeeringConnectionId",
        "egressOnlyGatewayId",
      ),
    ],
    needs: [ref("routeTableId", TABLE), target("gatewayId"), target("natGatewayId")],
    computed: () => ({ origin: "CreateRoute", state: "active" }),
  },
  "aws:ec2/routeTableAssociation:RouteTableAssociation": {
    source: "ec2/vpc_route_table_association.go",
    id: ec2Id("rtbassoc"),
    replaces: ["gatewayId", "subnetId"],
    unique: [["subnetId"]],
    faults: (i) => [exclusive(i, "gatewayId", "subnetId"), oneOf(i, "gatewayId", "subnetId")],
    needs: [ref("routeTableId", TABLE), ref("subnetId", SUBNET)],
  },
  "aws:ec2/mainRouteTableAssociation:MainRouteTableAssociation": {
    source: "ec2/vpc_main_route_table_association.go",
    id: ec2Id("rtbassoc"),
    replaces: ["vpcId"],
    needs: [ref("routeTableId", TABLE), ref("vpcId", VPC)],
  },
  "aws:ec2/vpcEndpoint:VpcEndpoint": {
    source: "ec2/vpc_endpoint.go",
    id: ec2Id("vpce"),
    replaces: [
      "serviceName",
      "serviceRegion",
      "vpcEndpointType",
      "vpcId",
      "resourceConfigurationArn",
    ],
    unique: [["vpcId", "serviceName", "vpcEndpointType"]],
    values: {
      vpcEndpointType: [
        "Gateway",
        "Interface",
        "GatewayLoadBalancer",
        "Resource",
        "ServiceNetwork",
      ],
      serviceName: /^(com\.amazonaws|cn\.com\.amazonaws|aws\.)/,
    },
    faults: (i) => [
      notJson(i, "policy"),
      (i.vpcEndpointType ?? "Gateway") === "Gateway" && present(i.subnetIds)
        ? "a gateway endpoint has route tables, no subnets"
        : null,
      (i.vpcEndpointType ?? "Gateway") === "Gateway" && i.privateDnsEnabled === true
        ? "a gateway endpoint has no private DNS"
        : null,
      i.vpcEndpointType === "Interface" && present(i.routeTableIds)
        ? "an interface endpoint has subnets, no route tables"
        : null,
    ],
    needs: [
      ref("vpcId", VPC),
      ref("subnetIds[]", SUBNET),
      ref("routeTableIds[]", TABLE),
      ref("securityGroupIds[]", GROUP),
      need("private DNS needs DNS support and host names in the VPC", (row, world) => {
        if (row.inputs.privateDnsEnabled !== true) return null;
        const vpc = world.find(VPC, "id", row.inputs.vpcId);
        return vpc?.inputs.enableDnsHostnames === true && vpc.inputs.enableDnsSupport !== false
          ? null
          : "InvalidParameter: private DNS needs enableDnsSupport and enableDnsHostnames";
      }),
    ],
    computed: (made, id) => ({
      arn: arnOf(made, "ec2", `vpc-endpoint/${id}`),
      prefixListId: made.inputs.vpcEndpointType === "Interface" ? "" : `pl-${made.hex(8)}`,
      state: "available",
    }),
  },
  "aws:ec2/vpcEndpointRouteTableAssociation:VpcEndpointRouteTableAssociation": {
    source: "ec2/vpc_endpoint_route_table_association.go",
    id: (made) => `a-${made.inputs.vpcEndpointId}${made.hex(10)}`,
    replaces: ["routeTableId", "vpcEndpointId"],
    needs: [ref("routeTableId", TABLE), ref("vpcEndpointId", "aws:ec2/vpcEndpoint:VpcEndpoint")],
  },
  "aws:ec2/flowLog:FlowLog": {
    source: "ec2/vpc_flow_log.go",
    id: ec2Id("fl"),
    replaces: [
      "deliverCrossAccountRole",
      "destinationOptions",
      "eniId",
      "iamRoleArn",
      "logDestination",
      "logDestinationType",
      "logFormat",
      "maxAggregationInterval",
      "subnetId",
      "trafficType",
      "transitGatewayId",
      "vpcId",
    ],
    values: {
      logDestinationType: ["cloud-watch-logs", "s3", "kinesis-data-firehose"],
      trafficType: ["ACCEPT", "REJECT", "ALL"],
    },
    faults: (i) => [
      oneOf(i, "vpcId", "subnetId", "eniId", "transitGatewayId", "regionalNatGatewayId"),
      present(i.maxAggregationInterval) && ![60, 600].includes(Number(i.maxAggregationInterval))
        ? "maxAggregationInterval is 60 or 600"
        : null,
      (i.logDestinationType ?? "cloud-watch-logs") === "cloud-watch-logs"
        ? oneOf(i, "iamRoleArn")
        : null,
    ],
    needs: [
      ref("vpcId", VPC),
      ref("iamRoleArn", "aws:iam/role:Role", { by: "arn" }),
      ref("logDestination", ["aws:cloudwatch/logGroup:LogGroup", "aws:s3/bucket:Bucket"], {
        by: "arn",
        strip: /(:\*|\/.*)$/,
      }),
      need(
        "the role of a flow log may write",
        (row, world) => {
          const role = textAt(row.inputs, "iamRoleArn")?.split("/").at(-1);
          const may = world
            .of(
              "aws:iam/rolePolicy:RolePolicy",
              "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
            )
            .some((one) => one.inputs.role === role);
          const inline = world.find("aws:iam/role:Role", "name", role)?.inputs.inlinePolicies;
          return !role || may || present(inline) ? null : `role ${role} has no policy`;
        },
        ["settled"],
      ),
    ],
    computed: (made, id) => ({ arn: arnOf(made, "ec2", `vpc-flow-log/${id}`) }),
  },
  "aws:ec2/defaultNetworkAcl:DefaultNetworkAcl": {
    source: "ec2/vpc_default_network_acl.go",
    id: idFrom("defaultNetworkAclId"),
    replaces: ["defaultNetworkAclId"],
    needs: [ref("defaultNetworkAclId", VPC, { by: "defaultNetworkAclId" })],
    computed: (made, id) => ({ arn: arnOf(made, "ec2", `network-acl/${id}`) }),
  },
  "aws:ec2/defaultRouteTable:DefaultRouteTable": {
    source: "ec2/vpc_default_route_table.go",
    id: idFrom("defaultRouteTableId"),
    replaces: ["defaultRouteTableId"],
    needs: [ref("defaultRouteTableId", VPC, { by: "defaultRouteTableId" })],
    computed: (made, id) => ({ arn: arnOf(made, "ec2", `route-table/${id}`) }),
  },
};

function target(path: string) {
  return ref(
    path,
    [
      "aws:ec2/internetGateway:InternetGateway",
      "aws:ec2/natGateway:NatGateway",
      "aws:ec2/vpcEndpoint:VpcEndpoint",
    ],
    { allow: /^local$/ },
  );
}
