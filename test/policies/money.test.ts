import * as proxy from "@pulumi/policy/proxy.js";
import * as secret from "@pulumi/policy/secret.js";
import { expect, test } from "vitest";
import { CACHE_NODES } from "../../components/cache/catalog.ts";
import { FAMILIES, GPU_FAMILIES } from "../../components/nodes/catalog.ts";
import { ENVIRONMENT_TAG, FLEET_TAG, INSTANCE_FAMILIES } from "../../policies/catalog.ts";
import * as rules from "../../policies/money.ts";
import { TYPE } from "../../policies/resources.ts";
import { resourceCases, stackCases } from "./cases.ts";
import {
  argsOf,
  facts,
  judge,
  later,
  type Made,
  pick,
  stackOf,
  UNKNOWN_TEXT,
  withUnknown,
  withValue,
} from "./support.ts";

// Left out of the SDK's types.
type Wrap<Name extends string> = Record<Name, (inputs: object) => Fields>;
const { unknownCheckingProxy } = proxy as unknown as Wrap<"unknownCheckingProxy">;
const { secretsPreservingProxy } = secret as unknown as Wrap<"secretsPreservingProxy">;
// biome-ignore lint/suspicious/noExplicitAny: inputs of any type pass through here.
type Fields = Record<string, any>;

const ec2 = () => stackOf("ec2", "medium");
const eks = () => stackOf("eks", "medium");
const BUDGET = facts({ budgetMonthlyUsd: 100_000 });
const FAMILY = "spec.template.spec.requirements";

resourceCases([
  {
    policy: rules.budget,
    made: later(ec2, TYPE.plan),
    about: BUDGET,
    breaks: [
      ["monthlyUsd", 100_000.01, "100000.01 USD a month, and the budget is 100000.00 USD"],
      ["monthlyUsd", null, "no prices for this region"],
    ],
    unknown: [["monthlyUsd", "refused"]],
  },
  {
    policy: rules.gpuLimit,
    made: async () => gpuPool(await eks()),
    about: facts({ gpus: 2 }),
    breaks: [
      ["spec.limits", {}, "no limit of nvidia.com/gpu"],
      ["spec.limits", { "nvidia.com/gpu": "3" }, "limits[nvidia.com/gpu] is 3"],
    ],
    unknown: [["spec.limits", "refused"]],
  },
  {
    policy: rules.families,
    of: "a host",
    made: later(ec2, TYPE.instance),
    breaks: [["instanceType", "x2iedn.32xlarge", "the type of machine is x2iedn.32xlarge"]],
    unknown: [["instanceType", "refused"]],
  },
  {
    policy: rules.families,
    of: "the database",
    made: later(ec2, TYPE.database),
    breaks: [["instanceClass", "db.x2g.16xlarge", "db.x2g.16xlarge"]],
    unknown: [["instanceClass", "refused"]],
  },
  {
    policy: rules.families,
    of: "the cache",
    made: later(ec2, TYPE.cache),
    breaks: [["nodeType", "cache.r6gd.16xlarge", "cache.r6gd.16xlarge"]],
    unknown: [["nodeType", "refused"]],
  },
  {
    policy: rules.families,
    of: "system nodes",
    made: later(eks, TYPE.nodeGroup),
    breaks: [["instanceTypes", ["p5.48xlarge"], "p5.48xlarge"]],
    unknown: [["instanceTypes", "refused"]],
  },
  {
    policy: rules.families,
    of: "a pool",
    made: async () => gpuPool(await eks()),
    about: facts({ gpus: 2 }),
    breaks: [
      [
        `${FAMILY}.0`,
        { key: "karpenter.k8s.aws/instance-family", operator: "In", values: ["p5"] },
        "instance-family is p5",
      ],
    ],
    unknown: [[`${FAMILY}.0.values`, "refused"]],
  },
  {
    policy: rules.tags,
    made: later(ec2, TYPE.database),
    breaks: [
      ["tags", undefined, `no tag team, ${FLEET_TAG}, ${ENVIRONMENT_TAG}`],
      ["tags.team", undefined, "no tag team"],
    ],
    unknown: [
      ["tags", "refused"],
      ["tags.team", "passes"],
    ],
  },
]);

/** A pool of GPUs as Karpenter takes it, made from the workers' one. */
function gpuPool(made: readonly Made[]): Made {
  const pool = pick(made, TYPE.nodePool, "workers");
  const wants = [
    { key: "karpenter.k8s.aws/instance-family", operator: "In", values: ["g6"] },
    { key: "karpenter.sh/capacity-type", operator: "In", values: ["on-demand"] },
  ];
  return withValue(withValue(pool, FAMILY, wants), "spec.limits", { "nvidia.com/gpu": "2" });
}

test("GPUs that nobody asked for are not made", async () => {
  expect(judge(rules.gpuLimit, gpuPool(await eks()), facts()).found).toEqual([
    "limits[nvidia.com/gpu] is 2",
  ]);
});

test("a stack may allow a family of its own", async () => {
  const made = withValue(pick(await ec2(), TYPE.instance), "instanceType", "c8g.large");
  const own = facts({}, { policies: { instanceFamilies: ["c8g"] } });
  expect(judge(rules.families, made).found).toHaveLength(1);
  expect(judge(rules.families, made, own).found).toEqual([]);
});

test("every family of the components' catalogs is listed", () => {
  const used = [
    ...FAMILIES.map(({ family }) => family),
    ...GPU_FAMILIES,
    ...CACHE_NODES.map(({ type }) => type.split(".")[1] as string),
  ];
  for (const family of new Set(used)) expect(INSTANCE_FAMILIES).toContain(family);
});

test("no budget, no judgement of cost", async () => {
  expect(judge(rules.budget, pick(await ec2(), TYPE.plan)).found).toEqual([]);
});

const staging = { environment: "staging" } as const;
stackCases([
  {
    policy: rules.naturalWays,
    about: facts(staging),
    made: () => stackOf("ec2", "medium", { ...staging, network: { natGateways: "one" } }),
    previewed: () =>
      stackOf("ec2", "medium", { ...staging, network: { natGateways: "one" } }, true),
    breaks: [
      {
        what: "a NAT gateway for each zone",
        change: (made) => {
          const nat = pick(made, "aws:ec2/natGateway:NatGateway");
          return [...made, { ...nat, urn: `${nat.urn}-2` }, { ...nat, urn: `${nat.urn}-3` }];
        },
        found: "3 NAT gateways in staging",
      },
      {
        what: "interface endpoints",
        change: (made) => {
          const endpoint = pick(made, "aws:ec2/vpcEndpoint:VpcEndpoint");
          const other = withValue(endpoint, "vpcEndpointType", "Interface");
          return [...made, { ...other, urn: `${endpoint.urn}-2` }];
        },
        found: "1 interface endpoints in staging",
      },
    ],
  },
]);

test("in prod what costs by the hour for each zone is meant so", async () => {
  expect(judge(rules.naturalWays, await stackOf("ec2", "enterprise")).found).toEqual([]);
});

const mended = (made: Made) => {
  const args = argsOf(made);
  const props = rules.tags.remediateResource?.(args);
  return props === undefined ? undefined : withoutGuard(props);
};
/** The object below the SDK's guard. */
const withoutGuard = (props: Record<string, unknown>) =>
  props.__getSpecialProxyTarget as Record<string, unknown>;

test("missing tags are added, and nothing else is touched", async () => {
  const made = pick(await ec2(), TYPE.database);
  expect(mended(made)).toBeUndefined();
  const bare = withValue(made, "tags", { Name: "x" });
  expect(mended(bare)).toEqual({
    ...bare.inputs,
    tags: { Name: "x", team: "agents", [FLEET_TAG]: "team", [ENVIRONMENT_TAG]: "prod" },
  });
  expect(mended(withValue(made, "tags", undefined))?.tags).toEqual({
    team: "agents",
    [FLEET_TAG]: "team",
    [ENVIRONMENT_TAG]: "prod",
  });
});

test("lists and secrets of a resource are no obstacle, as the SDK hands them to a remediation", async () => {
  const made = withValue(pick(await ec2(), TYPE.instance), "tags", { Name: "x" });
  const inputs = { ...made.inputs, vpcSecurityGroupIds: ["sg-1", "sg-2"], userData: "hidden" };
  const args = argsOf({ ...made, inputs });
  const wrapped = unknownCheckingProxy(secretsPreservingProxy(inputs));
  const props = rules.tags.remediateResource?.({ ...args, props: wrapped });
  expect(props?.tags).toMatchObject({ Name: "x", team: "agents" });
});

test("what is unknown beside a missing tag stays unknown; a set that is unknown is left alone", async () => {
  const made = withValue(pick(await ec2(), TYPE.database), "tags", { Name: UNKNOWN_TEXT });
  expect(mended(made)?.tags).toMatchObject({ Name: UNKNOWN_TEXT, team: "agents" });
  expect(mended(withUnknown(made, "tags"))).toBeUndefined();
  const tagless = pick(await ec2(), "aws:iam/rolePolicy:RolePolicy");
  expect(mended(tagless)).toBeUndefined();
});
