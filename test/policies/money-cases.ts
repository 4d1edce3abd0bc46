import * as proxy from "@pulumi/policy/proxy.js";
import * as secret from "@pulumi/policy/secret.js";
import { ENVIRONMENT_TAG, FLEET_TAG } from "../../policies/catalog.ts";
import * as rules from "../../policies/money.ts";
import { TYPE } from "../../policies/resources.ts";
import type { ResourceCase, StackCase } from "./cases.ts";
import { argsOf, facts, later, type Made, pick, stackOf, withValue } from "./support.ts";

// Left out of the SDK's types.
export type Wrap<Name extends string> = Record<Name, (inputs: object) => Fields>;

export const { unknownCheckingProxy } = proxy as unknown as Wrap<"unknownCheckingProxy">;

export const { secretsPreservingProxy } = secret as unknown as Wrap<"secretsPreservingProxy">;

// biome-ignore lint/suspicious/noExplicitAny: inputs of any type pass through here.
export type Fields = Record<string, any>;

export const ec2 = () => stackOf("ec2", "medium");

export const eks = () => stackOf("eks", "medium");

export const BUDGET = facts({ budgetMonthlyUsd: 100_000 });

export const FAMILY = "spec.template.spec.requirements";

/** Cases of single resources. */
export const RESOURCES: readonly ResourceCase[] = [
  {
    policy: rules.budget,
    made: later(ec2, TYPE.plan),
    about: BUDGET,
    breaks: [
      ["monthlyUsd", 100_000.01, "100000.01 USD a month, and the budget is 100000.00 USD"],
      ["monthlyUsd", null, "nobody knows what it costs"],
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
];

/** A pool of GPUs as Karpenter takes it, made from the workers' one. */
export function gpuPool(made: readonly Made[]): Made {
  const pool = pick(made, TYPE.nodePool, "workers");
  const wants = [
    { key: "karpenter.k8s.aws/instance-family", operator: "In", values: ["g6"] },
    { key: "karpenter.sh/capacity-type", operator: "In", values: ["on-demand"] },
  ];
  return withValue(withValue(pool, FAMILY, wants), "spec.limits", { "nvidia.com/gpu": "2" });
}

export const staging = { environment: "staging" } as const;

/** Cases of whole stacks. */
export const STACKS: readonly StackCase[] = [
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
];

export const mended = (made: Made) => {
  const args = argsOf(made);
  const props = rules.tags.remediateResource?.(args);
  return props === undefined ? undefined : withoutGuard(props);
};

/** The object below the SDK's guard. */
export const withoutGuard = (props: Record<string, unknown>) =>
  props.__getSpecialProxyTarget as Record<string, unknown>;
