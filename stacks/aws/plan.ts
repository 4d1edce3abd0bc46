import { type BucketsPlan, planBuckets, tierBuckets } from "../../components/buckets/plan.ts";
import { type BudgetPlan, planBudget, tierBudget } from "../../components/budget/plan.ts";
import {
  type CachePlan,
  cacheNodes,
  cacheStep,
  planCache,
  tierCache,
} from "../../components/cache/plan.ts";
import { DAYS_A_MONTH, monthlyUsd, PRICE_REGIONS, type Tier } from "../../components/cost.ts";
import { type DatabasePlan, planDatabase, tierDatabase } from "../../components/database/plan.ts";
import { databaseSettings } from "../../components/database/settings.ts";
import { type DnsPlan, planDns, tierDns } from "../../components/dns/plan.ts";
import { type EdgePlan, planEdge } from "../../components/edge/plan.ts";
import { tierEdge } from "../../components/edge/tier.ts";
import { ConfigError, type Fault } from "../../components/errors.ts";
import { type FilesPlan, planFiles, tierFiles } from "../../components/files/plan.ts";
import { filesSettings } from "../../components/files/settings.ts";
import { HOST_PORTS } from "../../components/host/types.ts";
import { type KeysPlan, planKeys, tierKeys } from "../../components/keys/plan.ts";
import { type Lifetime, lifetimeOf } from "../../components/lifetime.ts";
import { tierNetwork } from "../../components/network/cost.ts";
import { type NetworkPlan, planNetwork } from "../../components/network/plan.ts";
import { CAPACITY } from "../capacity.ts";
import type { AgentPlace } from "../placement.ts";
import { type FleetPlan, planFleet } from "../presets.ts";
import type { Settings } from "../settings.ts";
import { type ComputePlan, knowingCost, planCompute } from "./compute-plan.ts";
import { type AwsFacts, NOT_ASKED } from "./facts.ts";
import { layerFaults } from "./layer-faults.ts";
import { nameFaults, tagFaults } from "./names.ts";
import { tierTokens } from "./own-cost.ts";
import type { AwsSettings } from "./settings.ts";
import { AWS_SHAPES, type AwsShape, type AwsTarget } from "./table.ts";
import { zoneNotes } from "./zones.ts";

/** Settings of a stack on AWS. */
export type AwsStackSettings = Settings & { readonly target: AwsTarget };

/** What the components of a stack on AWS are told. */
export interface AwsPlan {
  readonly aws: AwsSettings;
  readonly fleet: FleetPlan;
  readonly shape: AwsShape;
  readonly lifetime: Lifetime;
  readonly zones: 2 | 3;
  readonly network: NetworkPlan;
  readonly keys: KeysPlan;
  readonly dns: DnsPlan | null;
  readonly cache: CachePlan | null;
  readonly database: DatabasePlan | null;
  readonly files: FilesPlan | null;
  readonly buckets: BucketsPlan;
  readonly edge: EdgePlan;
  readonly compute: ComputePlan;
  readonly budget: BudgetPlan | null;
  readonly tiers: readonly Tier[];
  /** Null: the price tables do not cover the region. */
  readonly cost: { readonly monthlyUsd: number; readonly basis: string } | null;
  readonly notes: readonly string[];
}

export const isAwsTarget = (target: string): target is AwsTarget =>
  Object.hasOwn(AWS_SHAPES, target);

/** Connections to the database that a shard's gateway keeps open: the pool of OpenClaw's Postgres client. */
const CONNECTIONS_PER_SHARD = 10;

/**
 * Plans every component of the stack `name` on AWS. Pure. Throws one ConfigError with the faults of all
 * components that could be planned.
 */
export function planAws(
  name: string,
  settings: AwsStackSettings,
  recorded: Readonly<Record<string, AgentPlace>> = {},
  facts: AwsFacts = NOT_ASKED,
): AwsPlan {
  const { aws, target } = settings;
  if (!aws) {
    const remedy =
      "Set aws.region and aws.accountId: which account may be changed is never guessed";
    throw new ConfigError("aws", `is missing, and target is ${target}`, remedy);
  }
  const faults = new Faults();
  faults.add(nameFaults(name));
  faults.add(tagFaults(settings.tags));
  faults.add(layerFaults(settings.layers, settings.adopt));
  const { fleet, shape, zones } = sizes(settings, recorded, facts);
  const lifetime = lifetimeOf(settings.environment, settings.keepData);
  const users = fleet.users ?? fleet.shards.length * USERS_PER_SHARD;
  const { backupDays } = lifetime;
  const turns = users * settings.buckets.turnsPerUserDay * DAYS_A_MONTH;

  const dns = faults.of(() =>
    planDns({
      ...(settings.domain === undefined ? {} : { domain: settings.domain }),
      settings: settings.dns,
      required: false, // the edge says so, with what it means
    }),
  );
  const cache = faults.of(() =>
    planCache({ mode: shape.cache, users, zones, backupDays, settings: settings.cache }),
  );
  const databaseWish = wish(settings.database, shape.database, databaseSettings);
  const database = faults.of(() =>
    databaseWish === null
      ? null
      : planDatabase({
          users,
          connections: fleet.shards.length * CONNECTIONS_PER_SHARD,
          multiAz: shape.databaseMultiAz,
          zones,
          backupDays,
          settings: databaseWish,
          previous: facts.recorded.database ?? null,
        }),
  );
  const filesWish = wish(settings.files, shape.files, filesSettings);
  const files = faults.of(() =>
    filesWish === null ? null : planFiles({ zones, backupDays, settings: filesWish }),
  );
  const edge = faults.of(() =>
    planEdge({
      target,
      front: shape.front,
      waf: shape.waf,
      nodes: fleet.nodes,
      zones,
      users,
      turnsPerMonth: turns,
      turnsPerSecond: fleet.turnsPerSecond,
      domain: settings.domain,
      tlsRequired: settings.environment === "prod" && settings.layers.includes("compute"),
      certificateChosen: settings.front.certificate !== undefined,
      port: routerPort(settings),
      settings: settings.edge,
    }),
  );
  const buckets = faults.of(() =>
    planBuckets({
      region: aws.region,
      turns,
      shards: fleet.shards.length,
      shardDiskMiB: settings.sizes.shardDiskMiB ?? CAPACITY.shardDiskMiB.value,
      accessLogs: edge?.front === "alb",
      logDays: lifetime.logDays,
      forceDestroy: lifetime.forceDestroy,
      settings: settings.buckets,
    }),
  );
  const step = faults.of(() => cacheStep(facts.recorded.cache ?? null, cache ?? null));
  const compute = faults.of(() =>
    planCompute({ name, settings, fleet, shape, zones, users, edge, facts }),
  );
  const network = faults.of(() =>
    planNetwork({
      ...(settings.network.cidr === undefined ? {} : { cidr: settings.network.cidr }),
      zones,
      natGateways: settings.network.natGateways ?? shape.natGateways,
      interfaceEndpoints: settings.network.interfaceEndpoints ?? shape.interfaceEndpoints,
      flowLogs: settings.network.flowLogs ?? shape.flowLogs,
      otherCidrs: settings.network.otherCidrs,
      ...(target === "eks"
        ? { taken: [{ name: "cluster.serviceCidr", cidr: settings.cluster.serviceCidr }] }
        : {}),
      load: {
        balancers: edge?.front === "alb" ? 1 : 0,
        publicHosts: compute?.publicHosts ?? 0,
        privateHosts: compute?.privateHosts ?? 0,
        ...(compute?.pods ? { pods: compute.pods } : {}),
        dataPerZone:
          (cache ? Math.ceil(cacheNodes(cache) / zones) : 0) +
          (database ? (database.proxy ? 3 : 1) : 0) +
          (files ? 1 : 0),
      },
      ...(facts.adoptedNetwork ? { adopted: facts.adoptedNetwork } : {}),
      ...(aws.zones ? { pinnedZones: aws.zones } : {}),
    }),
  );
  const keys = faults.of(() =>
    planKeys({
      accountId: aws.accountId,
      kubernetes: target === "eks",
      spot: compute?.spot ?? false,
      serviceRoles: facts.serviceRoles,
    }),
  );
  const budget = faults.of(() =>
    planBudget({
      ...(settings.budgetMonthlyUsd === undefined ? {} : { monthlyUsd: settings.budgetMonthlyUsd }),
      settings: settings.budget,
    }),
  );
  faults.throwAny();
  if (!network || !keys || !edge || !compute || !buckets)
    throw new Error("a plan is missing without a fault");

  const { region } = aws;
  const tiers: Tier[] = [
    ...tierNetwork(
      network,
      { turns, nodes: fleet.nodes.length, logDays: lifetime.logDays },
      region,
    ),
    tierKeys({ users }, region),
    ...(dns ? [tierDns(dns)] : []),
    ...(cache ? [tierCache(cache, region)] : []),
    ...(database ? [tierDatabase(database, region)] : []),
    ...(files ? [tierFiles(files, region)] : []),
    tierBuckets(buckets, region),
    tierEdge(edge, region),
    ...compute.tiers,
    tierTokens(region),
    ...(budget ? [tierBudget(budget)] : []),
  ];
  const cost = costOf(tiers, region);
  return {
    aws,
    fleet,
    shape,
    lifetime,
    zones,
    network,
    keys,
    dns: dns ?? null,
    cache: cache ?? null,
    database: database ?? null,
    files: files ?? null,
    buckets,
    edge,
    compute: knowingCost(compute, cost?.monthlyUsd ?? null),
    budget: budget ?? null,
    tiers,
    cost,
    notes: [
      ...(cost
        ? []
        : [`prices of ${region} are not in the tables: ${PRICE_REGIONS.join(", ")} are`]),
      ...zoneNotes(shape.zones, zones, facts.recorded),
      ...network.notes,
      ...(step && step.kind !== "same" && step.kind !== "create"
        ? step.changes.map((change) => `cache: ${change}`)
        : []),
      ...(database?.notes ?? []),
      ...edge.notes,
      ...compute.notes,
      ...(budget?.notes ?? []),
    ],
  };
}

/** Where a balancer calls routers: on hosts every program has a port of its own, and the router's is fixed. */
const routerPort = ({ target, port }: AwsStackSettings): number =>
  target === "ec2" ? HOST_PORTS.local : port;

/** Where shards were set without users: as many as the shards are planned for. */
const USERS_PER_SHARD = 50;

/** Nodes, and zones that they are spread over. */
function sizes(
  settings: AwsStackSettings,
  recorded: Readonly<Record<string, AgentPlace>>,
  facts: AwsFacts,
) {
  const first = planFleet(settings, recorded);
  const shape = AWS_SHAPES[settings.target][first.preset];
  const adopted = facts.adoptedNetwork?.subnets.private.length;
  const pinned = settings.aws?.zones?.length;
  const zones = (settings.network.zones ?? adopted ?? pinned ?? shape.zones) as 2 | 3;
  const fleet = shape.survivesZone ? planFleet({ ...settings, zones }, recorded) : first;
  return { fleet, shape, zones };
}

/** Settings of a part that a preset has or not, and a person may want otherwise. Null: not made. */
function wish<T>(
  set: T | false | undefined,
  byPreset: boolean,
  schema: { parse(value: unknown): T },
): T | null {
  if (set === false) return null;
  return set ?? (byPreset ? schema.parse({}) : null);
}

function costOf(tiers: readonly Tier[], region: string): AwsPlan["cost"] {
  if (!(PRICE_REGIONS as readonly string[]).includes(region)) return null;
  return {
    monthlyUsd: monthlyUsd(tiers.flatMap(({ costs }) => costs)),
    basis: `List prices of ${region} as remembered on ${PRICES_READ}, to be checked; without tax, discounts and what model providers charge; docs/cost.md says what use is assumed.`,
  };
}

/** Day on which the components' price tables were written down. */
const PRICES_READ = "2026-11-21";

/** Gathers what several plans find wrong, each fault once. */
class Faults {
  readonly #all: Fault[] = [];

  /** The plan; undefined when it cannot be. */
  of<T>(plan: () => T): T | undefined {
    try {
      return plan();
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      this.add(error.faults);
      return undefined;
    }
  }

  add(faults: readonly Fault[]): void {
    const known = new Set(this.#all.map(({ setting, problem }) => `${setting} ${problem}`));
    this.#all.push(...faults.filter((f) => !known.has(`${f.setting} ${f.problem}`)));
  }

  throwAny(): void {
    if (this.#all.length > 0) throw new ConfigError(this.#all);
  }
}
