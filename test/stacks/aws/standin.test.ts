import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { deployAws } from "../../../stacks/aws/deploy.ts";
import type { AwsStackSettings } from "../../../stacks/aws/plan.ts";
import { settingsSchema } from "../../../stacks/settings-schema.ts";
import { furnish, PRESETS, settingsObject, TARGETS } from "../../engine/aws/stacks.ts";
import { audit } from "../../standin/audit.ts";
import { Cloud, nameOf } from "../../standin/cloud.ts";
import { type Made, runInProcess } from "../../standin/in-process.ts";
import { leftOver, withoutEdge, withoutResource, writtenEdges } from "../../standin/mutate.ts";
import { disorder } from "../../standin/order.ts";
import { Replay, randomly } from "../../standin/replay.ts";
import { SURVIVORS } from "../../standin/survivors.ts";
import { World } from "../../standin/world.ts";
import { NOTHING_SECRET } from "../../support/nothing-secret.ts";
import { DAY, FULL, share } from "../../support/share.ts";

const STACKS = TARGETS.flatMap((target) => PRESETS.map((preset) => ({ target, preset })));
/** Stacks of which single parts are taken out today. */
const MUTATED = share(STACKS, 2);
const SEEDS = Array.from({ length: 50 }, (_, i) => i + 1);
const LONG_MS = 900_000;

const seen: { what: string; by: RegExp }[] = [];

describe.each(STACKS)("$preset on $target, made on the stand-in", ({ target, preset }) => {
  let made: Made[];
  let world: World;
  let replay: Replay;

  beforeAll(async () => {
    world = new World();
    furnish(world);
    const before = [...world.rows.values()];
    const settings = settingsSchema.parse(settingsObject(target, preset)) as AwsStackSettings;
    made = await runInProcess(world, "prod", () =>
      deployAws({ stack: "prod", settings, isSecret: NOTHING_SECRET }),
    );
    replay = new Replay(made, { rows: before, settings: world.settings });
  }, LONG_MS);

  test("a renamed or moved resource has its former URN as an alias", () => {
    const file = join(import.meta.dirname, "urns", `${target}-${preset}.txt`);
    const urns = made.map(({ urn }) => urn.split("::").slice(2).join("::")).sort();
    if (process.env.UPDATE_URNS) writeFileSync(file, `${urns.join("\n")}\n`);
    const recorded = readFileSync(file, "utf8").trim().split("\n");
    const aliases = made.flatMap((one) =>
      one.aliases.map((urn) => urn.split("::").slice(2).join("::")),
    );
    const lost = recorded.filter((urn) => !urns.includes(urn) && !aliases.includes(urn));
    expect(lost, "gone without an alias; if on purpose, UPDATE_URNS=1").toEqual([]);
    const fresh = urns.filter((urn) => !recorded.includes(urn));
    expect(fresh, "new; if on purpose, UPDATE_URNS=1").toEqual([]);
  });

  test("nothing lacks what it needs, and the account keeps every law", () => {
    expect(
      new Cloud(world).unmet().map(({ row, fault }) => `${nameOf(row.urn)}: ${fault}`),
    ).toEqual([]);
    expect(audit(world)).toEqual([]);
    expect(disorder(replay)).toEqual([]);
  });

  test(
    "it comes and goes in any order that its dependencies allow, and nothing is left",
    () => {
      for (const seed of share(SEEDS, 3)) {
        const other = replay.empty();
        expect([seed, replay.up(other, randomly(seed))]).toEqual([seed, null]);
        expect([seed, replay.down(other, randomly(seed))]).toEqual([seed, null]);
        expect(leftOver(other)).toEqual([]);
      }
    },
    LONG_MS,
  );

  test(
    "it can be taken down from any point at which making it failed",
    () => {
      const points = Array.from({ length: replay.steps.size }, (_, i) => i + 1);
      for (const point of share(points, 4)) {
        const half = replay.empty();
        const choose = randomly(DAY + point);
        let left = point;
        const stopped = replay.up(half, (ready) => (left-- > 0 ? choose(ready) : null));
        expect(stopped).toBeNull();
        expect([point, replay.down(half, randomly(point))]).toEqual([point, null]);
        expect(leftOver(half)).toEqual([]);
      }
    },
    LONG_MS,
  );

  const chosen = MUTATED.some((one) => one.target === target && one.preset === preset);
  test.skipIf(!chosen)(
    "each written wait, taken out, is missed by somebody",
    () => {
      const survived = writtenEdges(made)
        .map((edge) => withoutEdge(replay, edge))
        .filter(({ noticed, implied }) => !noticed && !implied);
      expect(unexplained(survived.map(({ what }) => what))).toEqual([]);
    },
    LONG_MS,
  );

  test.skipIf(!chosen)(
    "each resource, taken out, is missed by somebody",
    () => {
      const survived = [...replay.steps.keys()]
        .map((urn) => withoutResource(replay, urn, audit))
        .filter(({ noticed }) => !noticed);
      expect(unexplained(survived.map(({ what }) => what))).toEqual([]);
    },
    LONG_MS,
  );
});

test.each(TARGETS)(
  "environments and regions on %s stand side by side in one account",
  async (target) => {
    const world = new World();
    furnish(world);
    const stacks = [
      { stack: "prod", region: "eu-central-1", environment: "prod" },
      { stack: "staging", region: "eu-central-1", environment: "staging" },
      { stack: "west", region: "eu-west-1", environment: "prod" },
    ];
    for (const { stack, region, environment } of stacks) {
      const settings = settingsSchema.parse({
        ...settingsObject(target, "medium"),
        aws: { region, accountId: "123456789012" },
        domain: `${stack}.example.com`,
        environment,
        budgetMonthlyUsd: 100_000,
      }) as AwsStackSettings;
      await runInProcess(world, stack, () =>
        deployAws({ stack, settings, isSecret: NOTHING_SECRET }),
      );
    }
    expect(
      new Cloud(world).unmet().map(({ row, fault }) => `${nameOf(row.urn)}: ${fault}`),
    ).toEqual([]);
  },
  LONG_MS,
);

test.skipIf(!FULL)("every reason why nobody misses something is used", () => {
  const used = new Set(seen.map(({ by }) => by));
  expect(SURVIVORS.filter(({ what }) => !used.has(what)).map(({ what }) => String(what))).toEqual(
    [],
  );
});

/** What nobody misses and for which no reason is written down. */
function unexplained(whats: readonly string[]): string[] {
  return whats.filter((what) => {
    const known = SURVIVORS.find((one) => one.what.test(what));
    if (known) seen.push({ what, by: known.what });
    return !known;
  });
}
