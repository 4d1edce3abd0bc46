import { beforeAll, describe, expect, test } from "vitest";
import { deployAws } from "../../../stacks/aws/deploy.ts";
import { layerFaults } from "../../../stacks/aws/layer-faults.ts";
import type { AwsStackSettings } from "../../../stacks/aws/plan.ts";
import { adoptSettings, type Layer } from "../../../stacks/aws/settings.ts";
import { settingsSchema } from "../../../stacks/settings-schema.ts";
import { NOTHING_SECRET } from "../../support/nothing-secret.ts";
import { type Registered, record, settled } from "../../support/pulumi-mocks.ts";
import { COMPUTED, LOOKUPS } from "./account.ts";

const settings = (more: object) =>
  settingsSchema.parse({
    preset: "medium",
    environment: "prod",
    domain: "chat.example.com",
    dns: { checkDelegation: false },
    aws: { region: "eu-central-1", accountId: "123456789012" },
    cluster: { access: "private", admins: ["arn:aws:iam::123456789012:role/deployer"] },
    ...more,
  }) as AwsStackSettings;

async function deployed(more: object) {
  const { value, resources } = await record(
    () => deployAws({ stack: "team", settings: settings(more), isSecret: NOTHING_SECRET }),
    { lookups: LOOKUPS, computed: COMPUTED },
  );
  return { outputs: value, resources };
}

/** Type, name and inputs; tokens are made once a stack, whichever layers it has. */
const seen = (resources: readonly Registered[]) =>
  new Map(
    resources
      .filter(({ type }) => /^(aws|kubernetes|random|openclaw):/.test(type))
      .map(({ type, name, inputs }) => [`${type}::${name}`, inputs]),
  );

describe.each(["ec2", "eks"] as const)("layers of a stack on %s", (target) => {
  let whole: Awaited<ReturnType<typeof deployed>>;
  beforeAll(async () => {
    whole = await deployed({ target });
  });

  test("made by two stacks register together what one stack registers, with the same inputs", async () => {
    const below = await deployed({ target, layers: ["base", "data"] });
    const adopt = {
      base: await settled(below.outputs.base as never),
      data: await settled(below.outputs.data as never),
    };
    const rest = await deployed({ target, layers: ["compute", "fleet"], adopt });
    const union = new Map([...seen(below.resources), ...seen(rest.resources)]);
    const all = seen(whole.resources);
    expect([...union.keys()].sort()).toEqual([...all.keys()].sort());
    for (const [key, inputs] of all) expect([key, union.get(key)]).toEqual([key, inputs]);
  });

  test("that make no way in want no name for one, also in prod", async () => {
    const below = await deployed({ target, domain: undefined, layers: ["base", "data"] });
    expect(below.outputs.base).toBeDefined();
  });

  test("stand in the zones of the subnets below, which this stack would not have chosen", async () => {
    const zones = ["euc1-az3", "euc1-az1", "euc1-az2"];
    const aws = { region: "eu-central-1", accountId: "123456789012", zones };
    const below = await deployed({ target, aws, layers: ["base", "data"] });
    const adopt = {
      base: await settled(below.outputs.base as never),
      data: await settled(below.outputs.data as never),
    };
    const rest = await deployed({ target, layers: ["compute"], adopt });
    expect(await settled(rest.outputs.recorded as never)).toMatchObject({ zones });
  });

  test("the fleet alone stands on what another stack made", async () => {
    const adopt = {
      base: await settled(whole.outputs.base as never),
      data: await settled(whole.outputs.data as never),
      compute: await settled(whole.outputs.compute as never),
    };
    const { resources } = await deployed({ target, layers: ["fleet"], adopt });
    const types = new Set(resources.map(({ type }) => type));
    expect(types).not.toContain("aws:ec2/vpc:Vpc");
    expect(types).not.toContain("aws:eks/cluster:Cluster");
    expect(types).not.toContain("aws:ec2/instance:Instance");
    expect(resources.some(({ name }) => name.startsWith("team-tokens"))).toBe(true);
  });
});

describe("a choice of layers that cannot be", () => {
  const faults = (layers: Layer[], adopt: object = {}) =>
    layerFaults(layers, adoptSettings.parse(adopt)).map(({ setting }) => setting);

  test.each([
    ["compute without what it stands on", ["compute"], {}, ["layers", "layers"]],
    [
      "a layer both made and taken over",
      ["base"],
      { base: { fromStack: "o/p/s" } },
      ["adopt.base"],
    ],
    ["a gap in the middle", ["base", "compute"], {}, ["layers"]],
  ] as const)("%s", (_, layers, adopt, wrong) => {
    expect(faults([...layers], adopt)).toEqual([...wrong]);
  });

  test("a layer written down with a field missing names the field", () => {
    expect(faults(["data"], { base: { keys: {} } })).toContain("adopt.base.network");
  });

  test("all of them, or the upper ones on adopted ones, are fine", () => {
    expect(faults(["base", "data", "compute", "fleet"])).toEqual([]);
    const base = { fromStack: "o/p/base" };
    expect(faults(["data"], { base })).toEqual([]);
  });
});
