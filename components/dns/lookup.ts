import * as aws from "@pulumi/aws";
import type * as pulumi from "@pulumi/pulumi";
import type { AwsContext } from "../context.ts";
import { ConfigError } from "../errors.ts";
import { type DnsPlan, plainName, type ZoneFacts } from "./plan.ts";

/** The way to the zone's account; undefined when it is the fleet's own and its provider serves. */
export function zoneProvider(
  name: string,
  plan: DnsPlan,
  context: Pick<AwsContext, "region">,
  opts?: pulumi.ResourceOptions,
): aws.Provider | undefined {
  if (!plan.role) return undefined;
  const { arn, externalId } = plan.role;
  return new aws.Provider(
    `${name}-zone`,
    {
      region: context.region as aws.Region,
      // The account is in the ARN; any other is refused.
      allowedAccountIds: [arn.split(":")[4] as string],
      assumeRoles: [{ roleArn: arn, ...(externalId ? { externalId } : {}) }],
    },
    opts,
  );
}

/** The zone, which must be there: none is ever created. */
export async function lookUpZone(plan: DnsPlan, opts: pulumi.InvokeOptions): Promise<ZoneFacts> {
  const by = plan.zone;
  try {
    const zone = await aws.route53.getZone(
      "zoneId" in by ? { zoneId: by.zoneId } : { name: by.name, privateZone: false },
      opts,
    );
    return {
      zoneId: zone.zoneId,
      name: plainName(zone.name),
      nameServers: zone.nameServers,
      privateZone: zone.privateZone ?? false,
    };
  } catch (error) {
    const where = plan.role ? `with the role ${plan.role.arn}` : "in the account";
    throw new ConfigError(
      "zoneId" in by ? "dns.zoneId" : "dns.zoneName",
      `is ${"zoneId" in by ? by.zoneId : by.name}, and no such public zone could be read ${where}: ${(error as Error).message}`,
      "Name a public zone that exists, and dns.roleArn if it is another account's; none is created here",
    );
  }
}
