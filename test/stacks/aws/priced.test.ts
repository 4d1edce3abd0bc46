import { beforeAll, describe, expect, test, vi } from "vitest";
import { PRICED as BUCKETS } from "../../../components/buckets/catalog.ts";
import { PRICED as BUDGET } from "../../../components/budget/catalog.ts";
import { PRICED as CACHE } from "../../../components/cache/catalog.ts";
import { PRICED as CLUSTER } from "../../../components/cluster/catalog.ts";
import type { PricedBy } from "../../../components/cost.ts";
import { PRICED as DATABASE } from "../../../components/database/catalog.ts";
import { PRICED as DNS } from "../../../components/dns/catalog.ts";
import { PRICED as EDGE } from "../../../components/edge/catalog.ts";
import { PRICED as FILES } from "../../../components/files/catalog.ts";
import { PRICED as HOSTS } from "../../../components/hosts-ec2/catalog.ts";
import { PRICED as KEYS } from "../../../components/keys/catalog.ts";
import { PRICED as MONITORING } from "../../../components/monitoring/catalog.ts";
import { PRICED as NETWORK } from "../../../components/network/catalog.ts";
import { PRICED as NODES } from "../../../components/nodes/catalog.ts";
import { PRICED as PLATFORM } from "../../../components/platform/catalog.ts";
import { deployAws } from "../../../stacks/aws/deploy.ts";
import { PRICED as STACK } from "../../../stacks/aws/own-cost.ts";
import type { AwsStackSettings } from "../../../stacks/aws/plan.ts";
import { planStack } from "../../../stacks/plan.ts";
import { PRESETS } from "../../../stacks/preset-table.ts";
import { settingsSchema } from "../../../stacks/settings-schema.ts";
import { NOTHING_SECRET } from "../../support/nothing-secret.ts";
import { type Registered, record } from "../../support/pulumi-mocks.ts";
import { COMPUTED, LOOKUPS } from "./account.ts";

/** Hundreds of plans or whole stacks each, on machines that do other work too. */
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

type Priced = Readonly<Record<string, PricedBy>>;

/** Prices of a component, by the type that its resources stand below. */
const PRICED_BELOW: Readonly<Record<string, Priced>> = {
  "openclaw-fleet:base:Network": NETWORK,
  "openclaw-fleet:base:Keys": KEYS,
  "openclaw-fleet:base:Dns": DNS,
  "openclaw-fleet:data:Cache": CACHE,
  "openclaw-fleet:data:Database": DATABASE,
  "openclaw-fleet:data:Files": FILES,
  "openclaw-fleet:data:Buckets": BUCKETS,
  "openclaw-fleet:fleet:Edge": EDGE,
  "openclaw-fleet:compute:HostsEc2": HOSTS,
  "openclaw-fleet:compute:Cluster": CLUSTER,
  "openclaw-fleet:compute:Nodes": NODES,
  "openclaw-fleet:compute:Platform": PLATFORM,
  "openclaw-fleet:fleet:RouterBinding": PLATFORM,
  "openclaw-fleet:fleet:Monitoring": MONITORING,
  "openclaw-fleet:fleet:Budget": BUDGET,
};
const ALL: readonly Priced[] = [...new Set(Object.values(PRICED_BELOW)), STACK];

const settings = (more: object) =>
  settingsSchema.parse({
    environment: "prod",
    domain: "chat.example.com",
    dns: { checkDelegation: false },
    aws: { region: "eu-central-1", accountId: "123456789012" },
    cluster: { access: "private", admins: ["arn:aws:iam::123456789012:role/deployer"] },
    ...more,
  }) as AwsStackSettings;

/** Every preset on both targets, and what only settings switch on. */
const CASES: readonly { title: string; set: object }[] = [
  ...PRESETS.flatMap(({ name: preset }) =>
    (["ec2", "eks"] as const).map((target) => ({
      title: `${preset} on ${target}`,
      set: { target, preset },
    })),
  ),
  {
    title: "hosts with addresses of their own behind a balancer",
    set: { target: "ec2", preset: "small", edge: { front: "alb" } },
  },
  { title: "GPUs", set: { target: "eks", preset: "medium", gpu: { limit: 2 } } },
  { title: "a budget", set: { target: "ec2", preset: "solo", budgetMonthlyUsd: 1_000 } },
];

/** The prices that a resource falls under: its component's, or the stack's own. */
function pricesFor(resource: Registered, byUrn: ReadonlyMap<string, Registered>): Priced {
  for (let up = byUrn.get(resource.parent); up; up = byUrn.get(up.parent)) {
    const below = PRICED_BELOW[up.type];
    if (below) return below;
  }
  return STACK;
}

const linesOf = (set: object) =>
  new Set(
    planStack("team", settings(set)).tiers.flatMap(({ costs }) => costs.map(({ what }) => what)),
  );

describe.each(CASES)("$title", ({ set }) => {
  let resources: readonly Registered[];
  beforeAll(async () => {
    ({ resources } = await record(
      () => deployAws({ stack: "team", settings: settings(set), isSecret: NOTHING_SECRET }),
      {
        lookups: LOOKUPS,
        computed: COMPUTED,
      },
    ));
  });

  test("registers nothing that is neither paid for by a line of its plan nor free for a reason", () => {
    const lines = linesOf(set);
    const byUrn = new Map(resources.map((resource) => [resource.urn, resource]));
    const paid = resources.filter(({ type }) => /^(aws|kubernetes|random|openclaw):/.test(type));
    expect(paid.length).toBeGreaterThan(20);
    const unpaid = paid.filter((resource) => {
      const by = pricesFor(resource, byUrn)[resource.type];
      if (by === undefined) return true;
      if ("free" in by) return by.free === "";
      return !by.otherwise && !by.lines.some((line) => lines.has(line));
    });
    expect([...new Set(unpaid.map(({ type, name }) => `${type} ${name}`))]).toEqual([]);
  });
});

test("every line that a type is paid by stands in some plan", () => {
  const planned = new Set(CASES.flatMap(({ set }) => [...linesOf(set)]));
  const named = ALL.flatMap((priced) =>
    Object.values(priced).flatMap((by) => ("lines" in by ? by.lines : [])),
  );
  expect([...new Set(named)].filter((line) => !planned.has(line))).toEqual([]);
});

test("every line of a plan that costs something pays for a type", () => {
  const named = new Set(
    ALL.flatMap((priced) => Object.values(priced).flatMap((by) => ("lines" in by ? by.lines : []))),
  );
  const orphans = CASES.flatMap(({ set }) =>
    planStack("team", settings(set)).tiers.flatMap(({ costs }) =>
      costs.filter(({ what, priceUsd }) => priceUsd > 0 && !named.has(what)),
    ),
  );
  expect([...new Set(orphans.map(({ what }) => what))]).toEqual([]);
});
