import { textAt, valuesAt } from "../world.ts";
import { arnOf, cidrRange, ec2Id, exclusive, need, oneOf, present, ref } from "./parts.ts";
import type { Rules } from "./types.ts";

const VPC = "aws:ec2/vpc:Vpc";
const GROUP = "aws:ec2/securityGroup:SecurityGroup";

const cidr = (value: unknown) => cidrRange(value) !== null;

export const SECURITY_GROUPS: Rules = {
  "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": {
    source: "ec2/vpc_default_security_group.go",
    id: (made) => `sg-0${made.hex(16)}`,
    replaces: ["vpcId"],
    needs: [ref("vpcId", VPC)],
    computed: (made, id) => ({
      arn: arnOf(made, "ec2", `security-group/${id}`),
      name: "default",
      description: "default VPC security group",
    }),
  },
  [GROUP]: {
    source: "ec2/vpc_security_group.go",
    id: ec2Id("sg"),
    replaces: ["description", "name", "namePrefix", "vpcId"],
    name: { property: "name", max: 255, pattern: /^(?!sg-)[\w .:/()#,@[\]+=&;{}!$*-]+$/ },
    values: { description: /^[\w .:/()#,@[\]+=&;{}!$*-]{0,255}$/ },
    unique: [["vpcId", "name"]],
    needs: [
      ref("vpcId", VPC),
      ref("ingress[].securityGroups[]", GROUP),
      ref("egress[].securityGroups[]", GROUP),
    ],
    computed: (made, id) => ({
      arn: arnOf(made, "ec2", `security-group/${id}`),
      description: made.inputs.description ?? "Managed by Pulumi",
    }),
  },
  ...groupRule("Ingress"),
  ...groupRule("Egress"),
  "aws:ec2/securityGroupRule:SecurityGroupRule": {
    source: "ec2/vpc_security_group_rule.go",
    id: (made) => `sgrule-${made.number(4_000_000_000)}`,
    replaces: [
      "cidrBlocks",
      "fromPort",
      "ipv6CidrBlocks",
      "prefixListIds",
      "protocol",
      "securityGroupId",
      "self",
      "sourceSecurityGroupId",
      "toPort",
      "type",
    ],
    values: { type: ["ingress", "egress"] },
    faults: (i) => [
      exclusive(i, "self", "sourceSecurityGroupId"),
      exclusive(i, "cidrBlocks", "sourceSecurityGroupId"),
    ],
    needs: [ref("securityGroupId", GROUP), ref("sourceSecurityGroupId", GROUP)],
  },
};

/** A group that EKS makes beside a cluster counts as well. */
export function groupNeed(path: string) {
  return need(`${path} names a security group that exists`, (row, world) => {
    for (const id of valuesAt(row.inputs, path)) {
      const ours = world.find(GROUP, "id", id);
      const cluster = world
        .of("aws:eks/cluster:Cluster")
        .some((one) => textAt(one.state, "vpcConfig.clusterSecurityGroupId") === id);
      const standard = world.find(VPC, "defaultSecurityGroupId", id);
      if (!ours && !cluster && !standard && id !== "") return `InvalidGroup.NotFound: ${id}`;
    }
    return null;
  });
}

function groupRule(way: "Ingress" | "Egress"): Rules {
  const type = `SecurityGroup${way}Rule`;
  const file = `${type.charAt(0).toLowerCase()}${type.slice(1)}`;
  return {
    [`aws:vpc/${file}:${type}`]: {
      source: `ec2/vpc_security_group_${way.toLowerCase()}_rule.go`,
      id: ec2Id("sgr"),
      replaces: ["securityGroupId"],
      values: { description: /^[\w .:/()#,@[\]+=&;{}!$*-]{0,255}$/ },
      unique: [
        ["securityGroupId", "ipProtocol", "fromPort", "toPort", "cidrIpv4"],
        ["securityGroupId", "ipProtocol", "fromPort", "toPort", "referencedSecurityGroupId"],
      ],
      faults: (i) => [
        exclusive(i, "cidrIpv4", "cidrIpv6", "prefixListId", "referencedSecurityGroupId"),
        oneOf(i, "cidrIpv4", "cidrIpv6", "prefixListId", "referencedSecurityGroupId"),
        i.ipProtocol === "-1" && (present(i.fromPort) || present(i.toPort))
          ? "protocol -1 has no ports"
          : null,
        i.ipProtocol !== "-1" && (!present(i.fromPort) || !present(i.toPort))
          ? "fromPort and toPort are needed"
          : null,
        typeof i.cidrIpv4 === "string" && i.cidrIpv4.includes("/") && !cidr(i.cidrIpv4)
          ? `cidrIpv4 ${i.cidrIpv4} is no IPv4 block`
          : null,
      ],
      needs: [groupNeed("securityGroupId"), groupNeed("referencedSecurityGroupId")],
      computed: (made, id) => ({
        arn: arnOf(made, "ec2", `security-group-rule/${id}`),
        securityGroupRuleId: id,
      }),
    },
  };
}
