import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { costChange } from "../../../cli/lib/pipeline/cost-change.ts";
import { EFFECTS, effectOf, groupByEffect } from "../../../cli/lib/pipeline/effects.ts";
import { COMMENT_MAX, code, inline } from "../../../cli/lib/pipeline/markdown.ts";
import {
  headline,
  previewMarkdown,
  type StackChange,
} from "../../../cli/lib/pipeline/preview-markdown.ts";
import { readPreview, type Step } from "../../../cli/lib/pipeline/steps.ts";
import { planStack } from "../../../stacks/plan.ts";
import { settingsSchema } from "../../../stacks/settings-schema.ts";
import { settingsObject } from "../../engine/aws/stacks.ts";

const step = (op: string, type: string, changed: string[] = [], name = "prod-thing"): Step => ({
  op,
  type,
  name,
  changed,
  replacing: [],
  urn: `urn:pulumi:prod::openclaw-fleet::${type}::${name}`,
});

describe("what a change does to users", () => {
  test.each([
    ["delete", "aws:rds/instance:Instance", [], "data"],
    ["replace", "aws:s3/bucket:Bucket", ["bucket"], "data"],
    ["replace", "openclaw:local:Fleet", ["dataDir"], "data"],
    ["update", "aws:rds/instance:Instance", ["instanceClass"], "restarts"],
    ["update", "aws:rds/instance:Instance", ["backupRetentionPeriod"], "none"],
    ["update", "aws:rds/instance:Instance", [], "restarts"],
    ["update", "aws:ec2/instance:Instance", ["instanceType", "tags"], "restarts"],
    ["update", "aws:ec2/instance:Instance", ["tags", "tagsAll"], "none"],
    ["replace", "aws:ec2/networkInterface:NetworkInterface", ["subnetId"], "restarts"],
    ["update", "openclaw:host:Drained", ["machine"], "restarts"],
    ["update", "openclaw:host:Drained", ["host", "artifact"], "none"],
    ["update", "openclaw:local:Node", ["release"], "restarts"],
    ["delete", "openclaw:local:Node", [], "restarts"],
    ["update", "openclaw:local:Fleet", ["agents"], "none"],
    ["update", "openclaw:local:Fleet", ["port"], "reach"],
    ["replace", "aws:lb/loadBalancer:LoadBalancer", ["internal"], "reach"],
    ["update", "aws:route53/record:Record", ["records"], "reach"],
    ["delete", "aws:cloudwatch/metricAlarm:MetricAlarm", [], "none"],
    ["create", "aws:rds/instance:Instance", [], "none"],
  ] as const)("%s of %s for %j: %s", (op, type, changed, effect) => {
    expect(effectOf(step(op, type, [...changed]))).toBe(effect);
  });

  test("every change is in exactly one group", () => {
    const steps = fc.array(
      fc
        .tuple(
          fc.constantFrom("create", "update", "replace", "delete", "import"),
          fc.constantFrom(
            "aws:s3/bucket:Bucket",
            "openclaw:local:Node",
            "aws:lb/listener:Listener",
            "x:y:Z",
          ),
          fc.array(fc.constantFrom("tags", "size", "release")),
        )
        .map(([op, type, changed]) => step(op, type, changed)),
    );
    fc.assert(
      fc.property(steps, (all) => {
        const groups = groupByEffect(all);
        const placed = EFFECTS.flatMap((effect) => groups[effect]);
        expect(placed).toHaveLength(all.length);
        expect(new Set(placed)).toEqual(new Set(all));
      }),
    );
  });
});

describe("Pulumi's document", () => {
  const urn = "urn:pulumi:prod::openclaw-fleet::p$aws:rds/instance:Instance::prod-db";
  test("a replacement is one change, and the stack itself none", () => {
    const document = {
      steps: [
        { op: "update", urn: "urn:pulumi:prod::openclaw-fleet::pulumi:pulumi:Stack::x" },
        { op: "same", urn: "urn:pulumi:prod::openclaw-fleet::a:b:C::c" },
        { op: "create-replacement", urn, detailedDiff: { "tags.a": { kind: "update" } } },
        {
          op: "replace",
          urn,
          diffReasons: ["dbName"],
          replaceReasons: ["dbName"],
          detailedDiff: { dbName: { kind: "update-replace" } },
        },
        { op: "delete-replaced", urn },
      ],
      diagnostics: [
        { severity: "warning", message: "warning: x" },
        { severity: "error", message: "error: preview failed" },
        { severity: "error", message: "error: the budget is spent\n" },
      ],
    };
    expect(readPreview(JSON.stringify(document))).toEqual({
      steps: [
        expect.objectContaining({ op: "replace", urn, changed: ["dbName"], replacing: ["dbName"] }),
      ],
      unchanged: 1,
      errors: ["the budget is spent"],
    });
  });
});

const plan = (preset: "small" | "medium") =>
  planStack("prod", settingsSchema.parse(settingsObject("ec2", preset)));

test("cost is compared tier by tier, and what stays is left out", () => {
  const { before, after, tiers } = costChange(plan("small"), plan("medium"));
  expect(before).toBeLessThan(after as number);
  const more = tiers.reduce((sum, one) => sum + (one.after ?? 0) - (one.before ?? 0), 0);
  expect(more).toBeCloseTo((after as number) - (before as number), 2);
  expect(tiers.map(({ tier }) => tier)).toContain("database");
  expect(costChange(plan("small"), plan("small")).tiers).toEqual([]);
});

describe("the comment", () => {
  const change = (more: Partial<StackChange> = {}): StackChange => ({
    stack: "prod",
    exists: true,
    failed: false,
    preview: { steps: [], unchanged: 100, errors: [] },
    cost: null,
    policies: null,
    placeholders: [],
    ...more,
  });
  const steps = [
    step("update", "openclaw:local:Node", ["release"], "node-a"),
    {
      ...step("replace", "aws:rds/instance:Instance", ["dbName"], "prod-db"),
      replacing: ["dbName"],
    },
    step("create", "aws:sns/topic:Topic", [], "prod-alerts"),
  ];

  test("begins with the worst, in words", () => {
    const cost = costChange(plan("small"), plan("medium"));
    const text = headline(change({ preview: { steps, unchanged: 9, errors: [] }, cost }));
    expect(text).toMatch(
      /^\*\*prod\*\*: \*\*replaces or deletes data \(1\)\*\*, restarts what serves \(1\), 3 changes in all, 9 unchanged; \$[\d.,]+ → \$[\d.,]+ a month \(\+\$/,
    );
    const all = previewMarkdown(
      [change({ preview: { steps, unchanged: 9, errors: [] }, cost })],
      "origin/main",
    );
    expect(all.indexOf("Replaces or deletes data")).toBeLessThan(
      all.indexOf("Restarts what serves"),
    );
    expect(all).toContain(
      "- ± replace `aws:rds/instance:Instance` **prod-db**: made anew because of `dbName`",
    );
    expect(all).toContain("| cost a month | origin/main | now | more |");
    expect(all).toContain("<details><summary>No effect on users (1)</summary>");
  });

  test("says that nothing changes, and what was not looked at", () => {
    expect(headline(change())).toBe("**prod**: no changes");
    expect(headline(change({ preview: null }))).toContain("nothing that decides it differs");
    const fresh = change({ exists: false, preview: { steps, unchanged: 0, errors: [] } });
    expect(headline(fresh)).toBe("**prod**: a new stack of 3 resources");
  });

  test("shows a failure in Pulumi's words, which cannot break out", () => {
    const errors = ["```\n# not a heading @everyone"];
    const text = previewMarkdown(
      [change({ failed: true, preview: { steps: [], unchanged: 0, errors } })],
      null,
    );
    expect(text).toContain("**the preview failed**");
    expect(text).toContain("````\n```\n# not a heading @everyone\n````");
  });

  test("names findings with their setting and remedy, refusals first in the headline", () => {
    const finding = {
      policy: "money-budget",
      severity: "mandatory" as const,
      sentence: "A plan stays within its budget.",
      urn: "urn:pulumi:prod::openclaw-fleet::openclaw-fleet:fleet:Plan::prod-plan",
      found: "512.50 USD a month",
      setting: "budgetMonthlyUsd",
      fix: "raise the budget",
      outcome: "found" as const,
    };
    const policies = {
      stack: "prod",
      verdict: "budget" as const,
      policies: 62,
      counts: { refused: 1, advisory: 0, excepted: 0, waiting: 0 },
      findings: [finding],
    };
    const text = previewMarkdown([change({ failed: true, policies })], null);
    expect(text).toContain("**prod**: **refused by 1 policy finding**");
    expect(text).toContain(
      "Found: 512.50 USD a month. Setting: `budgetMonthlyUsd`. Do: raise the budget.",
    );
  });

  test("fits into a comment, whatever there is", () => {
    const many = Array.from({ length: 400 }, (_, i) =>
      change({
        stack: `stack-${i}`,
        preview: { steps: Array(30).fill(steps[1]), unchanged: 0, errors: [] },
      }),
    );
    expect(previewMarkdown(many, null).length).toBeLessThanOrEqual(COMMENT_MAX);
  });

  test("text of others is neither markup nor a mention", () => {
    expect(inline("a|b @ann *x* <img> #12\n`c`")).toBe(
      "a\\|b @\u200bann \\*x\\* \\<img\\> #\u200b12 \\`c\\`",
    );
    fc.assert(
      fc.property(fc.string(), (text) => {
        const fence = code(text).split("\n")[0] as string;
        expect(text).not.toContain(fence);
      }),
    );
  });
});
