import { expect, test } from "vitest";
import { parseFindings, policyText, reportOf, resourceOf } from "../../../cli/lib/policy-report.ts";
import { sarif } from "../../../cli/lib/sarif.ts";
import { POLICIES } from "../../../policies/all.ts";
import type { Finding } from "../../../policies/pack.ts";

const URN =
  "urn:pulumi:prod::openclaw-fleet::openclaw-fleet:base:Network$aws:ec2/subnet:Subnet::prod-network-a";

const finding = (more: Partial<Finding> = {}): Finding => ({
  policy: "exposure-public-addresses",
  severity: "blocking",
  sentence: "No subnet hands out public addresses.",
  urn: URN,
  found: "mapPublicIpOnLaunch is true",
  setting: "network",
  fix: "leave it off",
  outcome: "found",
  ...more,
});
const report = (findings: Finding[], code = 0) => reportOf("prod", findings, { code, policies: 3 });

test("policy failure, budget overrun and crash are told apart", () => {
  const dear = finding({ policy: "money-budget", severity: "mandatory" });
  expect(report([]).verdict).toBe("passed");
  expect(report([finding({ severity: "advisory" })]).verdict).toBe("passed");
  expect(report([finding({ outcome: "excepted" }), finding({ outcome: "waits" })]).verdict).toBe(
    "passed",
  );
  expect(report([finding()], 1).verdict).toBe("refused");
  expect(report([dear], 1).verdict).toBe("budget");
  expect(report([dear, finding()], 1).verdict).toBe("refused");
  expect(report([], 1).verdict).toBe("broken");
});

test("a finding is counted and shown once, what stops first", () => {
  const { counts, findings } = report([
    finding({ severity: "advisory", policy: "money-nat-and-endpoints" }),
    finding(),
    finding(),
    finding({ policy: "exposure-ssh", severity: "mandatory" }),
    finding({ outcome: "excepted", reason: "x" }),
    finding({ outcome: "waits", found: "policy" }),
  ]);
  expect(counts).toEqual({ refused: 2, advisory: 1, excepted: 1, waiting: 1 });
  expect(findings.map(({ policy }) => policy).slice(0, 3)).toEqual([
    "exposure-ssh",
    "exposure-public-addresses",
    "money-nat-and-endpoints",
  ]);
});

test("the text has counts first, then id, sentence, resource, setting and fix", () => {
  const text = policyText(
    report([finding(), finding({ outcome: "excepted", reason: "old proxy" })], 1),
  );
  expect(text.split("\n")[0]).toBe(
    "prod: REFUSED · 3 policies, 1 refused, 0 advisory, 1 excepted, 0 judged again by up",
  );
  for (const part of [
    "✗ exposure-public-addresses  blocking",
    "No subnet hands out public addresses.",
    "where:   aws:ec2/subnet:Subnet prod-network-a",
    "found:   mapPublicIpOnLaunch is true",
    "setting: network",
    "do:      leave it off",
    URN,
    "old proxy",
  ])
    expect(text).toContain(part);
});

test("a URN reads as type and name", () => {
  expect(resourceOf(URN)).toBe("aws:ec2/subnet:Subnet prod-network-a");
});

test("the pack's lines are read back as they were written", () => {
  const all = [finding(), finding({ outcome: "waits" })];
  expect(parseFindings(`${all.map((one) => JSON.stringify(one)).join("\n")}\n`)).toEqual(all);
});

test("SARIF names rule, place of the setting and resource; an exception is a suppression", () => {
  const made = sarif(
    [
      finding(),
      finding({ outcome: "excepted", reason: "old proxy" }),
      finding({ outcome: "waits" }),
    ],
    {
      policies: POLICIES,
      file: "Pulumi.prod.yaml",
      version: "0.1.0",
      place: (setting) => (setting === "network" ? { line: 7, column: 3 } : undefined),
    },
    // biome-ignore lint/suspicious/noExplicitAny: a document of a format
  ) as any;
  const [run] = made.runs;
  expect(run.tool.driver.rules).toHaveLength(POLICIES.length);
  expect(run.results).toHaveLength(2);
  expect(run.results[0]).toMatchObject({
    ruleId: "exposure-public-addresses",
    level: "error",
    locations: [
      {
        physicalLocation: {
          artifactLocation: { uri: "Pulumi.prod.yaml" },
          region: { startLine: 7, startColumn: 3 },
        },
        logicalLocations: [{ fullyQualifiedName: URN }],
      },
    ],
  });
  expect(run.results[1].suppressions).toEqual([{ kind: "external", justification: "old proxy" }]);
});
