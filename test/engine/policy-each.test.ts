import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { POLICIES } from "../../policies/all.ts";
import { type Facts, readFacts } from "../../policies/facts.ts";
import type { Policy } from "../../policies/policy.ts";
import * as availability from "../policies/availability-cases.ts";
import type { ResourceCase, StackCase } from "../policies/cases.ts";
import * as encryption from "../policies/encryption-cases.ts";
import * as exposure from "../policies/exposure-cases.ts";
import * as hygiene from "../policies/hygiene-cases.ts";
import * as identity from "../policies/identity-cases.ts";
import * as money from "../policies/money-cases.ts";
import * as oneWriter from "../policies/one-writer-cases.ts";
import { shard } from "../policies/runtime.ts";
import { facts, judge, type Made, STACK, withValue } from "../policies/support.ts";
import * as workloads from "../policies/workloads-cases.ts";
import { share } from "../support/share.ts";
import { PolicyProject } from "./fixtures/policy-project.ts";
import { PULUMI } from "./fixtures/project.ts";

const GROUPS = [availability, encryption, exposure, hygiene, identity, money, oneWriter, workloads];
const RESOURCES: readonly ResourceCase[] = GROUPS.flatMap((group) => [...group.RESOURCES]);
const STACKS: readonly StackCase[] = GROUPS.flatMap((group) => [...group.STACKS]);

/** Runs of one day; `./fleet test engine --full` makes all of them. */
const A_DAY = 8;

/** Something that breaks a policy: what is registered, and under which settings. */
interface Violation {
  readonly policy: Policy;
  readonly what: string;
  readonly about: Facts;
  readonly made: () => Promise<readonly Made[]>;
}

/** Policies about what none of our components makes, so that no case of theirs changes one property. */
const OF_THEIR_OWN: Readonly<Record<string, () => Promise<readonly Made[]>>> = {
  "identity-no-users": async () => [
    { ...shard(), type: "aws:iam/user:User", urn: USER, name: `${STACK}-ann`, inputs: {} },
  ],
  "one-writer-state": async () => [shard("s1"), shard("s1", "copy")],
};
const USER = `urn:pulumi:test::openclaw-fleet::aws:iam/user:User::${STACK}-ann`;

/** The first case of a policy that breaks it. */
function violationOf(policy: Policy): Violation | undefined {
  const own = OF_THEIR_OWN[policy.id];
  if (own) return { policy, what: "a case of its own", about: facts(), made: own };
  const one = RESOURCES.find((each) => each.policy.id === policy.id && each.breaks.length > 0);
  const [first] = one?.breaks ?? [];
  if (one && first) {
    const [path, value] = first;
    return {
      policy,
      what: `${path} = ${JSON.stringify(value)}`,
      about: one.about ?? facts(),
      made: async () => [withValue(await one.made(), path, value)],
    };
  }
  const whole = STACKS.find((each) => each.policy.id === policy.id);
  const [broken] = whole?.breaks ?? [];
  if (!whole || !broken) return undefined;
  return {
    policy,
    what: broken.what,
    about: whole.about ?? facts(),
    made: async () => broken.change(await whole.made()),
  };
}

/**
 * Registers what a file lists: components as components, everything else as a resource of a provider
 * that takes anything. Parents are made from the types in a URN; what a property came from, it comes from.
 */
const PROGRAM = `
import { readFileSync } from "node:fs";
import * as pulumi from "@pulumi/pulumi";
const made = new Map();
const parents = new Map();
function parentOf(types) {
  if (types.length === 0) return undefined;
  const key = types.join("$");
  if (!parents.has(key)) {
    parents.set(key, new pulumi.ComponentResource(types.at(-1), "team-parent-" + key.replaceAll(/[^a-z]/gi, "-"), {}, { parent: parentOf(types.slice(0, -1)) }));
  }
  return parents.get(key);
}
class Made extends pulumi.CustomResource {}
for (const { type, name, urn, parent: above, inputs, from, protect } of JSON.parse(readFileSync("resources.json", "utf8"))) {
  const parent = made.get(above) ?? parentOf(urn.split("::")[2].split("$").slice(0, -1));
  const opts = { parent, protect };
  const props = { ...inputs };
  for (const [key, urns] of Object.entries(from)) {
    const sources = urns.map((one) => made.get(one)).filter((one) => one?.id);
    if (sources.length > 0 && key in props) props[key] = pulumi.all(sources.map((one) => one.urn)).apply(() => inputs[key]);
  }
  const component = /^openclaw-fleet:/.test(type);
  made.set(urn, component ? new pulumi.ComponentResource(type, name, props, opts) : new Made(type, name, props, opts));
}
`;

let project: PolicyProject;

beforeAll(async () => {
  if (!PULUMI) return;
  const accepting = join(import.meta.dirname, "accepting", "bin");
  project = await PolicyProject.create(STACK, PROGRAM, [accepting]);
});
afterAll(() => project?.remove());

/** Settings under which a stack's own facts are these. */
function settingsOf(about: Facts): Record<string, unknown> {
  const set = (key: string, value: unknown) =>
    value === undefined ? {} : { [`openclaw-fleet:${key}`]: value };
  const policies = about.openSettings["openclaw-fleet:policies"] ?? {
    instanceFamilies: about.instanceFamilies,
  };
  return {
    ...about.openSettings,
    ...set("environment", about.environment),
    ...set("budgetMonthlyUsd", about.budgetMonthlyUsd),
    ...set("gpu", about.gpus > 0 ? { limit: about.gpus } : undefined),
    ...set("policies", policies),
  };
}

const comparable = ({ waits: _, openSettings: __, today: ___, ...rest }: Facts) => rest;

test("every policy has a case that breaks it", () => {
  expect(POLICIES.filter((policy) => !violationOf(policy)).map(({ id }) => id)).toEqual([]);
});

describe.skipIf(!PULUMI)("under the real engine a policy says what is wrong, and stops it", () => {
  const all = POLICIES.flatMap((policy) => violationOf(policy) ?? []);
  test.each(share(all, A_DAY).map((one) => [one.policy.id, one] as const))(
    "%s",
    async (id, { policy, about, made, what }) => {
      const resources = await made();
      const [expected] = judgedOf(policy, resources, about);
      const settings = settingsOf(about);
      const read = readFacts({ stack: STACK, settings, today: about.today });
      expect(comparable(read)).toEqual(comparable(about));
      project.write(`Pulumi.${STACK}.yaml`, stringify({ config: settings }));
      project.resources(resources.map(plain));
      project.today = about.today;
      const { code, text } = await project.preview();
      const level = policy.severity === "advisory" ? "advisory" : "mandatory";
      if (policy.remediateResource) {
        // Mended instead, which is said too.
        expect(text, what).toMatch(new RegExp(`\\[remediate\\] +${id} `));
        return expect(text).not.toContain(`[mandatory]  ${id}  (`);
      }
      expect(text, what).toContain(`[${level}]  ${id}  (`);
      expect(text).toContain(`Found: ${expected}.`);
      expect(text).toContain(`Do: ${policy.fix}.`);
      if (policy.setting !== "") expect(text).toContain(`Setting: ${policy.setting}.`);
      if (level === "mandatory") expect(code).not.toBe(0);
      expect(text).not.toContain("can't run policy");
    },
  );
});

/** What the policy finds without an engine. */
function judgedOf(policy: Policy, made: readonly Made[], about: Facts): readonly string[] {
  const { found } = policy.validateResource
    ? judge(policy, made[0] as Made, about)
    : judge(policy, made, about);
  expect(found.length).toBeGreaterThan(0);
  return found;
}

const plain = ({ type, urn, parent, inputs, from, options }: Made) => ({
  ...{ type, urn, parent, inputs, from },
  // A case may have a resource twice, which then differ in their URNs alone.
  name: urn.split("::").slice(3).join("::"),
  protect: options.protect,
});
