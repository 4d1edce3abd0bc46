import { expect, test } from "vitest";
import { CACHE_NODES } from "../../components/cache/catalog.ts";
import { FAMILIES, GPU_FAMILIES } from "../../components/nodes/catalog.ts";
import { ENVIRONMENT_TAG, FLEET_TAG, INSTANCE_FAMILIES } from "../../policies/catalog.ts";
import * as rules from "../../policies/money.ts";
import { TYPE } from "../../policies/resources.ts";
import { resourceCases, stackCases } from "./cases.ts";
import {
  ec2,
  eks,
  gpuPool,
  mended,
  RESOURCES,
  STACKS,
  secretsPreservingProxy,
  unknownCheckingProxy,
} from "./money-cases.ts";
import {
  argsOf,
  facts,
  judge,
  pick,
  stackOf,
  UNKNOWN_TEXT,
  withUnknown,
  withValue,
} from "./support.ts";

resourceCases(RESOURCES);
stackCases(STACKS);

test("GPUs that nobody asked for are not made", async () => {
  expect(judge(rules.gpuLimit, gpuPool(await eks()), facts()).found).toEqual([
    "limits[nvidia.com/gpu] is 2",
  ]);
});

test("a stack may allow a family of its own", async () => {
  const made = withValue(pick(await ec2(), TYPE.instance), "instanceType", "c8g.large");
  const own = facts({}, { policies: { instanceFamilies: ["c8g"] } });
  expect(judge(rules.families, made).found).toHaveLength(1);
  expect(judge(rules.families, made, own).found).toEqual([]);
});

test("every family of the components' catalogs is listed", () => {
  const used = [
    ...FAMILIES.map(({ family }) => family),
    ...GPU_FAMILIES,
    ...CACHE_NODES.map(({ type }) => type.split(".")[1] as string),
  ];
  for (const family of new Set(used)) expect(INSTANCE_FAMILIES).toContain(family);
});

test("no budget, no judgement of cost", async () => {
  expect(judge(rules.budget, pick(await ec2(), TYPE.plan)).found).toEqual([]);
});

test.each(["prod", "staging", "dev"] as const)("a budget holds in %s", async (environment) => {
  const dear = withValue(pick(await ec2(), TYPE.plan), "monthlyUsd", 300.5);
  const about = facts({ environment, budgetMonthlyUsd: 300 });
  expect(judge(rules.budget, dear, about).found).toEqual([
    "300.50 USD a month, and the budget is 300.00 USD",
  ]);
});

test("in prod what costs by the hour for each zone is meant so", async () => {
  expect(judge(rules.naturalWays, await stackOf("ec2", "enterprise")).found).toEqual([]);
});

test("missing tags are added, and nothing else is touched", async () => {
  const made = pick(await ec2(), TYPE.database);
  expect(mended(made)).toBeUndefined();
  const bare = withValue(made, "tags", { Name: "x" });
  expect(mended(bare)).toEqual({
    ...bare.inputs,
    tags: { Name: "x", team: "agents", [FLEET_TAG]: "team", [ENVIRONMENT_TAG]: "prod" },
  });
  expect(mended(withValue(made, "tags", undefined))?.tags).toEqual({
    team: "agents",
    [FLEET_TAG]: "team",
    [ENVIRONMENT_TAG]: "prod",
  });
});

test("lists and secrets of a resource are no obstacle, as the SDK hands them to a remediation", async () => {
  const made = withValue(pick(await ec2(), TYPE.instance), "tags", { Name: "x" });
  const inputs = { ...made.inputs, vpcSecurityGroupIds: ["sg-1", "sg-2"], userData: "hidden" };
  const args = argsOf({ ...made, inputs });
  const wrapped = unknownCheckingProxy(secretsPreservingProxy(inputs));
  const props = rules.tags.remediateResource?.({ ...args, props: wrapped });
  expect(props?.tags).toMatchObject({ Name: "x", team: "agents" });
});

test("what is unknown beside a missing tag stays unknown; a set that is unknown is left alone", async () => {
  const made = withValue(pick(await ec2(), TYPE.database), "tags", { Name: UNKNOWN_TEXT });
  expect(mended(made)?.tags).toMatchObject({ Name: UNKNOWN_TEXT, team: "agents" });
  expect(mended(withUnknown(made, "tags"))).toBeUndefined();
  const tagless = pick(await ec2(), "aws:iam/rolePolicy:RolePolicy");
  expect(mended(tagless)).toBeUndefined();
});
