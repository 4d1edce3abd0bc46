import { describe, expect, test } from "vitest";
import { stateOf } from "./inputs.ts";
import { RULES } from "./rules/index.ts";
import type { Made, Rule } from "./rules/types.ts";
import { typingOf } from "./typings.ts";
import { World } from "./world.ts";

/** Inputs that a rule names. */
function named(type: string): string[] {
  const rule = RULES[type];
  if (!rule) return [];
  return [
    ...rule.replaces,
    ...(rule.name ? [rule.name.property] : []),
    ...Object.keys(rule.values ?? {}),
    ...(rule.unique ?? []).flat(),
    ...(rule.grows ?? []),
    ...(rule.guard ? [rule.guard] : []),
  ].map((path) => path.split(/[.[]/)[0] as string);
}

const types = Object.keys(RULES).filter((type) => /^(aws|random):/.test(type));

describe("rows of rules", () => {
  test.each(types)("%s is a type of its package", (type) => {
    expect(typingOf(type)).not.toBeNull();
  });

  test.each(types)("%s names only inputs that the type has", (type) => {
    const inputs = [...(typingOf(type)?.inputs.keys() ?? [])];
    // namePrefix and its kin exist in the provider, not in the package.
    const unknown = named(type).filter((name) => !inputs.includes(name) && !/Prefix$/.test(name));
    expect(unknown).toEqual([]);
  });

  test.each(types)("%s computes only outputs that the type has, ARNs among them", (type) => {
    const rule = RULES[type] as Rule;
    const outputs = typingOf(type)?.outputs ?? new Map();
    const id = rule.id(MADE(type));
    const computed = rule.computed?.(MADE(type), id) ?? {};
    expect(Object.keys(computed).filter((key) => !outputs.has(key))).toEqual([]);
    const state = stateOf(type, rule, MADE(type), id);
    if (outputs.has("arn") && !typingOf(type)?.inputs.has("arn")) {
      expect(state.arn).toMatch(/^arn:aws:|^undefined$|^subject$/);
    }
  });
});

const MADE = (type: string): Made => ({
  type,
  urn: "urn:pulumi:test::test::t::subject",
  inputs: {
    ...(RULES[type]?.name ? { [RULES[type].name.property]: "subject" } : {}),
    secretId: "arn:aws:secretsmanager:eu-central-1:123456789012:secret:s",
    topic: "arn:aws:sns:eu-central-1:123456789012:t",
    loadBalancerArn: "arn:aws:elasticloadbalancing:eu-central-1:1:loadbalancer/app/a/1",
    listenerArn: "arn:aws:elasticloadbalancing:eu-central-1:1:listener/app/a/1",
  },
  scope: { account: "123456789012", region: "eu-central-1", caller: "" },
  hex: (length) => "a".repeat(length),
  number: () => 1,
  world: new World(),
});
