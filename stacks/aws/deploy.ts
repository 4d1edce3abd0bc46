import * as aws from "@pulumi/aws";
import type * as pulumi from "@pulumi/pulumi";
import type { AwsContext } from "../../components/context.ts";
import { checkZone } from "../../components/dns/delegation.ts";
import { lookUpZone, zoneProvider } from "../../components/dns/lookup.ts";
import type { ZoneFacts } from "../../components/dns/plan.ts";
import type { StackOutputs } from "../outputs.ts";
import { planStack } from "../plan.ts";
import { Base } from "./base.ts";
import { Ec2Compute } from "./compute-ec2.ts";
import { EksCompute } from "./compute-eks.ts";
import { Data } from "./data.ts";
import { FleetLayer } from "./fleet.ts";
import { lookUpFacts, lookUpZonesOf } from "./lookups.ts";
import type { AwsPlan, AwsStackSettings } from "./plan.ts";
import { awsProvider } from "./provider.ts";
import { accessTokens } from "./tokens.ts";

export interface AwsArgs {
  /** The stack's name; it names the fleet. */
  readonly stack: string;
  readonly settings: AwsStackSettings;
}

/** Everything that a fleet on AWS runs on. Nothing is registered before the account has been looked at. */
export async function deployAws({ stack, settings }: AwsArgs): Promise<StackOutputs> {
  // Refuses what can be refused without asking anybody.
  planStack(stack, settings);
  const provider = awsProvider(`${stack}-aws`, settings.aws as NonNullable<typeof settings.aws>);
  const ask = { provider };
  const facts = await lookUpFacts(settings, ask);
  const plan = planStack(stack, settings, {}, facts).aws as AwsPlan;
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
      "openclaw-fleet": stack,
      "openclaw-fleet-environment": settings.environment,
    },
    ...(plan.aws.permissionsBoundaryArn
      ? { permissionsBoundaryArn: plan.aws.permissionsBoundaryArn }
      : {}),
    rolePath: plan.aws.rolePath,
  };
  const { zone, zoneAccount } = await lookUpDns(plan, context, ask);

  const top = { provider };
  const base = new Base(`${stack}-base`, { context, plan, zone }, top).layer;
  const data = new Data(`${stack}-data`, { context, plan, base }, top).layer;
  const { compute } = plan;
  const into = { context, plan, base, data, zoneProvider: zoneAccount };
  const eks =
    compute.kind === "eks"
      ? { made: new EksCompute(`${stack}-compute`, { ...into, compute }, top), plan: compute }
      : null;
  const layer =
    compute.kind === "eks"
      ? (eks as NonNullable<typeof eks>).made.layer
      : new Ec2Compute(`${stack}-compute`, { ...into, compute }, top).layer;
  new FleetLayer(`${stack}-fleet`, { context, plan, base, data, eks }, top);
  const tokens = accessTokens(
    `${stack}-tokens`,
    { context, settings, keyArn: base.keys.data },
    top,
  );
  return {
    endpoint: layer.endpoint,
    token: tokens.client,
    adminToken: tokens.admin,
    target: settings.target,
    preset: plan.fleet.preset,
    nodes: plan.fleet.nodes,
    shards: plan.fleet.shards.map(({ id }) => id),
    base,
    data,
    compute: layer,
    ...(eks ? { kubeconfig: eks.made.cluster.kubeconfig } : {}),
    recorded: {
      zones: zones.map(({ id }) => id),
      cache: plan.cache,
      database: plan.database && {
        storageGiB: plan.database.storageGiB,
        maxStorageGiB: plan.database.maxStorageGiB,
        version: plan.database.version,
      },
      ...(compute.kind === "ec2" ? { hosts: compute.hosts.record } : {}),
      ...(compute.kind === "eks" ? { clusterVersion: compute.cluster.version } : {}),
    },
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
