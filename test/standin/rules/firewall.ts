import { valuesAt } from "../world.ts";
import { BALANCER } from "./balancer.ts";
import { LOG_GROUP } from "./keys-logs.ts";
import { arn, arnOf, need, present, ref } from "./parts.ts";
import { BUCKET } from "./s3.ts";
import type { Rules } from "./types.ts";

const WEB_ACL = "aws:wafv2/webAcl:WebAcl";
const IP_SET = "aws:wafv2/ipSet:IpSet";

export const FIREWALL: Rules = {
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
