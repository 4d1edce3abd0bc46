import * as pulumi from "@pulumi/pulumi";
import type { AwsContext } from "../../components/context.ts";
import { Dns } from "../../components/dns/index.ts";
import type { ZoneFacts } from "../../components/dns/plan.ts";
import { Keys } from "../../components/keys/index.ts";
import { Network } from "../../components/network/index.ts";
import type { BaseLayer } from "./layers.ts";
import type { AwsPlan } from "./plan.ts";

export interface BaseArgs {
  readonly context: AwsContext;
  readonly plan: AwsPlan;
  /** The zone of the domain, looked up and checked; null without a domain. */
  readonly zone: ZoneFacts | null;
}

/** Network, keys and name: what everything else stands on. */
export class Base extends pulumi.ComponentResource {
  readonly layer: BaseLayer;

  constructor(name: string, args: BaseArgs, opts?: pulumi.ComponentResourceOptions) {
    super("openclaw-fleet:base:Base", name, {}, opts);
    const { context, plan, zone } = args;
    const { fleet } = context;
    const child = { parent: this };
    const keys = new Keys(`${fleet}-keys`, { context, plan: plan.keys }, child);
    const network = new Network(
      `${fleet}-network`,
      { context, plan: plan.network, logsKeyArn: keys.logsKeyArn },
      child,
    );
    const dns = plan.dns && zone ? new Dns(`${fleet}-dns`, { plan: plan.dns, zone }, child) : null;
    this.layer = {
      network: {
        vpcId: network.vpcId,
        cidr: network.cidr,
        publicSubnetIds: network.publicSubnetIds,
        privateSubnetIds: network.privateSubnetIds,
        dataSubnetIds: network.dataSubnetIds,
        publicCidrs: network.publicCidrs,
        zoneIds: context.zones.map(({ id }) => id),
      },
      keys: { compute: keys.computeKeyArn, data: keys.dataKeyArn, logs: keys.logsKeyArn },
      zone: dns && { zoneId: dns.zoneId, zoneName: dns.zoneName },
    };
    this.registerOutputs({ ...this.layer });
  }
}
