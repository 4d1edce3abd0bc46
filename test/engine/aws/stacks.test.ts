import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { audit } from "../../standin/audit.ts";
import { Cloud } from "../../standin/cloud.ts";
import { leftOver } from "../../standin/mutate.ts";
import { DAY, share } from "../../support/share.ts";
import { type AwsStack, awsStack, LONG_MS, PULUMI } from "./harness.ts";
import { furnish, PRESETS, settingsOf, TARGETS } from "./stacks.ts";

vi.setConfig({ testTimeout: LONG_MS, hookTimeout: LONG_MS });

/** One preset of each target a day. */
const STACKS = TARGETS.flatMap((target) => share(PRESETS, 1).map((preset) => ({ target, preset })));
const URNS = join(import.meta.dirname, "../../stacks/aws/urns");

describe.skipIf(!PULUMI).each(STACKS)(
  "$preset on $target under the real engine",
  ({ target, preset }) => {
    let stack: AwsStack;
    const must = async (run: ReturnType<AwsStack["up"]>) => {
      const { code, text } = await run;
      expect(code, text).toBe(0);
      return text;
    };

    beforeAll(async () => {
      stack = await awsStack({ settings: settingsOf(target, preset), delayMs: 20 });
      stack.account((world) => furnish(world));
    });
    afterAll(() => stack.remove());

    test("preview says what will be, and asks for nothing", async () => {
      const text = await must(stack.preview());
      expect(text).toMatch(/\+ \d{2,3} to create/);
      expect(stack.account((world) => world.log)).toEqual([]);
    });

    test("a failure on the way is overcome by the next up, with nothing made twice", async () => {
      const n = 5 + ((DAY * 17) % 60);
      const how = DAY % 2 === 0 ? "lost" : "refused";
      const failed = await stack.up({ seed: DAY, fault: `create:${n}:${how}` });
      expect(failed.code).not.toBe(0);
      expect(failed.text).toContain("a fault of the test");
      await must(stack.up({ seed: DAY + 1 }));
      const urns = stack.account((world) => [...world.rows.values()].map(({ urn }) => urn));
      expect(urns.filter((urn, i) => urns.indexOf(urn) !== i)).toEqual([]);
    });

    test("what it made is what the stand-in makes in process, and keeps every law", async () => {
      const { resources } = await stack.state();
      const urns = resources
        .map(({ urn }) => urn.split("::").slice(2).join("::"))
        .filter((urn) => !/^pulumi:(pulumi:Stack|providers:(random|openclaw|pulumi))/.test(urn));
      const recorded = readFileSync(join(URNS, `${target}-${preset}.txt`), "utf8");
      const plain = (all: string[]) =>
        all
          .filter((urn) => !urn.startsWith("pulumi:pulumi:"))
          .map((urn) =>
            urn.replace(/::(test|prod)-/, "::fleet-").replaceAll(/\b(test|prod)-/g, "fleet-"),
          )
          .sort();
      expect(plain(urns)).toEqual(plain(recorded.trim().split("\n")));
      expect(stack.account((world) => new Cloud(world).unmet())).toEqual([]);
      expect(stack.account(audit)).toEqual([]);
    });

    test("the state holds no plain secret", async () => {
      const secrets = stack.account((world) =>
        world
          .of("random:index/randomPassword:RandomPassword")
          .map(({ state }) => String(state.result)),
      );
      expect(secrets.length).toBeGreaterThan(0);
      const { text } = await stack.state();
      expect(secrets.filter((secret) => text.includes(secret))).toEqual([]);
    });

    test("up again changes nothing", async () => {
      expect(await must(stack.up())).toMatch(/Resources:\n +\d+ unchanged/);
    });

    test("destroy goes on after a failure, and leaves nothing", async () => {
      const failed = await stack.destroy({ seed: DAY, fault: `delete:${10 + (DAY % 40)}:refused` });
      expect(failed.code).not.toBe(0);
      await must(stack.destroy({ seed: DAY }));
      expect(stack.account(leftOver)).toEqual([]);
      expect((await stack.state()).resources).toEqual([]);
    });
  },
);
