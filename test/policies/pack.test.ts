import type { ResourceValidationPolicy, StackValidationPolicy } from "@pulumi/policy";
import { describe, expect, test } from "vitest";
import type { Exception } from "../../policies/exceptions.ts";
import type { NamedException } from "../../policies/named-exceptions.ts";
import { type Finding, packPolicies } from "../../policies/pack.ts";
import type { Policy } from "../../policies/policy.ts";
import { argsOf, facts, type Made, pick, stackArgs, stackOf } from "./support.ts";

const policy = (more: Partial<Policy> = {}): Policy => ({
  id: "hygiene-test",
  sentence: "Nothing is wrong.",
  severity: "blocking",
  setting: "some.setting",
  fix: "make it right",
  unknown: "Refused.",
  validateResource: (_, report) => report("it is wrong"),
  ...more,
});

interface Given {
  readonly policies?: readonly Policy[];
  readonly severities?: Record<string, string>;
  readonly held?: readonly Exception[];
  readonly faults?: readonly string[];
  readonly named?: readonly NamedException[];
}

function packOf({
  policies = [policy()],
  severities = {},
  held = [],
  faults = [],
  named = [],
}: Given) {
  const notes: Finding[] = [];
  const served = packPolicies({
    policies,
    about: (stack) => ({ facts: facts({ stack, severities }), exceptions: { held, faults } }),
    named,
    note: (finding) => notes.push(finding),
  });
  const find = (name: string) => served.filter((one) => one.name === name);
  /** What is reported of a resource, by the level at which the engine hears it. */
  const resource = (made: Made, name = "hygiene-test") => {
    const reported: string[] = [];
    const levels = new Set<string>();
    for (const one of served.filter((p) => p.name.startsWith(name) && "validateResource" in p)) {
      const { validateResource } = one as ResourceValidationPolicy;
      const validate = validateResource as (args: unknown, report: (m: string) => void) => void;
      validate(argsOf(made), (message) => {
        reported.push(message);
        levels.add(`${one.enforcementLevel}`);
      });
    }
    return { reported, level: [...levels].join() };
  };
  const stack = (made: readonly Made[], name: string) => {
    const reported: string[] = [];
    const one = find(name).find((p) => "validateStack" in p) as StackValidationPolicy;
    one.validateStack(stackArgs(made), (message) => reported.push(message));
    return reported;
  };
  return { served, notes, resource, stack };
}

const database = async () => pick(await stackOf("ec2", "medium"), "aws:rds/instance:Instance");
const root = (made: Made): Made => ({ ...made, type: "pulumi:pulumi:Stack", inputs: {} });
const exceptionFor = (urn: string): Exception => ({
  policy: "hygiene-test",
  urn,
  reason: "being moved",
  owner: "ops",
  expires: "2027-01-01",
});

describe("a policy in the pack", () => {
  test("tells a person what was found, which setting decides it, and what to do", async () => {
    const pack = packOf({});
    const { reported, level } = pack.resource(await database());
    expect(reported).toEqual(["Found: it is wrong. Setting: some.setting. Do: make it right."]);
    expect(level).toBe("mandatory");
    expect(pack.notes).toEqual([
      expect.objectContaining({ policy: "hygiene-test", outcome: "found", severity: "blocking" }),
    ]);
  });

  test("warns where the stack lowers it, and stops where the stack raises it", async () => {
    const lowered = packOf({ severities: { "hygiene-test": "advisory" } });
    expect(lowered.resource(await database()).level).toBe("advisory");
    const raised = packOf({
      policies: [policy({ severity: "advisory" })],
      severities: { "hygiene-test": "blocking" },
    });
    expect(raised.resource(await database()).level).toBe("mandatory");
  });

  test("that is mandatory stays so, and the try is a fault", async () => {
    const pack = packOf({
      policies: [policy({ severity: "mandatory" })],
      severities: { "hygiene-test": "advisory" },
    });
    const made = await database();
    expect(pack.resource(made).level).toBe("mandatory");
    expect(pack.resource(root(made), "hygiene-policy-settings").reported).toEqual([
      expect.stringContaining(
        "policies.severity.hygiene-test is advisory, and this policy is mandatory",
      ),
    ]);
  });

  test("that breaks off counts as a finding: the engine would make a quiet notice of it", async () => {
    const pack = packOf({
      policies: [
        policy({
          validateResource: ({ props }) => {
            throw new Error(`cannot read ${typeof props}`);
          },
        }),
      ],
    });
    expect(pack.resource(await database()).reported.join()).toContain(
      "it cannot be judged: cannot read object",
    );
  });

  test("that waits for up reports nothing and notes it", async () => {
    const pack = packOf({
      policies: [
        policy({
          validateResource: (args) => args.getConfig<ReturnType<typeof facts>>().waits("arn"),
        }),
      ],
    });
    expect(pack.resource(await database()).reported).toEqual([]);
    expect(pack.notes).toEqual([expect.objectContaining({ outcome: "waits", found: "arn" })]);
  });

  test("mends only where it also stops", () => {
    const mending = policy({ remediateResource: () => undefined });
    const levels = (severity: "advisory" | "blocking") =>
      packOf({ policies: [{ ...mending, severity }] })
        .served.filter(({ name }) => name.startsWith("hygiene-test"))
        .map(({ name, enforcementLevel }) => [name, enforcementLevel]);
    expect(levels("blocking")).toEqual([
      ["hygiene-test", "remediate"],
      ["hygiene-test-lowered", "advisory"],
    ]);
    expect(levels("advisory")).toEqual([
      ["hygiene-test", "advisory"],
      ["hygiene-test-raised", "remediate"],
    ]);
  });
});

describe("a whole stack", () => {
  test("is judged by what was asked for, where the engine tells what providers answered", async () => {
    const made = await database();
    const seen: unknown[] = [];
    const judging = policy({
      validateStack: ({ resources }) => {
        for (const one of resources) seen.push(one.props.engine);
      },
    });
    const pack = packOf({ policies: [judging] });
    pack.resource(made, "hygiene-policy-settings");
    pack.stack([{ ...made, inputs: {} }], "hygiene-test");
    expect(seen).toEqual(["postgres"]);
  });

  test("is judged by the answers, where a resource was not registered in this run", async () => {
    const seen: unknown[] = [];
    const judging = policy({
      validateStack: ({ resources }) => {
        for (const one of resources) seen.push(one.props.engine);
      },
    });
    packOf({ policies: [judging] }).stack([await database()], "hygiene-test");
    expect(seen).toEqual(["postgres"]);
  });
});

describe("exceptions in the pack", () => {
  test("let one resource through, for one policy, with a note that says why", async () => {
    const made = await database();
    const pack = packOf({ held: [exceptionFor(made.urn)] });
    expect(pack.resource(made).reported).toEqual([]);
    expect(pack.notes).toEqual([
      expect.objectContaining({
        outcome: "excepted",
        reason: "being moved (ops, until 2027-01-01)",
      }),
    ]);
    expect(pack.resource({ ...made, urn: `${made.urn}-2` }).reported).toHaveLength(1);
    expect(pack.stack([made], "hygiene-unused-exceptions")).toEqual([]);
  });

  test("that nothing needs are refused", async () => {
    const made = await database();
    const pack = packOf({ held: [exceptionFor(`${made.urn}-gone`)] });
    pack.resource(made);
    expect(pack.stack([made], "hygiene-unused-exceptions").join()).toContain(
      `nothing breaks hygiene-test at ${made.urn}-gone`,
    );
  });

  test("of the project itself hold by type and name", async () => {
    const made = await database();
    const named = [{ policy: "hygiene-test", urn: /-postgres$/, reason: "it must be so" }];
    expect(packOf({ named }).resource(made).reported).toEqual([]);
    const other = { ...made, urn: `${made.urn}-2` };
    expect(packOf({ named }).resource(other).reported).toHaveLength(1);
  });

  test("and severities that are wrong are refused at the stack, before all else", async () => {
    const pack = packOf({
      faults: ["exceptions.yaml: exceptions[0] has no owner"],
      severities: { "hygiene-tset": "advisory", "hygiene-test": "loud" },
    });
    const found = pack
      .resource(root(await database()), "hygiene-policy-settings")
      .reported.join("\n");
    expect(found).toContain("has no owner");
    expect(found).toContain(
      "policies.severity.hygiene-tset names no policy. Did you mean hygiene-test?",
    );
    expect(found).toContain(
      "policies.severity.hygiene-test is loud, none of advisory, blocking, mandatory",
    );
    expect(pack.resource(await database(), "hygiene-policy-settings").reported).toEqual([]);
  });
});
