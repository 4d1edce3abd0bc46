import { describe, expect, test } from "vitest";
import { isPart, knownId } from "../../../cli/lib/pipeline/known-ids.ts";
import { isTaggable, matchTagged, type Tagged } from "../../../cli/lib/pipeline/tagged-ids.ts";
import { deployAws } from "../../../stacks/aws/deploy.ts";
import type { AwsStackSettings } from "../../../stacks/aws/plan.ts";
import { settingsSchema } from "../../../stacks/settings-schema.ts";
import { furnish, settingsObject } from "../../engine/aws/stacks.ts";
import { importIdOf } from "../../standin/imports.ts";
import { runInProcess } from "../../standin/in-process.ts";
import { LOOKUPS } from "../../standin/rules/lookups.ts";
import { World } from "../../standin/world.ts";
import { NOTHING_SECRET } from "../../support/nothing-secret.ts";

const PLACE = { region: "eu-central-1", accountId: "123456789012" };
const SCOPE = { account: PLACE.accountId, region: PLACE.region, caller: "" };
const GET_RESOURCES = "aws:resourcegroupstaggingapi/getResources:getResources";

describe.each(["ec2", "eks"] as const)("whatever a stack on %s began is found again", (target) => {
  test("by the name that it was given, by its tags, or it ends with another", async () => {
    const world = new World();
    furnish(world);
    const given = { ...settingsObject(target, "enterprise"), budgetMonthlyUsd: 9_000 };
    const settings = settingsSchema.parse(given) as AwsStackSettings;
    await runInProcess(world, "test", () =>
      deployAws({ stack: "test", settings, isSecret: NOTHING_SECRET }),
    );
    const rows = [...world.rows.values()].filter(({ urn }) => urn !== "");
    const listed: Tagged[] = [];
    for (const region of [PLACE.region, PLACE.region, "us-east-1"]) {
      const tagFilters = [{ key: "openclaw-fleet", values: ["test"] }];
      const answer = LOOKUPS[GET_RESOURCES]?.({ region, tagFilters }, world, SCOPE) as {
        resourceTagMappingLists: { resourceArn: string; tags: Record<string, string> }[];
      };
      for (const { resourceArn, tags } of answer.resourceTagMappingLists) {
        if (!listed.some(({ arn }) => arn === resourceArn)) listed.push({ arn: resourceArn, tags });
      }
    }
    const wanted = rows
      .filter(({ type }) => isTaggable(type))
      .map(({ urn, type, inputs }) => ({ urn, type, tags: inputs.tags as Record<string, string> }));
    const tagged = new Map(matchTagged(wanted, listed).map(({ urn, id }) => [urn, id]));

    const lost = rows.filter((row) => {
      const { type, urn, inputs } = row;
      if (isPart(type) || type === "aws:efs/mountTarget:MountTarget") return false;
      return (knownId(type, inputs, PLACE) ?? tagged.get(urn)) !== importIdOf(row);
    });
    expect(lost.map(({ type, urn }) => `${type} ${urn}`)).toEqual([]);
    expect(rows.length).toBeGreaterThan(100);
  });
});

describe("what bears the right tags", () => {
  const arn = (id: string) => `arn:aws:ec2:eu-central-1:123456789012:subnet/${id}`;
  const tags = { "openclaw-fleet": "pr-1", "openclaw-fleet-expires": "T1", Name: "pr-1-a" };
  const type = "aws:ec2/subnet:Subnet";
  const found = (listed: readonly Tagged[], urns = ["u"]) =>
    matchTagged(
      urns.map((urn) => ({ urn, type, tags })),
      listed,
    );

  test("is taken for the wanted one when it has more tags, never with another's", () => {
    const more = { ...tags, "aws:cloudformation:stack-name": "x" };
    expect(found([{ arn: arn("subnet-1"), tags: more }])).toEqual([{ urn: "u", id: "subnet-1" }]);
    for (const key of Object.keys(tags)) {
      const other = { ...tags, [key]: "other" };
      expect(found([{ arn: arn("subnet-1"), tags: other }])).toEqual([
        { urn: "u", id: null, candidates: [] },
      ]);
    }
    const volume = "arn:aws:ec2:eu-central-1:123456789012:volume/vol-1";
    expect(found([{ arn: volume, tags }])[0]?.id).toBeNull();
  });

  test("is not guessed at among two, or for two", () => {
    const two = [1, 2].map((n) => ({ arn: arn(`subnet-${n}`), tags }));
    expect(found(two)).toEqual([{ urn: "u", id: null, candidates: ["subnet-1", "subnet-2"] }]);
    expect(found(two.slice(1), ["u", "v"]).map(({ id }) => id)).toEqual([null, null]);
  });
});

test("nothing is made up of names that are not known", () => {
  expect(knownId("aws:ec2/route:Route", { routeTableId: "rtb-1" })).toBeUndefined();
  expect(knownId("aws:sqs/queue:Queue", { name: "q" })).toBeUndefined();
  expect(knownId("aws:iam/policy:Policy", { name: "p", path: "/f/" }, PLACE)).toBe(
    "arn:aws:iam::123456789012:policy/f/p",
  );
  expect(
    knownId("kubernetes:apps/v1:Deployment", { metadata: { name: "d", namespace: "n" } }),
  ).toBe("n/d");
  expect(knownId("kubernetes:core/v1:Namespace", { metadata: { name: "n" } })).toBe("n");
});
