import { describe, expect, test } from "vitest";
import { POLICIES } from "../../policies/all.ts";
import { NAMED_EXCEPTIONS } from "../../policies/named-exceptions.ts";
import { GROUPS, type Group, groupOf } from "../../policies/policy.ts";
import { TAGGED } from "../../policies/tagged.ts";
import { facts, judge, type Made, stackOf } from "./support.ts";

const TARGETS = ["ec2", "eks"] as const;
const NAMES = ["solo", "small", "medium", "enterprise"] as const;

/** Findings that stop a change, each as `policy urn: found`. */
function refused(made: readonly Made[], about: ReturnType<typeof facts>): string[] {
  return POLICIES.filter(({ severity }) => severity !== "advisory").flatMap((policy) => {
    const single = made.map((one) => [one.urn, judge(policy, one, about)] as const);
    const whole = ["stack", judge(policy, made, about)] as const;
    return [...single, whole].flatMap(([own, { found, urns }]) =>
      found
        .map((text, i) => ({ text, urn: urns[i] || own }))
        .filter(({ urn }) => !excepted(policy.id, urn))
        .map(({ text, urn }) => `${policy.id} ${urn}: ${text}`),
    );
  });
}

const used = new Set<string>();
function excepted(policy: string, urn: string): boolean {
  const found = NAMED_EXCEPTIONS.find((one) => one.policy === policy && one.urn.test(urn));
  if (found) used.add(String(found.urn));
  return found !== undefined;
}

describe.each(TARGETS)("on %s", (target) => {
  test.each(NAMES)(
    "%s passes every policy, with the named exceptions alone",
    async (preset) => {
      const about = facts({}, { preset });
      expect(refused(await stackOf(target, preset), about)).toEqual([]);
    },
    120_000,
  );

  test.each(NAMES)(
    "%s passes in a preview, where nothing has an id",
    async (preset) => {
      const about = facts({}, { preset });
      expect(refused(await stackOf(target, preset, {}, true), about)).toEqual([]);
    },
    120_000,
  );
});

test("each named exception that presets reach is needed", () => {
  // Nodes with GPUs are in no preset.
  const reached = NAMED_EXCEPTIONS.filter(({ urn }) => !String(urn).includes("gpu"));
  expect(reached.filter(({ urn }) => !used.has(String(urn)))).toEqual([]);
});

test("named exceptions are for blocking policies: a mandatory one knows none", () => {
  for (const { policy } of NAMED_EXCEPTIONS)
    expect([policy, POLICIES.find(({ id }) => id === policy)?.severity]).toEqual([
      policy,
      "blocking",
    ]);
});

test("the list of tagged types is what components tag", async () => {
  const tagged = new Set<string>();
  for (const target of TARGETS)
    for (const preset of NAMES)
      for (const { type, inputs } of await stackOf(target, preset))
        if (type.startsWith("aws:") && inputs.tags) tagged.add(type);
  expect([...TAGGED].sort()).toEqual([...tagged].sort());
});

describe("every policy", () => {
  test("has an id of its own, below its group", () => {
    expect(new Set(POLICIES.map(({ id }) => id)).size).toBe(POLICIES.length);
    const groups = new Set<Group | undefined>(POLICIES.map(({ id }) => groupOf(id)));
    expect([...groups].sort()).toEqual([...GROUPS].sort());
  });

  test.each(POLICIES.map((policy) => [policy.id, policy] as const))(
    "%s says what must hold, what to do, and what it makes of the unknown",
    (_, policy) => {
      expect(policy.sentence).toMatch(/^[A-Z].*\.$/);
      expect(policy.fix).toMatch(/^\S.*[^.]$/);
      expect(policy.unknown).toMatch(/\.$/);
      expect(Boolean(policy.validateResource) || Boolean(policy.validateStack)).toBe(true);
    },
  );
});
