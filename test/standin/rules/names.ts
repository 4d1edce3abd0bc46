import type { Row } from "../world.ts";
import { valuesAt } from "../world.ts";
import { arnOf, exclusive, need, oneOf, present, ref } from "./parts.ts";
import type { Rules } from "./types.ts";

const VPC = "aws:ec2/vpc:Vpc";
const CERTIFICATE = "aws:acm/certificate:Certificate";
const VALIDATION = "aws:acm/certificateValidation:CertificateValidation";
const RECORD = "aws:route53/record:Record";
export const ZONE = "aws:route53/zone:Zone";
const HEALTH = "aws:route53/healthCheck:HealthCheck";

export const NAMES: Rules = {
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
};

/** How a record answers beside others of its name. */
function policyOf({ inputs }: Row): string {
  const policies = Object.keys(inputs).filter((key) => /Polic(y|ies)$/.test(key));
  return policies.find((key) => present(inputs[key]) && inputs[key] !== false) ?? "simple";
}
