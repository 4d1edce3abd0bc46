import { describe, expect, test } from "vitest";
import * as rules from "../../policies/availability.ts";
import { TYPE } from "../../policies/resources.ts";
import { ec2, eks, RESOURCES, STACKS } from "./availability-cases.ts";
import { resourceCases, stackCases } from "./cases.ts";
import { facts, judge, pick, withValue } from "./support.ts";

resourceCases(RESOURCES);
stackCases(STACKS);

describe("one node in prod", () => {
  test("is allowed to a stack that says solo, and to no other", async () => {
    const made = withValue(pick(await ec2(), TYPE.plan), "nodes", 1);
    const of = (config: object) => judge(rules.enoughNodes, made, facts({}, { ...config })).found;
    expect(of({ preset: "solo" })).toEqual([]);
    expect(of({ preset: undefined, users: 10 })).toHaveLength(1);
    expect(of({ preset: "small" })).toHaveLength(1);
  });

  test("is nobody's business elsewhere", async () => {
    const made = withValue(pick(await ec2(), TYPE.plan), "nodes", 1);
    expect(judge(rules.enoughNodes, made, facts({ environment: "staging" })).found).toEqual([]);
  });
});

test("a store without a copy is what small presets and other environments have", async () => {
  const made = withValue(pick(await ec2(), TYPE.database), "multiAz", false);
  expect(judge(rules.storeCopies, made, facts({}, { preset: "small" })).found).toEqual([]);
  expect(
    judge(rules.storeCopies, made, facts({}, { preset: undefined, users: 150 })).found,
  ).toEqual([]);
  expect(
    judge(rules.storeCopies, made, facts({}, { preset: undefined, users: 201 })).found,
  ).toHaveLength(1);
  expect(judge(rules.storeCopies, made, facts({ environment: "dev" })).found).toEqual([]);
});

test.each([
  TYPE.database,
  TYPE.cache,
  TYPE.files,
  TYPE.bucket,
  "aws:kms/key:Key",
  "aws:ebs/volume:Volume",
])("%s without the option protect is found, in prod alone", async (type) => {
  const made = pick(await ec2(), type);
  expect(judge(rules.deletionProtection, made).found).toEqual([]);
  const bare = { ...made, options: { ...made.options, protect: false } };
  expect(judge(rules.deletionProtection, bare).found).toContain("the option protect is not set");
  expect(judge(rules.deletionProtection, bare, facts({ environment: "dev" })).found).toEqual([]);
});

test("workers may run on spot machines; no spot request is ever made by hand", async () => {
  const workers = pick(await eks(), TYPE.nodePool, "workers");
  expect(judge(rules.onDemand, workers).found).toEqual([]);
  const request = {
    ...workers,
    type: "aws:ec2/spotInstanceRequest:SpotInstanceRequest",
    inputs: {},
  };
  expect(judge(rules.onDemand, request).found).toEqual(["a SpotInstanceRequest"]);
});
