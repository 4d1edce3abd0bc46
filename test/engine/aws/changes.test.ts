import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { deployAws } from "../../../stacks/aws/deploy.ts";
import type { AwsStackSettings } from "../../../stacks/aws/plan.ts";
import { settingsSchema } from "../../../stacks/settings-schema.ts";
import { nameOf } from "../../standin/cloud.ts";
import { runInProcess } from "../../standin/in-process.ts";
import { type Edge, withoutEdge, writtenEdges } from "../../standin/mutate.ts";
import { Replay } from "../../standin/replay.ts";
import { World } from "../../standin/world.ts";
import { NOTHING_SECRET } from "../../support/nothing-secret.ts";
import { FULL, share } from "../../support/share.ts";
import { type AwsStack, awsStack, LONG_MS, PULUMI } from "./harness.ts";
import { changedIn, holdersOf, idsOf, leftIn } from "./kept.ts";
import { furnish, settingsObject, settingsOf, TARGETS } from "./stacks.ts";

vi.setConfig({ testTimeout: LONG_MS, hookTimeout: LONG_MS });

describe.skipIf(!PULUMI).each(share(TARGETS, 1).map((target) => ({ target })))(
  "a stack on $target that grows and shrinks",
  ({ target }) => {
    let stack: AwsStack;
    const must = async (run: ReturnType<AwsStack["up"]>) => {
      const { code, text } = await run;
      expect(code, text).toBe(0);
    };

    beforeAll(async () => {
      stack = await awsStack({ settings: settingsOf(target, "small"), delayMs: 5 });
      stack.account((world) => furnish(world));
      await must(stack.up());
    });
    afterAll(async () => {
      await must(stack.destroy());
      expect(leftIn(stack)).toEqual([]);
      stack.remove();
    });

    test("replaces nothing that holds data on its way to medium and back", async () => {
      const before = holdersOf(stack);
      stack.settings(settingsOf(target, "medium"));
      await must(stack.up());
      expect(changedIn(before, holdersOf(stack))).toEqual([]);
      stack.settings(settingsOf(target, "small"));
      await must(stack.up());
      expect(changedIn(before, holdersOf(stack))).toEqual([]);
      expect(stack.account((world) => world.log.at(-1)?.outcome)).toBe("done");
    });

    test.skipIf(target !== "eks")("replaces nothing for the next Kubernetes", async () => {
      const before = idsOf(stack);
      const { cluster } = settingsObject(target, "small");
      const next = { ...(cluster as object), version: "1.36" };
      stack.settings(settingsOf(target, "small", { cluster: next }));
      await must(stack.up());
      expect(changedIn(before, idsOf(stack))).toEqual([]);
      const [made] = stack.account((world) => [...world.of("aws:eks/cluster:Cluster")]);
      expect(made?.inputs.version).toBe("1.36");
    });
  },
);

/** Without what an engine gives to a name, which the replay's are not given. */
const unnamed = (text: string) => text.replace(/-[0-9a-f]{7}\b/g, "-");

describe.skipIf(!PULUMI)("a wait that is missing from a stack", () => {
  /** Waits whose absence a replay notices while things are made. */
  let missed: { edge: Edge; says: string; late: string[] }[];

  beforeAll(async () => {
    const world = new World();
    furnish(world);
    const before = [...world.rows.values()];
    const settings = settingsSchema.parse(settingsObject("eks", "small")) as AwsStackSettings;
    const made = await runInProcess(world, "test", () =>
      deployAws({ stack: "test", settings, isSecret: NOTHING_SECRET }),
    );
    const replay = new Replay(made, { rows: before, settings: world.settings });
    missed = writtenEdges(made).flatMap((edge) => {
      const { noticed } = withoutEdge(replay, edge);
      // The first words only: who is refused first is a matter of order.
      const who = noticed?.startsWith(`up: ${nameOf(edge.from)}: `);
      if (!who) return [];
      // What is waited for no more, with all that comes before it: made late, the mistake shows.
      const before = replay.ancestors(edge.from, { from: edge.from, to: new Set([edge.to]) });
      const late = [edge.to, ...replay.ancestors(edge.to)].filter((urn) => !before.has(urn));
      return [{ edge, says: (noticed as string).split(": ").slice(2).join(": "), late }];
    });
  });

  test("is refused by the engine's run as it is by a replay", async () => {
    expect(missed.length).toBeGreaterThan(10);
    for (const { edge, says, late } of share(missed, 1).slice(0, FULL ? 12 : 1)) {
      const stack = await awsStack({
        settings: settingsOf("eks", "small"),
        program: "test/engine/aws/entry/index.ts",
        delayMs: 20,
      });
      try {
        stack.account((world) => furnish(world));
        const env = {
          FLEET_TEST_DROP: `${nameOf(edge.from)}|${nameOf(edge.to)}`,
          STANDIN_SLOW_UNTIL: edge.from.split("$").at(-1) ?? edge.from,
          STANDIN_SLOW: late.map((urn) => urn.split("$").at(-1)).join(","),
        };
        const run = await stack.up({ env });
        expect([env.FLEET_TEST_DROP, run.code === 0]).toEqual([env.FLEET_TEST_DROP, false]);
        expect(unnamed(run.text)).toContain(unnamed(says));
      } finally {
        await stack.destroy();
        stack.remove();
      }
    }
  });
});
