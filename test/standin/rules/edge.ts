import type { Row, World } from "../world.ts";
import { textAt, valuesAt } from "../world.ts";
import { groupNeed } from "./ec2-network.ts";
import { LOG_GROUP } from "./keys-logs.ts";
import { arn, arnOf, exclusive, need, oneOf, present, ref } from "./parts.ts";
import { BUCKET, bucketAdmits } from "./s3.ts";
import type { Made, Rules } from "./types.ts";

const SUBNET = "aws:ec2/subnet:Subnet";
const VPC = "aws:ec2/vpc:Vpc";
export const BALANCER = "aws:lb/loadBalancer:LoadBalancer";
export const TARGETS = "aws:lb/targetGroup:TargetGroup";
const LISTENER = "aws:lb/listener:Listener";
const CERTIFICATE = "aws:acm/certificate:Certificate";
const VALIDATION = "aws:acm/certificateValidation:CertificateValidation";
const RECORD = "aws:route53/record:Record";
export const ZONE = "aws:route53/zone:Zone";
const HEALTH = "aws:route53/healthCheck:HealthCheck";
const WEB_ACL = "aws:wafv2/webAcl:WebAcl";
const IP_SET = "aws:wafv2/ipSet:IpSet";

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

export const EDGE: Rules = {
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
      dnsName: `${made.inputs.name}-${made.number(1_000_000_000)}.${made.scope.region}.elb.amazonaws.com`,
      zoneId: "Z215JYRZR1TBD5",
      vpcId: "",
    }),
  },
  [TARGETS]: {
    source: "elbv2/target_group.go",
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
  [CERTIFICATE]: {
    source: "acm/certificate.go",
    id: (made) =>
      arnOf(made, "acm", `certificate/${made.hex(8)}-${made.hex(4)}-4000-8000-${made.hex(12)}`),
    replaces: [
      "certificateAuthorityArn",
      "domainName",
      "keyAlgorithm",
      "subjectAlternativeNames",
      "validationMethod",
      "validationOptions",
    ],
    values: {
      validationMethod: ["DNS", "EMAIL", "NONE"],
      keyAlgorithm: [
        "RSA_1024",
        "RSA_2048",
        "RSA_3072",
        "RSA_4096",
        "EC_prime256v1",
        "EC_secp384r1",
        "EC_secp521r1",
      ],
      domainName: /^(\*\.)?([a-z0-9-]+\.)+[a-z0-9-]+$/i,
    },
    computed: (made, id) => {
      const names = [
        ...new Set([made.inputs.domainName, ...valuesAt(made.inputs, "subjectAlternativeNames[]")]),
      ].map(String);
      return {
        arn: id,
        status: "PENDING_VALIDATION",
        domainValidationOptions: names.map((domainName) => {
          const bare = domainName.replace(/^\*\./, "");
          return {
            domainName,
            resourceRecordName: `_${made.hex(16)}.${bare}.`,
            resourceRecordType: "CNAME",
            resourceRecordValue: `_${made.hex(32)}.acm-validations.aws.`,
          };
        }),
      };
    },
  },
  [VALIDATION]: {
    source: "acm/certificate_validation.go",
    // The time at which AWS issued it: another one for each.
    id: (made) => `2026-11-21 00:00:00.${made.number(1_000_000_000)} +0000 UTC`,
    replaces: ["certificateArn", "validationRecordFqdns"],
    needs: [
      ref("certificateArn", CERTIFICATE, { by: "arn" }),
      need("every name of a certificate is proven by a record", (row, world) => {
        const certificate = world.find(CERTIFICATE, "arn", row.inputs.certificateArn);
        for (const wanted of valuesAt(
          certificate?.state,
          "domainValidationOptions[].resourceRecordName",
        )) {
          const bare = String(wanted).replace(/\.$/, "");
          const there = world
            .of(RECORD)
            .some((one) => String(one.inputs.name).replace(/\.$/, "") === bare);
          if (!there) return `timeout after 75 minutes: there is no record ${wanted}`;
        }
        return null;
      }),
    ],
  },
  [RECORD]: {
    source: "route53/record.go",
    id: (made) =>
      [made.inputs.zoneId, made.inputs.name, made.inputs.type, made.inputs.setIdentifier]
        .filter(Boolean)
        .join("_"),
    replaces: ["setIdentifier", "type", "zoneId", "name"],
    unique: [["zoneId", "name", "type", "setIdentifier"]],
    values: {
      type: [
        "A",
        "AAAA",
        "CAA",
        "CNAME",
        "DS",
        "HTTPS",
        "MX",
        "NAPTR",
        "NS",
        "PTR",
        "SOA",
        "SPF",
        "SRV",
        "SSHFP",
        "SVCB",
        "TLSA",
        "TXT",
      ],
    },
    faults: (i) => [
      exclusive(i, "records", "aliases"),
      oneOf(i, "records", "aliases"),
      present(i.records) ? oneOf(i, "ttl") : null,
      present(i.aliases) && present(i.ttl) ? "an alias record has no ttl" : null,
    ],
    needs: [
      ref("zoneId", ZONE),
      ref("healthCheckId", HEALTH),
      need("records of one name and type are all simple, or all of one policy", (row, world) => {
        const same = (one: Row) =>
          ["zoneId", "name", "type"].every((key) => one.inputs[key] === row.inputs[key]);
        const other = world
          .of(RECORD)
          .find((one) => one.key !== row.key && same(one) && policyOf(one) !== policyOf(row));
        return other
          ? `InvalidChangeBatch: ${row.inputs.name} has a conflicting ${row.inputs.type} record`
          : null;
      }),
      need("a record is within its zone", (row, world) => {
        const zone = String(world.find(ZONE, "id", row.inputs.zoneId)?.state.name ?? "").replace(
          /\.$/,
          "",
        );
        const name = String(row.inputs.name).replace(/\.$/, "");
        return name === zone || name.endsWith(`.${zone}`)
          ? null
          : `InvalidChangeBatch: ${name} is not in zone ${zone}`;
      }),
    ],
    computed: (made) => ({ fqdn: String(made.inputs.name).replace(/\.$/, "") }),
  },
  [ZONE]: {
    source: "route53/zone.go",
    id: (made) => `Z0${made.hex(18).toUpperCase()}`,
    replaces: ["delegationSetId", "name"],
    needs: [ref("vpcs[].vpcId", VPC)],
    computed: (made, id) => ({
      zoneId: id,
      arn: arnOf(made, "route53", `hostedzone/${id}`, true),
      nameServers: [1, 2, 3, 4].map((n) => `ns-${n}.awsdns-${n}.example`),
    }),
  },
  [HEALTH]: {
    source: "route53/health_check.go",
    id: (made) => `${made.hex(8)}-${made.hex(4)}-4000-8000-${made.hex(12)}`,
    replaces: [
      "cloudwatchAlarmRegion",
      "measureLatency",
      "referenceName",
      "requestInterval",
      "routingControlArn",
      "type",
    ],
    values: {
      type: [
        "HTTP",
        "HTTPS",
        "HTTP_STR_MATCH",
        "HTTPS_STR_MATCH",
        "TCP",
        "CALCULATED",
        "CLOUDWATCH_METRIC",
        "RECOVERY_CONTROL",
      ],
    },
    faults: (i) => [
      present(i.requestInterval) &&
      typeof i.requestInterval === "number" &&
      ![10, 30].includes(i.requestInterval)
        ? "requestInterval is 10 or 30"
        : null,
    ],
    computed: (made, id) => ({ arn: arnOf(made, "route53", `healthcheck/${id}`, true) }),
  },
  [WEB_ACL]: {
    source: "wafv2/web_acl.go",
    id: (made) => `${made.hex(8)}-${made.hex(4)}-4000-8000-${made.hex(12)}`,
    name: { property: "name", max: 128, pattern: /^[\w-]+$/ },
    replaces: ["name", "namePrefix", "scope"],
    values: { scope: ["CLOUDFRONT", "REGIONAL"], "rules[].priority": [0, 1_000_000_000] },
    faults: (i) => {
      const priorities = valuesAt(i, "rules[].priority");
      const names = valuesAt(i, "rules[].name");
      return [
        new Set(priorities).size < priorities.length ? "two rules share a priority" : null,
        new Set(names).size < names.length ? "two rules share a name" : null,
        ...valuesAt(i, "rules[]").map((rule) => ruleFault(rule as Record<string, unknown>)),
      ];
    },
    needs: [ref("rules[].statement.ipSetReferenceStatement.arn", IP_SET, { by: "arn" })],
    computed: (made, id) => ({
      arn: arnOf(made, "wafv2", `regional/webacl/${made.inputs.name}/${id}`),
      capacity: 100,
      lockToken: made.hex(32),
    }),
    refusesDelete: (row, world) =>
      world.find("aws:wafv2/webAclAssociation:WebAclAssociation", "webAclArn", row.state.arn)
        ? "WAFAssociatedItemException: it is associated with a balancer"
        : null,
  },
  [IP_SET]: {
    source: "wafv2/ip_set.go",
    id: (made) => `${made.hex(8)}-${made.hex(4)}-4000-8000-${made.hex(12)}`,
    name: { property: "name", max: 128, pattern: /^[\w-]+$/ },
    replaces: ["ipAddressVersion", "name", "namePrefix", "scope"],
    values: { scope: ["CLOUDFRONT", "REGIONAL"], ipAddressVersion: ["IPV4", "IPV6"] },
    computed: (made, id) => ({
      arn: arnOf(made, "wafv2", `regional/ipset/${made.inputs.name}/${id}`),
    }),
  },
  "aws:wafv2/regexPatternSet:RegexPatternSet": {
    source: "wafv2/regex_pattern_set.go",
    id: (made) => `${made.hex(8)}-${made.hex(4)}-4000-8000-${made.hex(12)}`,
    name: { property: "name", max: 128, pattern: /^[\w-]+$/ },
    replaces: ["name", "namePrefix", "scope"],
    computed: (made, id) => ({
      arn: arnOf(made, "wafv2", `regional/regexpatternset/${made.inputs.name}/${id}`),
    }),
  },
  "aws:wafv2/webAclAssociation:WebAclAssociation": {
    source: "wafv2/web_acl_association.go",
    id: (made) => `${made.inputs.webAclArn},${made.inputs.resourceArn}`,
    replaces: ["resourceArn", "webAclArn"],
    unique: [["resourceArn"]],
    needs: [ref("webAclArn", WEB_ACL, { by: "arn" }), ref("resourceArn", BALANCER, { by: "arn" })],
  },
  "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration": {
    source: "wafv2/web_acl_logging_configuration.go",
    id: (made) => String(made.inputs.resourceArn),
    replaces: ["resourceArn", "logDestinationConfigs"],
    unique: [["resourceArn"]],
    values: { "logDestinationConfigs[]": arn("(logs|s3|firehose)") },
    needs: [
      ref("resourceArn", WEB_ACL, { by: "arn" }),
      ref("logDestinationConfigs[]", [LOG_GROUP, BUCKET], { by: "arn", strip: /:\*$/ }),
      need("logs of a web ACL go to a name beginning with aws-waf-logs-", (row) =>
        valuesAt(row.inputs, "logDestinationConfigs[]").every((one) =>
          /[:/]aws-waf-logs-/.test(String(one)),
        )
          ? null
          : "WAFInvalidParameter: the destination's name does not begin with aws-waf-logs-",
      ),
    ],
  },
};

/** How a record answers beside others of its name. */
function policyOf({ inputs }: Row): string {
  const policies = Object.keys(inputs).filter((key) => /Polic(y|ies)$/.test(key));
  return policies.find((key) => present(inputs[key]) && inputs[key] !== false) ?? "simple";
}

function CONTENT_TYPES() {
  return ["text/plain", "text/css", "text/html", "application/javascript", "application/json"];
}

function ruleFault(rule: Record<string, unknown>): string | null {
  const statement = (rule.statement ?? {}) as Record<string, unknown>;
  const group =
    present(statement.managedRuleGroupStatement) || present(statement.ruleGroupReferenceStatement);
  if (Object.keys(statement).length !== 1) return `rule ${rule.name} has one statement`;
  if (group && present(rule.action))
    return `rule ${rule.name} is a group: overrideAction, not action`;
  if (!group && present(rule.overrideAction))
    return `rule ${rule.name} is no group: action, not overrideAction`;
  if (group ? !present(rule.overrideAction) : !present(rule.action))
    return `rule ${rule.name} has no action`;
  if (!present(rule.visibilityConfig)) return `rule ${rule.name} has no visibilityConfig`;
  return null;
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
