import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { DAY, FULL, share } from "../../support/share.ts";
import { GROUPS } from "../../support/turns.ts";
import type { Run } from "../fixtures/project.ts";
import { type AwsStack, awsStack, LONG_MS, PULUMI, type RunOptions } from "./harness.ts";
import { leftIn, twiceIn } from "./kept.ts";
import { furnish, PRESETS, settingsObject, settingsOf, TARGETS } from "./stacks.ts";

vi.setConfig({ testTimeout: LONG_MS, hookTimeout: LONG_MS });

const STACKS = TARGETS.flatMap((target) => PRESETS.map((preset) => ({ target, preset })));

/**
 * What fails at its first call: in a full run everything, else the day's share. What does not depend on
 * what failed goes on, so that a run fails at many steps at once and few runs fail at all of them.
 */
const SHARES = FULL
  ? ({ ec2: 1, eks: 1 } as const)
  : // Some ten or fifteen of each kind of calls, so that a few runs are enough.
    ({ ec2: 16, eks: 24 } as const);
/** A tag changes nearly all; another image replaces machines, the old one first or the new one. */
const CHANGES = {
  ec2: { tags: { "cost-center": "42" }, ec2: { ami: "ami-0123456789abcdef0" } },
  eks: {
    tags: { "cost-center": "42" },
    cluster: { ...(settingsObject("eks", "solo").cluster as object), os: "bottlerocket" },
  },
};
/** Another image than that: machines alone are replaced, the old ones first. */
const OTHER_IMAGE = { ...CHANGES.ec2, ec2: { ami: "ami-0fedcba9876543210" } };
/** More runs than any stack is deep, or has resources where a run ends at the first that fails. */
const RUNS = 400;

describe.skipIf(!PULUMI).each(share(STACKS, 1))(
  "$preset on $target, where each step of the day's share fails once",
  ({ target, preset }) => {
    let stack: AwsStack;
    // By days on which this stack has its turn, so that no share is left out.
    const fault = `first:${Math.floor(DAY / (GROUPS.length * STACKS.length))}/${SHARES[target]}`;
    let faulty = 0;

    beforeAll(async () => {
      stack = await awsStack({ settings: settingsOf(target, preset), delayMs: 5 });
      stack.account((world) => furnish(world));
    });
    afterAll(() => stack.remove());

    /**
     * Runs until one succeeds; each that fails says what failed, and fails at something else.
     * @param only kinds of calls that fail; by default all
     */
    async function untilDone(
      run: (options: RunOptions) => Promise<Run>,
      { only, goOn = true }: { readonly only?: string; readonly goOn?: boolean } = {},
    ): Promise<void> {
      stack.account(forgetCalls);
      for (let times = 0; times < RUNS; times++) {
        const from = stack.account((world) => world.log.length);
        const { code, text } = await run({
          fault: only ? `${fault}:${only}` : fault,
          seed: DAY,
          goOn,
        });
        const faults = stack.account(({ log }) =>
          log.slice(from).filter(({ outcome }) => outcome.startsWith("fault")),
        );
        faulty += faults.length;
        if (code === 0) {
          expect(faults).toEqual([]);
          return;
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
      await untilDone(stack.up);
      expect(twiceIn(stack)).toEqual([]);
      const again = await stack.up();
      expect(again.text).toMatch(/Resources:\n +\d+ unchanged/);
    });

    test("so does a change of everything, which replaces machines", async () => {
      stack.settings(settingsOf(target, preset, CHANGES[target]));
      // An engine that goes on waits for ever when it cannot delete what is deleted before its successor is made.
      await untilDone(stack.up, target === "ec2" ? { only: "create,update" } : {});
      expect(twiceIn(stack)).toEqual([]);
      const again = await stack.up();
      expect(again.text).toMatch(/Resources:\n +\d+ unchanged/);
    });

    test.skipIf(target === "eks")("so does a change that first ends each old machine", async () => {
      stack.settings(settingsOf(target, preset, OTHER_IMAGE));
      await untilDone(stack.up, { only: "delete", goOn: false });
      expect(twiceIn(stack)).toEqual([]);
      const again = await stack.up();
      expect(again.text).toMatch(/Resources:\n +\d+ unchanged/);
    });

    test("so does its end, and nothing is left", async () => {
      // An engine that goes on after a failed deletion walks every way through the dependencies of hosts: it does not return.
      await untilDone(stack.destroy, { goOn: target === "eks" });
      expect(faulty).toBeGreaterThan(0);
      expect(leftIn(stack)).toEqual([]);
      expect((await stack.state()).resources).toEqual([]);
    });
  },
);

/** So that first calls are first ones again. */
function forgetCalls({ counts }: { readonly counts: Record<string, number> }): void {
  for (const key of Object.keys(counts)) if (key.startsWith("first ")) delete counts[key];
}

/** What AWS refused by itself since an entry of its log: nobody may be asked too early because another failed. */
const refusals =
  (from: number) =>
  ({ log }: { readonly log: readonly { readonly urn: string; readonly outcome: string }[] }) =>
    log
      .slice(from)
      .filter(({ outcome }) => outcome.startsWith("refused"))
      .map(({ urn, outcome }) => `${urn}: ${outcome}`);
