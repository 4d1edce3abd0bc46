import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { share } from "../../support/share.ts";
import { type AwsStack, awsStack, LONG_MS, PULUMI } from "./harness.ts";
import { changedIn, holdersOf, leftIn } from "./kept.ts";
import {
  furnish,
  type PresetName,
  settingsObject,
  settingsOf,
  TARGETS,
  type TargetName,
} from "./stacks.ts";

vi.setConfig({ testTimeout: LONG_MS, hookTimeout: LONG_MS });

/** The second and third zone of the region: a choice without memory would put the first before them. */
const STOOD = ["euc1-az2", "euc1-az3"];

/** Where a stack begins in two zones. On hosts `solo` has no others, and a stack of one host does not become several. */
const FIRST: Readonly<Record<TargetName, { preset: PresetName; zones: object }>> = {
  ec2: { preset: "small", zones: { network: { zones: 2 } } },
  eks: { preset: "solo", zones: {} },
};

describe.skipIf(!PULUMI).each(share(TARGETS, 1).map((target) => ({ target })))(
  "a stack on $target that gets a third zone",
  ({ target }) => {
    let stack: AwsStack;
    const must = async (run: ReturnType<AwsStack["up"]>) => {
      const { code, text } = await run;
      expect(code, text).toBe(0);
    };
    /** Zone and range of each subnet by its id. */
    const subnets = () =>
      stack.account((world) =>
        Object.fromEntries(
          world
            .of("aws:ec2/subnet:Subnet")
            .map(({ id, inputs }) => [id, `${inputs.availabilityZone} ${inputs.cidrBlock}`]),
        ),
      );

    beforeAll(async () => {
      const { preset, zones } = FIRST[target];
      const { aws } = settingsObject(target, preset);
      const pinned = { ...zones, aws: { ...(aws as object), zones: STOOD } };
      stack = await awsStack({ settings: settingsOf(target, preset, pinned), delayMs: 5 });
      stack.account((world) => furnish(world));
      await must(stack.up());
    });
    afterAll(async () => {
      await must(stack.destroy());
      expect(leftIn(stack)).toEqual([]);
      stack.remove();
    });

    test("keeps what holds data, and each subnet with its addresses, and gives none back", async () => {
      const [held, stood] = [holdersOf(stack), subnets()];
      expect(Object.keys(stood)).toHaveLength(6);
      stack.settings(settingsOf(target, "small"));
      await must(stack.up());
      const grown = subnets();
      expect(changedIn(held, holdersOf(stack))).toEqual([]);
      expect(changedIn(stood, grown)).toEqual([]);
      expect(Object.keys(grown)).toHaveLength(9);

      stack.settings(settingsOf(target, FIRST[target].preset));
      await must(stack.up());
      expect(changedIn(held, holdersOf(stack))).toEqual([]);
      expect(subnets()).toEqual(grown);
    });

    test("is refused fewer zones, or others, before anything is asked of AWS", async () => {
      const asked = stack.account((world) => world.log.length);
      const { preset } = FIRST[target];
      const { aws } = settingsObject(target, preset);
      stack.settings(
        settingsOf(target, preset, {
          network: { zones: 2 },
          aws: { ...(aws as object), zones: ["euc1-az1", "euc1-az2"] },
        }),
      );
      const { code, text } = await stack.preview();
      expect(code).not.toBe(0);
      expect(text).toContain("openclaw-fleet:network.zones is 2, and the stack stands in 3");
      expect(text).toContain("openclaw-fleet:aws.zones is euc1-az1, euc1-az2, and the stack");
      expect(stack.account((world) => world.log.length)).toBe(asked);
      stack.settings(settingsOf(target, preset));
    });
  },
);
