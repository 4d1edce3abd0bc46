import type { Row, World } from "../world.ts";
import { textAt, valuesAt } from "../world.ts";
import { arnOf, exclusive, need, oneOf, present, ref } from "./parts.ts";
import { BUCKET, bucketAdmits } from "./s3.ts";
import { groupNeed } from "./security-groups.ts";
import type { Made, Rules } from "./types.ts";

const SUBNET = "aws:ec2/subnet:Subnet";
const VPC = "aws:ec2/vpc:Vpc";
export const BALANCER = "aws:lb/loadBalancer:LoadBalancer";
export const TARGETS = "aws:lb/targetGroup:TargetGroup";
const LISTENER = "aws:lb/listener:Listener";
const CERTIFICATE = "aws:acm/certificate:Certificate";
const VALIDATION = "aws:acm/certificateValidation:CertificateValidation";

const elbArn = (made: Made, kind: string) =>
  arnOf(made, "elasticloadbalancing", `${kind}/app/${made.inputs.name}/${made.hex(16)}`);

/** A listener's certificate is one whose validation was waited for: an unvalidated one is refused. */
const issued = (path: string) =>
  need("a listener's certificate is validated", (row, world) => {
    for (const value of valuesAt(row.inputs, path)) {
      const certificate = world.find(CERTIFICATE, "arn", value);
      if (!certificate) return `CertificateNotFound: ${value}`;
      if (certificate.inputs.certificateBody !== undefined) continue;
      if (!world.find(VALIDATION, "certificateArn", value)) {
        return `UnsupportedCertificate: ${value} is pending validation`;
      }
    }
    return null;
  });

export const BALANCER_RULES: Rules = {
  [BALANCER]: {
    source: "elbv2/load_balancer.go",
    id: (made) => elbArn(made, "loadbalancer"),
    name: { property: "name", max: 32, pattern: /^(?!internal-)(?!-)[A-Za-z0-9-]+(?<!-)$/ },
    replaces: ["customerOwnedIpv4Pool", "internal", "loadBalancerType", "name", "namePrefix"],
    guard: "enableDeletionProtection",
    values: {
      loadBalancerType: ["application", "network", "gateway"],
      idleTimeout: [1, 4000],
      clientKeepAlive: [60, 604_800],
      ipAddressType: ["ipv4", "dualstack", "dualstack-without-public-ipv4"],
      desyncMitigationMode: ["monitor", "defensive", "strictest"],
      xffHeaderProcessingMode: ["append", "preserve", "remove"],
    },
    faults: (i) => [
      exclusive(i, "subnets", "subnetMappings"),
      oneOf(i, "subnets", "subnetMappings"),
      (i.loadBalancerType ?? "application") === "application" &&
      Array.isArray(i.subnets) &&
      i.subnets.length < 2
        ? "an application load balancer needs subnets in two zones"
        : null,
    ],
    needs: [
      ref("subnets[]", SUBNET),
      groupNeed("securityGroups[]"),
      ref("accessLogs.bucket", BUCKET),
      need("a balancer's subnets are in two zones", (row, world) => {
        const zones = valuesAt(row.inputs, "subnets[]").map((id) => {
          return world.find(SUBNET, "id", id)?.state.availabilityZone;
        });
        return new Set(zones).size === zones.length
          ? null
          : "InvalidConfigurationRequest: several subnets are in one zone";
      }),
      need("a public balancer's VPC has an internet gateway", (row, world) => {
        if (row.inputs.internal === true) return null;
        const subnet = world.find(SUBNET, "id", valuesAt(row.inputs, "subnets[]")[0]);
        const gateway = world.find(
          "aws:ec2/internetGateway:InternetGateway",
          "vpcId",
          subnet?.inputs.vpcId,
        );
        return gateway ? null : "InvalidSubnet: the VPC has no internet gateway";
      }),
      need("the log bucket takes a balancer's logs", (row, world) => logsFault(row, world)),
    ],
    computed: (made, id) => ({
      arn: id,
      arnSuffix: id.split("loadbalancer/")[1] ?? "",
      dnsName:
        made.world.settings.balancer ??
        `${made.inputs.name}-${made.number(1_000_000_000)}.${made.scope.region}.elb.amazonaws.com`,
      zoneId: "Z215JYRZR1TBD5",
      vpcId: "",
    }),
  },
  [TARGETS]: {
    source: "elbv2/target_group.go",
    takesAlong: (row, world) =>
      world
        .of("aws:lb/targetGroupAttachment:TargetGroupAttachment")
        .filter((one) => one.inputs.targetGroupArn === row.id),
    id: (made) =>
      arnOf(made, "elasticloadbalancing", `targetgroup/${made.inputs.name}/${made.hex(16)}`),
    name: { property: "name", max: 32, pattern: /^(?!-)[A-Za-z0-9-]+(?<!-)$/ },
    replaces: [
      "ipAddressType",
      "name",
      "namePrefix",
      "port",
      "protocol",
      "protocolVersion",
      "targetType",
      "vpcId",
    ],
    values: {
      protocol: ["HTTP", "HTTPS", "TCP", "TLS", "UDP", "TCP_UDP", "GENEVE"],
      protocolVersion: ["HTTP1", "HTTP2", "GRPC"],
      targetType: ["instance", "ip", "lambda", "alb"],
      deregistrationDelay: [0, 3600],
      loadBalancingAlgorithmType: ["round_robin", "least_outstanding_requests", "weighted_random"],
      "healthCheck.interval": [5, 300],
      "healthCheck.timeout": [2, 120],
      "healthCheck.healthyThreshold": [2, 10],
      "healthCheck.unhealthyThreshold": [2, 10],
    },
    faults: (i) => {
      const timeout = Number(valuesAt(i, "healthCheck.timeout")[0] ?? 0);
      const interval = Number(valuesAt(i, "healthCheck.interval")[0] ?? 30);
      return [
        i.targetType !== "lambda" ? oneOf(i, "port") : null,
        i.targetType !== "lambda" ? oneOf(i, "vpcId") : null,
        timeout >= interval ? "healthCheck.timeout is below healthCheck.interval" : null,
        Number(i.slowStart) > 0 && i.loadBalancingAlgorithmType === "least_outstanding_requests"
          ? "slowStart goes with round_robin only"
          : null,
      ];
    },
    needs: [ref("vpcId", VPC)],
    computed: (_, id) => ({ arn: id, arnSuffix: id.split(":").at(-1) ?? "", loadBalancerArns: [] }),
    refusesDelete: (row, world) => {
      const user = world
        .of(LISTENER, "aws:lb/listenerRule:ListenerRule")
        .find((one) => JSON.stringify(one.inputs).includes(JSON.stringify(row.id)));
      return user ? `ResourceInUse: ${user.id} forwards to it` : null;
    },
  },
  [LISTENER]: {
    source: "elbv2/listener.go",
    id: (made) =>
      `${String(made.inputs.loadBalancerArn).replace(":loadbalancer/", ":listener/")}/${made.hex(16)}`,
    replaces: ["loadBalancerArn"],
    unique: [["loadBalancerArn", "port"]],
    values: {
      protocol: ["HTTP", "HTTPS", "TCP", "TLS", "UDP", "TCP_UDP", "GENEVE"],
      port: [1, 65_535],
      sslPolicy: /^ELBSecurityPolicy-/,
      "defaultActions[].type": [
        "forward",
        "redirect",
        "fixed-response",
        "authenticate-oidc",
        "authenticate-cognito",
      ],
      "defaultActions[].fixedResponse.contentType": CONTENT_TYPES(),
    },
    faults: (i) => [
      i.protocol === "HTTPS" ? oneOf(i, "certificateArn") : null,
      i.protocol === "HTTP" && present(i.certificateArn)
        ? "an HTTP listener has no certificate"
        : null,
      i.protocol === "HTTP" && present(i.sslPolicy) ? "an HTTP listener has no sslPolicy" : null,
    ],
    needs: [
      ref("loadBalancerArn", BALANCER, { by: "arn" }),
      issued("certificateArn"),
      ref("defaultActions[].targetGroupArn", TARGETS, { by: "arn" }),
      ref("defaultActions[].forward.targetGroups[].arn", TARGETS, { by: "arn" }),
    ],
    computed: (_, id) => ({ arn: id }),
  },
  "aws:lb/listenerRule:ListenerRule": {
    source: "elbv2/listener_rule.go",
    id: (made) =>
      `${String(made.inputs.listenerArn).replace(":listener/", ":listener-rule/")}/${made.hex(16)}`,
    replaces: ["listenerArn", "priority"],
    unique: [["listenerArn", "priority"]],
    values: {
      priority: [1, 99_999],
      "actions[].type": [
        "forward",
        "redirect",
        "fixed-response",
        "authenticate-oidc",
        "authenticate-cognito",
      ],
      "actions[].fixedResponse.contentType": CONTENT_TYPES(),
      "conditions[].pathPattern.values[]": /^.{1,128}$/,
    },
    faults: (i) => {
      const values = valuesAt(i, "conditions[].pathPattern.values[]").length;
      return [values > 5 ? `a rule has at most 5 condition values, not ${values}` : null];
    },
    needs: [
      ref("listenerArn", LISTENER, { by: "arn" }),
      ref("actions[].targetGroupArn", TARGETS, { by: "arn" }),
      ref("actions[].forward.targetGroups[].arn", TARGETS, { by: "arn" }),
    ],
    computed: (_, id) => ({ arn: id }),
  },
  "aws:lb/listenerCertificate:ListenerCertificate": {
    source: "elbv2/listener_certificate.go",
    id: (made) => `${made.inputs.listenerArn}_${made.inputs.certificateArn}`,
    replaces: ["certificateArn", "listenerArn"],
    needs: [ref("listenerArn", LISTENER, { by: "arn" }), issued("certificateArn")],
  },
  "aws:lb/targetGroupAttachment:TargetGroupAttachment": {
    source: "elbv2/target_group_attachment.go",
    id: (made) => `${made.inputs.targetGroupArn}-${made.hex(16)}`,
    replaces: ["availabilityZone", "port", "targetGroupArn", "targetId", "quicServerId"],
    unique: [["targetGroupArn", "targetId", "port"]],
    needs: [
      ref("targetGroupArn", TARGETS, { by: "arn" }),
      need("an instance target exists", (row, world) => {
        const group = world.find(TARGETS, "arn", row.inputs.targetGroupArn);
        const kind = group?.inputs.targetType ?? "instance";
        return kind !== "instance" ||
          world.find("aws:ec2/instance:Instance", "id", row.inputs.targetId)
          ? null
          : `InvalidTarget: there is no instance ${row.inputs.targetId}`;
      }),
    ],
  },
};

function CONTENT_TYPES() {
  return ["text/plain", "text/css", "text/html", "application/javascript", "application/json"];
}

/** ELB writes a test file at once: SSE-S3 only, and a policy that admits the log delivery. */
function logsFault(row: Row, world: World): string | null {
  const bucket = world.find(BUCKET, "id", textAt(row.inputs, "accessLogs.bucket"));
  if (!bucket || valuesAt(row.inputs, "accessLogs.enabled")[0] === false) return null;
  if (
    !bucketAdmits(
      bucket,
      /logdelivery\.elasticloadbalancing\.amazonaws\.com|arn:aws[\w-]*:iam::\d+:root/,
      world,
    )
  ) {
    return `InvalidConfigurationRequest: access denied for bucket ${bucket.id}`;
  }
  const type =
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration";
  const sse = world.find(type, "bucket", bucket.id);
  const path = "rules[].applyServerSideEncryptionByDefault.sseAlgorithm";
  return valuesAt(sse?.inputs, path).some((one) => one !== "AES256")
    ? `InvalidConfigurationRequest: bucket ${bucket.id} must be encrypted by SSE-S3`
    : null;
}
