import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { DAY, FULL, share } from "../../support/share.ts";
import type { Run } from "../fixtures/project.ts";
import { type AwsStack, awsStack, LONG_MS, PULUMI, type RunOptions } from "./harness.ts";
import { leftIn, twiceIn } from "./kept.ts";
import { furnish, PRESETS, settingsOf, TARGETS } from "./stacks.ts";
import { hasItsTurn } from "./turns.ts";

vi.setConfig({ testTimeout: LONG_MS, hookTimeout: LONG_MS });

const STACKS = TARGETS.flatMap((target) => PRESETS.map((preset) => ({ target, preset })));

/**
 * What fails at its first call: in a full run everything, else the day's share. What does not depend on
 * what failed goes on, so that a run fails at many steps at once and few runs fail at all of them.
 */
const SHARES = FULL ? 1 : 6;
// By days on which this file has its turn, so that no share is left out.
const FAULT = `first:${Math.floor(DAY / 24)}/${SHARES}`;
/** More runs than any stack is deep. */
const RUNS = 80;

describe.skipIf(!PULUMI || !hasItsTurn("failures")).each(share(STACKS, 1))(
  "$preset on $target, where each step of the day's share fails once",
  ({ target, preset }) => {
    let stack: AwsStack;

    beforeAll(async () => {
      stack = await awsStack({ settings: settingsOf(target, preset), delayMs: 5 });
      stack.account((world) => furnish(world));
    });
    afterAll(() => stack.remove());

    /** Runs until one succeeds; each that fails says what failed, and fails at something else. */
    async function untilDone(run: (options: RunOptions) => Promise<Run>): Promise<number> {
      for (let failed = 0; failed < RUNS; failed++) {
        const from = stack.account((world) => world.log.length);
        const { code, text } = await run({ fault: FAULT, seed: DAY, goOn: true });
        const faults = stack.account(({ log }) =>
          log.slice(from).filter(({ outcome }) => outcome.startsWith("fault")),
        );
        if (code === 0) {
          expect(faults).toEqual([]);
          return failed;
        }
        expect(faults.length, text).toBeGreaterThan(0);
        expect(text).toContain("a fault of the test");
        for (const { urn } of faults) expect(text).toContain(urn.split("::").at(-1));
        expect(stack.account(refusals(from))).toEqual([]);
      }
      throw new Error(`no run of ${RUNS} succeeded`);
    }

    test("what a failed up began is taken down from that point", async () => {
      const failed = await stack.up({ seed: DAY, fault: `create:${3 + ((DAY * 13) % 30)}:lost` });
      expect(failed.code).not.toBe(0);
      const { code, text } = await stack.destroy();
      expect(code, text).toBe(0);
      expect(leftIn(stack)).toEqual([]);
    });

    test("up comes to its end, with everything made once", async () => {
      expect(await untilDone(stack.up)).toBeGreaterThan(0);
      expect(twiceIn(stack)).toEqual([]);
      const again = await stack.up();
      expect(again.text).toMatch(/Resources:\n +\d+ unchanged/);
    });

    test("so does a change of everything", async () => {
      stack.settings(settingsOf(target, preset, { tags: { "cost-center": "42" } }));
      expect(await untilDone(stack.up)).toBeGreaterThan(0);
      expect(twiceIn(stack)).toEqual([]);
      const again = await stack.up();
      expect(again.text).toMatch(/Resources:\n +\d+ unchanged/);
    });

    test("so does its end, and nothing is left", async () => {
      expect(await untilDone(stack.destroy)).toBeGreaterThan(0);
      expect(leftIn(stack)).toEqual([]);
      expect((await stack.state()).resources).toEqual([]);
    });
  },
);

/** What AWS refused by itself since an entry of its log: nobody may be asked too early because another failed. */
const refusals =
  (from: number) =>
  ({ log }: { readonly log: readonly { readonly urn: string; readonly outcome: string }[] }) =>
    log
      .slice(from)
      .filter(({ outcome }) => outcome.startsWith("refused"))
      .map(({ urn, outcome }) => `${urn}: ${outcome}`);
