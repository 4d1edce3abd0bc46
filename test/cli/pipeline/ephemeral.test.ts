import { describe, expect, test } from "vitest";
import { type Candidate, EXPIRES_TAG, judge } from "../../../cli/lib/pipeline/ephemeral.ts";
import { knownId } from "../../../cli/lib/pipeline/known-ids.ts";
import { parseLocks } from "../../../cli/lib/pipeline/locks.ts";
import { readState } from "../../../cli/lib/pipeline/state.ts";

const NOW = Date.parse("2026-12-01T12:00:00Z");
const urn = (name: string) => `urn:pulumi:pr-1::openclaw-fleet::aws:s3/bucket:Bucket::${name}`;
const candidate = (more: Partial<Candidate> = {}): Candidate => ({
  stack: "pr-1",
  tags: { [EXPIRES_TAG]: "2026-12-01T12:00:00Z" },
  resources: [{ urn: urn("a"), type: "aws:s3/bucket:Bucket" }],
  environment: undefined,
  ...more,
});
const verdict = (more: Partial<Candidate>, early = false) => {
  const judged = judge(candidate(more), NOW, early);
  return judged.verdict === "refused" ? judged.why : judged.verdict;
};

describe("a stack is destroyed by itself", () => {
  test("from its moment on, and before it only when that is said", () => {
    expect(verdict({})).toBe("reap");
    const later = { tags: { [EXPIRES_TAG]: "2026-12-01T12:00:01Z" } };
    expect(verdict(later)).toBe("later");
    expect(verdict(later, true)).toBe("reap");
  });

  test.each<[string, Partial<Candidate>, string]>([
    ["not tagged", { tags: {} }, "permanent"],
    ["tagged otherwise", { tags: { "openclaw-fleet:owner": "x" } }, "permanent"],
    ["with a tag that is no moment", { tags: { [EXPIRES_TAG]: "soon" } }, "which is no moment"],
    [
      "that holds something protected",
      { resources: [{ urn: urn("a"), type: "x:y:Z", protect: true }] },
      "is protected",
    ],
    ["whose file says prod", { environment: "prod" }, "its environment is prod"],
    [
      "whose plan says prod",
      {
        resources: [
          { urn: urn("p"), type: "openclaw-fleet:fleet:Plan", inputs: { environment: "prod" } },
        ],
      },
      "its environment is prod",
    ],
    [
      "whose tags on AWS say prod",
      {
        resources: [
          {
            urn: urn("t"),
            type: "x:y:Z",
            inputs: { tags: { "openclaw-fleet-environment": "prod" } },
          },
        ],
      },
      "its environment is prod",
    ],
  ])("never one %s, however early or late", (_, more, why) => {
    expect(verdict(more, true)).toContain(why);
    expect(verdict(more, false)).toContain(why);
  });
});

test("locks are read from Pulumi's words, of any backend", () => {
  const words = [
    "error: could not create stack: the stack is currently locked by 2 lock(s). Either wait …",
    "  s3://bucket/.pulumi/locks/organization/openclaw-fleet/pr-1/x.json?region=eu-central-1: created by runner@fv-az1 (pid 1842) at 2026-11-21T10:00:00Z",
    "  file:///state/.pulumi/locks/organization/openclaw-fleet/pr-1/y.json: created by DOM\\ann@box (pid 7) at 2026-11-21T11:00:00+02:00",
  ].join("\n");
  expect(parseLocks(words)).toEqual([
    expect.objectContaining({
      user: "runner",
      host: "fv-az1",
      pid: 1842,
      since: Date.parse("2026-11-21T10:00:00Z"),
    }),
    expect.objectContaining({
      user: "DOM\\ann",
      host: "box",
      pid: 7,
      since: Date.parse("2026-11-21T09:00:00Z"),
    }),
  ]);
  expect(parseLocks("error: stack 'organization/openclaw-fleet/pr-1' already exists")).toEqual([]);
});

test("ids that are made of what was asked for are known before anybody tells them", () => {
  expect(knownId("aws:s3/bucketPolicy:BucketPolicy", { bucket: "b-1" })).toBe("b-1");
  expect(knownId("aws:iam/rolePolicy:RolePolicy", { role: "r", name: "n" })).toBe("r:n");
  expect(knownId("aws:iam/rolePolicy:RolePolicy", { role: "r" })).toBeUndefined();
  expect(knownId("aws:ec2/vpc:Vpc", { cidrBlock: "10.0.0.0/16" })).toBeUndefined();
});

test("what a run began is read from the state", () => {
  const state = {
    deployment: {
      resources: [{ urn: urn("a"), type: "aws:s3/bucket:Bucket" }],
      pending_operations: [
        { type: "creating", resource: { urn: urn("b"), type: "aws:s3/bucket:Bucket" } },
      ],
    },
  };
  expect(readState(JSON.stringify(state)).pending).toMatchObject([
    { op: "creating", urn: urn("b"), type: "aws:s3/bucket:Bucket", name: "b", id: null },
  ]);
  expect(readState('{"deployment":{}}')).toEqual({
    resources: [],
    pending: [],
    writtenAt: null,
  });
});
