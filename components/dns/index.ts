import type * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { DnsPlan, ZoneFacts } from "./plan.ts";

export interface DnsArgs {
  /** From `planDns`, when that is not null. */
  readonly plan: DnsPlan;
  /** From `lookUpZone`, after `checkZone`. */
  readonly zone: ZoneFacts;
  /** From `zoneProvider`. */
  readonly provider?: aws.Provider;
}

/**
 * The public zone that the fleet's name is in. It is somebody's already and holds more than this fleet:
 * it is neither made, changed nor deleted here; others put single records into it.
 */
export class Dns extends pulumi.ComponentResource {
  readonly zoneId: pulumi.Output<string>;
  /** Name of the fleet. */
  readonly domain: string;
  readonly zoneName: string;
  /** For every record in the zone, when it is another account's; undefined: inherit, as usual. */
  readonly provider: aws.Provider | undefined;

  constructor(name: string, args: DnsArgs, opts?: pulumi.ComponentResourceOptions) {
    super("openclaw-fleet:base:Dns", name, {}, opts);
    this.zoneId = pulumi.output(args.zone.zoneId);
    this.domain = args.plan.domain;
    this.zoneName = args.zone.name;
    this.provider = args.provider;
    this.registerOutputs({ zoneId: this.zoneId, domain: this.domain, zoneName: this.zoneName });
  }
}
