import { textAt, valuesAt } from "../world.ts";
import { BALANCER, EGRESS, each, has, type Law, LISTENER, opens } from "./law.ts";

export const EDGE_LAWS: readonly Law[] = [
  {
    says: "a balancer listens with TLS, redirects HTTP, closes internal paths, and is let in and out",
    broken: each(BALANCER, (row, world) => {
      const listeners = world.of(LISTENER).filter((one) => one.inputs.loadBalancerArn === row.id);
      const tls = listeners.find((one) => one.inputs.protocol === "HTTPS");
      const plain = listeners.find((one) => one.inputs.protocol === "HTTP");
      if (!tls) return "nothing listens with TLS";
      if (plain && textAt(plain.inputs, "defaultActions[].type") !== "redirect")
        return "HTTP is answered";
      if (!plain) return "HTTP is not redirected";
      if (!has(world, "aws:lb/listenerRule:ListenerRule", "listenerArn", tls.id))
        return "internal paths are open";
      const [group] = valuesAt(row.inputs, "securityGroups[]");
      const shut = listeners.find((one) => !opens(world, group, one.inputs.port));
      if (shut) return `nobody may connect to port ${shut.inputs.port}`;
      if (world.of(EGRESS).some((one) => one.inputs.securityGroupId === group)) return null;
      return "it may reach no target";
    }),
  },
  {
    says: "a balancer's name leads to it, for IPv4 and, where it has any, IPv6; its web ACL is in front of it",
    broken: (world) => {
      const acls = world
        .of("aws:wafv2/webAcl:WebAcl")
        .filter(
          (one) =>
            !has(
              world,
              "aws:wafv2/webAclAssociation:WebAclAssociation",
              "webAclArn",
              one.state.arn,
            ),
        );
      const named = each(BALANCER, (row) => {
        const records = world
          .of("aws:route53/record:Record")
          .filter((one) => valuesAt(one.inputs, "aliases[].name").includes(row.state.dnsName));
        const wanted = row.inputs.ipAddressType === "dualstack" ? ["A", "AAAA"] : ["A"];
        if (world.of("aws:route53/zone:Zone").length === 0) return null;
        const missing = wanted.find((type) => !records.some((one) => one.inputs.type === type));
        return missing && `there is no record ${missing}`;
      });
      return [...named(world), ...acls.map((one) => `${one.id} is associated with nothing`)];
    },
  },
  {
    says: "every target group gets targets: machines, or a binding and the way from the balancer to its pods",
    broken: each("aws:lb/targetGroup:TargetGroup", (row, world) => {
      if (row.inputs.targetType !== "ip") {
        const count = world
          .of("aws:lb/targetGroupAttachment:TargetGroupAttachment")
          .filter((one) => one.inputs.targetGroupArn === row.id).length;
        const hosts = world.of("aws:ec2/instance:Instance").length;
        return count < hosts && `${count} of ${hosts} hosts are targets`;
      }
      const bound = world
        .of("kubernetes:elbv2.k8s.aws/v1beta1:TargetGroupBinding")
        .some((one) => textAt(one.inputs, "spec.targetGroupARN") === row.id);
      if (!bound) return "nothing is bound to it";
      const clusters = world
        .of("aws:eks/cluster:Cluster")
        .map((one) => textAt(one.state, "vpcConfig.clusterSecurityGroupId"));
      return (
        !clusters.some((group) => opens(world, group, row.inputs.port)) &&
        "the balancer may not reach its pods"
      );
    }),
  },
];
