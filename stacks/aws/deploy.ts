import * as aws from "@pulumi/aws";
import type * as pulumi from "@pulumi/pulumi";
import type { AwsContext } from "../../components/context.ts";
import { checkZone } from "../../components/dns/delegation.ts";
import { lookUpZone, zoneProvider } from "../../components/dns/lookup.ts";
import type { ZoneFacts } from "../../components/dns/plan.ts";
import { checkGrowth } from "../hosts/deploy.ts";
import { isoMoment } from "../moment.ts";
import type { StackOutputs } from "../outputs.ts";
import { ownRecord } from "../own-record.ts";
import { planStack } from "../plan.ts";
import { PlanRecord } from "../plan-record.ts";
import { adoptLayer } from "./adopt.ts";
import { Base } from "./base.ts";
import { Ec2Compute } from "./compute-ec2.ts";
import { EksCompute } from "./compute-eks.ts";
import { Data } from "./data.ts";
import type { Recorded } from "./facts.ts";
import { FleetLayer } from "./fleet.ts";
import { adoptedCluster, type InCluster } from "./in-cluster.ts";
import type { BaseLayer, ComputeLayer, DataLayer } from "./layers.ts";
import { lookUpFacts, lookUpZonesOf } from "./lookups.ts";
import type { AwsPlan, AwsStackSettings } from "./plan.ts";
import { preflight } from "./preflight/index.ts";
import { needOf } from "./preflight/of-plan.ts";
import { awsProvider } from "./provider.ts";
import {
  type Ec2Front,
  type Ec2Machine,
  Ec2Runtime,
  type Ec2RuntimeArgs,
  type Ec2Wish,
  prepareEc2,
} from "./runtime-ec2.ts";
import { LAYERS, type Layer } from "./settings.ts";
import { accessTokens } from "./tokens.ts";
import type { ComputeArgs } from "./way-in.ts";
import { inZonesOf, keepZones } from "./zones.ts";

/** Names the stack on everything it makes. */
const FLEET_TAG = "openclaw-fleet";
const EXPIRES_TAG = "openclaw-fleet-expires";

export interface AwsArgs {
  /** The stack's name; it names the fleet. */
  readonly stack: string;
  readonly settings: AwsStackSettings;
  /** Whether the setting at a path is secret. */
  readonly isSecret: (path: readonly PropertyKey[]) => boolean;
}

/** Everything that a fleet on AWS runs on. Nothing is registered before the account has been looked at. */
export async function deployAws({
  stack,
  settings: given,
  isSecret,
}: AwsArgs): Promise<Partial<StackOutputs>> {
  // Refuses what can be refused without asking anybody.
  const { zones: count } = planStack(stack, given).aws as AwsPlan;
  const recorded = await ownRecord<Recorded>();
  const homes = recorded.agents ?? {};
  const below = given.layers.includes("base") ? null : await adoptLayer("base", given.adopt);
  const settings = below
    ? inZonesOf(given, below.network.zoneIds)
    : keepZones(given, recorded, count);
  const wish = planStack(stack, settings, homes).aws as AwsPlan;
  const provider = awsProvider(`${stack}-aws`, settings.aws as NonNullable<typeof settings.aws>);
  const ask = { provider };
  const tag = { key: FLEET_TAG, value: stack };
  const need = needOf(stack, wish, tag, settings.layers, recorded.zones);
  if ((await preflight(need, ask)) === "only") return {};
  const facts = await lookUpFacts(settings, recorded, ask);
  const plan = planStack(stack, settings, homes, facts).aws as AwsPlan;
  const onHosts = await fleetOnHosts({ stack, settings, plan, isSecret }, recorded, ask);
  const zones = await lookUpZonesOf(plan, facts, ask);
  const { partition } = await aws.getPartition({}, ask);
  const context: AwsContext = {
    fleet: stack,
    region: plan.aws.region,
    accountId: plan.aws.accountId,
    zones,
    partition,
    lifetime: plan.lifetime,
    tags: {
      ...settings.tags,
      [FLEET_TAG]: stack,
      "openclaw-fleet-environment": settings.environment,
      // For who looks into the account: what stands here after that was left behind.
      ...(settings.ephemeral ? { [EXPIRES_TAG]: isoMoment(settings.ephemeral.expires) } : {}),
    },
    ...(plan.aws.permissionsBoundaryArn
      ? { permissionsBoundaryArn: plan.aws.permissionsBoundaryArn }
      : {}),
    rolePath: plan.aws.rolePath,
  };
  const { zone, zoneAccount } = await lookUpDns(plan, context, ask);

  new PlanRecord(`${stack}-plan`, {
    preset: plan.fleet.preset,
    environment: settings.environment,
    nodes: plan.fleet.nodes.length,
    zones: plan.zones,
    shards: plan.fleet.shards.length,
    shardMemoryMiB: Math.min(...plan.fleet.shards.map(({ recycleMiB }) => recycleMiB)),
    largestAgentMiB: Math.max(0, ...settings.agents.map(({ memoryMiB }) => memoryMiB ?? 0)),
    monthlyUsd: plan.cost?.monthlyUsd ?? null,
  });
  const top = { provider };
  const { layers, adopt } = settings;
  const base: BaseLayer = below ?? new Base(`${stack}-base`, { context, plan, zone }, top).layer;
  let outputs: Partial<StackOutputs> = { base };
  if (reaches(layers, "data")) {
    const own = layers.includes("data")
      ? new Data(`${stack}-data`, { context, plan, base }, top)
      : null;
    const data: DataLayer = own?.layer ?? (await adoptLayer("data", adopt));
    outputs = { ...outputs, data };
    if (reaches(layers, "compute")) {
      const into = { context, plan, base, data, zoneProvider: zoneAccount };
      const hosts = onHosts && { ...onHosts, data, cacheUrl: own?.cacheUrl ?? null };
      outputs = { ...outputs, ...(await above(into, settings, hosts, top)) };
    }
  }
  const { machines, ...shown } = outputs;
  return {
    ...facetsOf(plan, settings),
    ...shown,
    recorded: {
      ...recordOf(plan, context),
      ...(onHosts?.watching ? { watching: onHosts.watching } : {}),
      ...(machines ? { machines } : {}),
    },
  };
}

/** What is put on machines of this stack; null where nothing is. Refuses what cannot be. */
async function fleetOnHosts(
  wish: Omit<Ec2Wish, "compute">,
  recorded: Partial<Recorded>,
  ask: pulumi.InvokeOptions,
): Promise<Omit<Ec2RuntimeArgs, "data" | "cacheUrl" | "tokens" | "front"> | null> {
  const { compute, fleet } = wish.plan;
  if (compute.kind !== "ec2" || !wish.settings.layers.includes("fleet")) return null;
  const several = fleet.nodes.length > 1;
  checkGrowth(recorded.several, several, "nodes");
  const full = { ...wish, compute, watchedBefore: recorded.watching };
  return { ...full, ...(await prepareEc2(full)), recorded: recorded.machines ?? {}, ask };
}

/** Whether a layer is made, or taken over for one that is. */
const reaches = (layers: readonly Layer[], layer: Layer): boolean =>
  layers.some((made) => LAYERS.indexOf(made) >= LAYERS.indexOf(layer));

/** Compute and fleet. */
async function above(
  into: ComputeArgs,
  settings: AwsStackSettings,
  onHosts: Omit<Ec2RuntimeArgs, "tokens" | "front"> | null,
  top: pulumi.CustomResourceOptions,
): Promise<Partial<StackOutputs>> {
  const { context } = into;
  const { layers } = settings;
  const stack = context.fleet;
  const fleet = layers.includes("fleet");
  const keyArn = into.base.keys.data;
  const tokens = fleet ? accessTokens(`${stack}-tokens`, { context, settings, keyArn }, top) : null;
  const begin =
    onHosts && tokens ? (front: Ec2Front) => new Ec2Runtime({ ...onHosts, tokens, front }) : null;
  const { compute, inside, runtime, more } = await computeOf(into, settings, begin, top);
  const made = { endpoint: compute.endpoint, compute, ...more };
  if (!tokens) return made;
  new FleetLayer(`${stack}-fleet`, { ...into, compute, inside }, top);
  if (runtime) {
    const { outputs, machines } = runtime.finish();
    return { ...made, ...outputs, machines };
  }
  return { ...made, token: tokens.clients[0], adminToken: tokens.admin };
}

interface Computed {
  readonly compute: ComputeLayer;
  readonly inside: InCluster | null;
  /** What is put on hosts; null where nothing is. */
  readonly runtime: Ec2Runtime | null;
  readonly more: Partial<StackOutputs>;
}

async function computeOf(
  into: ComputeArgs,
  { layers, adopt }: AwsStackSettings,
  begin: ((front: Ec2Front) => Ec2Runtime) | null,
  top: pulumi.CustomResourceOptions,
): Promise<Computed> {
  const { context, plan } = into;
  const name = `${context.fleet}-compute`;
  if (!layers.includes("compute")) {
    const compute = await adoptLayer("compute", adopt);
    const { cluster } = compute;
    const inside = cluster && adoptedCluster(`${name}-kubernetes`, cluster, into, top);
    const { endpoint, edge, hosts } = compute;
    const runtime = (hosts && begin?.({ endpoint, dnsName: edge.dnsName })) ?? null;
    if (hosts) runtime?.adopt(hosts as readonly Ec2Machine[]);
    return { compute, inside, runtime, more: {} };
  }
  if (plan.compute.kind === "ec2") {
    const args = { ...into, compute: plan.compute, runtime: begin };
    const { layer, runtime } = new Ec2Compute(name, args, top);
    return { compute: layer, inside: null, runtime, more: {} };
  }
  const { layer, inside, kubeconfig } = new EksCompute(
    name,
    { ...into, compute: plan.compute },
    top,
  );
  return { compute: layer, inside, runtime: null, more: { kubeconfig } };
}

/** What the settings alone decide. */
function facetsOf({ fleet }: AwsPlan, { target }: AwsStackSettings) {
  return {
    target,
    preset: fleet.preset,
    nodes: fleet.nodes,
    shards: fleet.shards.map(({ id }) => id),
  };
}

/** What the next run must know, because it cannot be taken back. */
function recordOf({ cache, database, compute, fleet }: AwsPlan, { zones }: AwsContext): Recorded {
  return {
    agents: fleet.agents,
    zones: zones.map(({ id }) => id),
    cache,
    database: database && {
      storageGiB: database.storageGiB,
      maxStorageGiB: database.maxStorageGiB,
      version: database.version,
    },
    ...(compute.kind === "ec2"
      ? { hosts: compute.hosts.record, several: fleet.nodes.length > 1 }
      : {}),
    ...(compute.kind === "eks" ? { clusterVersion: compute.cluster.version } : {}),
  };
}

/** The domain's zone, read and checked before anything is made; a certificate would wait for it in vain. */
async function lookUpDns(
  plan: AwsPlan,
  context: AwsContext,
  own: pulumi.InvokeOptions,
): Promise<{ zone: ZoneFacts | null; zoneAccount: aws.Provider | undefined }> {
  if (!plan.dns) return { zone: null, zoneAccount: undefined };
  const zoneAccount = zoneProvider(`${context.fleet}-dns`, plan.dns, context);
  const zone = await lookUpZone(plan.dns, zoneAccount ? { provider: zoneAccount } : own);
  await checkZone(plan.dns, zone);
  return { zone, zoneAccount };
}
