import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { Cloud, nameOf } from "../../standin/cloud.ts";
import { share } from "../../support/share.ts";
import { type AwsStack, awsStack, LONG_MS, PULUMI } from "./harness.ts";
import { leftIn } from "./kept.ts";
import { furnish, settingsOf, TARGETS, ZONE_NAME } from "./stacks.ts";

vi.setConfig({ testTimeout: LONG_MS, hookTimeout: LONG_MS });

/** What stands beside a stack `team` of Frankfurt in the same account. */
const NEIGHBOURS = [
  { name: "another environment", stack: "team-staging", region: "eu-central-1" },
  { name: "another region", stack: "team-west", region: "eu-west-1" },
];
const PAIRS = TARGETS.flatMap((target) => NEIGHBOURS.map((other) => ({ target, ...other })));

describe.skipIf(!PULUMI).each(share(PAIRS, 1))(
  "two stacks on $target in one account, the second for $name",
  ({ target, stack: second, region }) => {
    let stacks: [AwsStack, AwsStack];
    const must = async (run: ReturnType<AwsStack["up"]>) => {
      const { code, text } = await run;
      expect(code, text).toBe(0);
    };
    const make = (stack: string, region: string, beside?: AwsStack) =>
      awsStack({
        stack,
        ...(beside ? { beside } : {}),
        settings: settingsOf(target, "solo", {
          aws: { region, accountId: "123456789012" },
          domain: `${stack}.${ZONE_NAME}`,
          environment: "staging",
        }),
      });
    const ofStack = (stack: string) =>
      stacks[0].account((world) =>
        [...world.rows.values()].filter(({ urn }) => urn.startsWith(`urn:pulumi:${stack}::`)),
      );

    beforeAll(async () => {
      const first = await make("team", "eu-central-1");
      first.account((world) => furnish(world));
      stacks = [first, await make(second, region, first)];
    });
    afterAll(() => {
      for (const stack of stacks) stack.remove();
    });

    test("are made without being in each other's way", async () => {
      const [first, other] = stacks;
      await must(first.up());
      const before = ofStack("team");
      await must(other.up());
      expect(ofStack("team")).toEqual(before);
      expect(ofStack(second).length).toBe(before.length);
      expect(
        first.account((world) =>
          new Cloud(world).unmet().map(({ row, fault }) => `${nameOf(row.urn)}: ${fault}`),
        ),
      ).toEqual([]);
    });

    test("go without taking anything of each other along", async () => {
      const [first, other] = stacks;
      const before = ofStack(second);
      await must(first.destroy());
      expect(ofStack("team")).toEqual([]);
      expect(ofStack(second)).toEqual(before);
      await must(other.destroy());
      expect(leftIn(first)).toEqual([]);
    });
  },
);
