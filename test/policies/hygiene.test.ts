import { expect, test } from "vitest";
import { VALKEY } from "../../components/cache/catalog.ts";
import { VERSIONS } from "../../components/cluster/catalog.ts";
import { POSTGRES } from "../../components/database/catalog.ts";
import { KUBERNETES_UNTIL, POSTGRES_UNTIL, VALKEY_UNTIL } from "../../policies/catalog.ts";
import * as rules from "../../policies/hygiene.ts";
import { TYPE } from "../../policies/resources.ts";
import { resourceCases, stackCases } from "./cases.ts";
import { ec2, eks, MODEL_KEY, RESOURCES, STACKS } from "./hygiene-cases.ts";
import { facts, judge, pick, withValue } from "./support.ts";

resourceCases(RESOURCES);
stackCases(STACKS);

test("a finding names the place of a secret and never shows it", async () => {
  const made = withValue(pick(await eks(), TYPE.release), "values.apiKey", MODEL_KEY);
  expect(JSON.stringify(judge(rules.plainSecrets, made))).not.toContain(MODEL_KEY);
});

test("secrets in the open in the stack's file are found by their shape and by their name", async () => {
  const stack = { ...pick(await ec2(), TYPE.plan), type: "pulumi:pulumi:Stack", inputs: {} };
  const found = (openSettings: Record<string, unknown>) =>
    judge(rules.plainSecrets, stack, facts({ openSettings })).found;
  expect(found({ "openclaw-fleet:models": { providers: { a: { apiKey: MODEL_KEY } } } })).toEqual([
    "a key of a model provider in openclaw-fleet:models.providers.a.apiKey",
    "a value in the open at openclaw-fleet:models.providers.a.apiKey",
  ]);
  expect(found({ "openclaw-fleet:tokens": { client: ["hunter2-hunter2-hunter2"] } })).toEqual([
    "a value in the open at openclaw-fleet:tokens.client[0]",
  ]);
  const fine = {
    "openclaw-fleet:models": { providers: { a: { apiKey: "env:ANTHROPIC_API_KEY" } } },
    // What Pulumi encrypted is left out before.
    "openclaw-fleet:tokens": { client: [undefined] },
    "openclaw-fleet:aws": { accountId: "123456789012" },
  };
  expect(found(fine)).toEqual([]);
});

test.each(["DefaultVpc", "DefaultSubnet", "DefaultRouteTable"])(
  "a %s is refused by its type",
  async (kind) => {
    const made = {
      ...pick(await ec2(), TYPE.subnet),
      type: `aws:ec2/default${kind.slice(7)}:${kind}`,
    };
    expect(judge(rules.defaultVpc, made).found).toEqual([`a ${kind}`]);
  },
);

test("logical names begin with the stack's", async () => {
  const made = { ...pick(await ec2(), TYPE.database), name: "knowledge" };
  expect(judge(rules.names, made).found).toContain(
    "the logical name knowledge does not begin with team-",
  );
});

test("support ends on a day: on the day before it is said, on the day after it is refused", async () => {
  const made = withValue(pick(await eks(), TYPE.cluster), "version", "1.34");
  const on = (today: string) => [
    judge(rules.engineSupport, made, facts({ today })).found.length,
    judge(rules.engineEnding, made, facts({ today })).found.length,
  ];
  expect(on("2026-08-01")).toEqual([0, 0]);
  expect(on("2026-12-02")).toEqual([0, 1]);
  expect(on("2026-12-03")).toEqual([1, 0]);
});

test("the tables of support know every version that components make, with the same ends", () => {
  for (const [version, { standardUntil }] of Object.entries(VERSIONS))
    expect([version, KUBERNETES_UNTIL[version]]).toEqual([version, standardUntil]);
  expect(Object.keys(POSTGRES_UNTIL)).toContain(POSTGRES.version);
  expect(Object.keys(VALKEY_UNTIL)).toContain(VALKEY.version.split(".")[0]);
});
