import * as aws from "@pulumi/aws";
import type * as pulumi from "@pulumi/pulumi";
import type { Zone } from "../../components/context.ts";
import { lookUpServiceRoles } from "../../components/keys/lookup.ts";
import { lookUpAdopted, lookUpOffering, lookUpZones } from "../../components/network/lookup.ts";
import { chooseZones, zonesOfAdopted } from "../../components/network/plan.ts";
import type { AwsFacts, Recorded } from "./facts.ts";
import type { AwsPlan, AwsStackSettings } from "./plan.ts";

/** Asks AWS what the plan depends on. Changes nothing. */
export async function lookUpFacts(
  settings: AwsStackSettings,
  recorded: Recorded,
  opts: pulumi.InvokeOptions,
): Promise<AwsFacts> {
  const { adopt } = settings.network;
  const [serviceRoles, caller, adoptedNetwork] = await Promise.all([
    lookUpServiceRoles(opts),
    aws.getCallerIdentity({}, opts),
    adopt ? lookUpAdopted(adopt, opts) : null,
  ]);
  return {
    serviceRoles,
    callerArn: caller.arn,
    ...(adoptedNetwork ? { adoptedNetwork } : {}),
    ...(recorded.clusterVersion ? { clusterVersion: recorded.clusterVersion } : {}),
    recorded,
  };
}

/** The zones of a plan, pinned or chosen among those where its machines are offered; first those that the stack has. */
export async function lookUpZonesOf(
  plan: AwsPlan,
  { adoptedNetwork, recorded }: AwsFacts,
  opts: pulumi.InvokeOptions,
): Promise<Zone[]> {
  const { region, zones: pinned } = plan.aws;
  if (adoptedNetwork) return zonesOfAdopted(adoptedNetwork, pinned);
  const [offered, offerings] = await Promise.all([
    lookUpZones(opts),
    Promise.all(plan.compute.machines.map((type) => lookUpOffering(type, opts))),
  ]);
  return chooseZones({
    region,
    count: plan.zones,
    offered,
    offerings,
    ...(pinned ? { pinned } : {}),
    ...(recorded.zones ? { stood: recorded.zones } : {}),
  });
}
