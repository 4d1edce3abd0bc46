import * as aws from "@pulumi/aws";
import type * as pulumi from "@pulumi/pulumi";
import { type FixedAnswer, RATE_LIMITED, REFUSED } from "./answers.ts";
import type { WafPlan, WafRule } from "./waf.ts";

type Rule = aws.types.input.wafv2.WebAclRule;

/** The firewall of a plan. */
export function webAcl(
  name: string,
  plan: WafPlan,
  tags: Readonly<Record<string, string>>,
  opts: pulumi.CustomResourceOptions,
): aws.wafv2.WebAcl {
  return new aws.wafv2.WebAcl(
    `${name}-waf`,
    {
      description: "Limits rates, refuses known attackers, never judges words",
      scope: "REGIONAL",
      defaultAction: { allow: {} },
      customResponseBodies: [body("rate-limited", RATE_LIMITED), body("refused", REFUSED)],
      rules: plan.rules.map(ruleOf),
      visibilityConfig: seen(name),
      tags: { ...tags, Name: `${name}-waf` },
    },
    opts,
  );
}

function ruleOf(rule: WafRule): Rule {
  const common = { name: rule.name, priority: rule.priority, visibilityConfig: seen(rule.name) };
  switch (rule.kind) {
    case "label":
      return {
        ...common,
        overrideAction: { count: {} },
        statement: {
          managedRuleGroupStatement: {
            vendorName: "AWS",
            name: rule.group,
            ruleActionOverrides: rule.counted.map((each) => ({
              name: each,
              actionToUse: { count: {} },
            })),
            ...(rule.notOn === null ? {} : { scopeDownStatement: notOn(rule.notOn) }),
          },
        },
      };
    case "block":
      return {
        ...common,
        action: refuse("refused", REFUSED),
        statement: {
          orStatement: {
            statements: rule.labels.map((key) => ({
              labelMatchStatement: { scope: "LABEL", key },
            })),
          },
        },
      };
    case "rate":
      return {
        ...common,
        action: refuse("rate-limited", RATE_LIMITED),
        statement: {
          rateBasedStatement: {
            limit: rule.limit,
            evaluationWindowSec: rule.windowSeconds,
            ...(rule.per === "address"
              ? { aggregateKeyType: "IP" }
              : {
                  aggregateKeyType: "CUSTOM_KEYS",
                  // Requests without the header are not counted here; their address is.
                  customKeys: [
                    { header: { name: "authorization", textTransformations: [AS_IT_IS] } },
                  ],
                }),
          },
        },
      };
  }
}

const AS_IT_IS = { priority: 0, type: "NONE" };

const notOn = (regexString: string) => ({
  notStatement: {
    statement: {
      regexMatchStatement: {
        regexString,
        fieldToMatch: { uriPath: {} },
        textTransformations: [AS_IT_IS],
      },
    },
  },
});

const body = (key: string, { body: content }: FixedAnswer) => ({
  key,
  content,
  contentType: "APPLICATION_JSON",
});

const refuse = (customResponseBodyKey: string, { status }: FixedAnswer) => ({
  block: { customResponse: { responseCode: status, customResponseBodyKey } },
});

/** Samples would show tokens and, in queries, people's words to whoever may read the console. */
const seen = (metricName: string) => ({
  metricName,
  cloudwatchMetricsEnabled: true,
  sampledRequestsEnabled: false,
});
